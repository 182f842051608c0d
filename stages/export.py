"""Write the trained network as an ONNX file, with its metrics as metadata."""

from cardpose.common.process import exit_on_interrupt

if __name__ == "__main__":
    exit_on_interrupt()  # during the imports below

from cardpose.common.errors import run_stage
from cardpose.common.files import atomic_output
from cardpose.common.json_files import read_json
from cardpose.inference.export import export_onnx
from cardpose.network.weights import load_network
from cardpose.params import load_params


def main() -> None:
    params = load_params()
    network, metadata = load_network("models/cardpose.safetensors")
    metadata = {**metadata, "dataset": params.dataset}  # on which the metrics were measured
    metrics = read_json("metrics/evaluate.json")
    with atomic_output("models/cardpose.onnx") as path:
        export_onnx(path, network, metadata, params.count.source, metrics)


if __name__ == "__main__":
    run_stage(main)
