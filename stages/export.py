"""Write the trained network as an ONNX file, its metrics beside it."""

import json
from pathlib import Path

from cardpose.errors import run
from cardpose.export import export_onnx
from cardpose.files import replacing
from cardpose.params import load_params
from cardpose.prediction import load_network


def main():
    params = load_params()
    network, about = load_network("models/cardpose.safetensors")
    metrics = json.loads(Path("metrics/evaluate.json").read_text())
    with replacing("models/cardpose.onnx") as path:
        export_onnx(path, network, about, params.count.source, metrics)


if __name__ == "__main__":
    run(main)
