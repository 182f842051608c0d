"""Write the trained network as an ONNX file, its metrics beside it."""

from cardpose.errors import run
from cardpose.export import export_onnx
from cardpose.files import read_json, replacing
from cardpose.params import load_params
from cardpose.prediction import load_network


def main():
    params = load_params()
    network, about = load_network("models/cardpose.safetensors")
    metrics = read_json("metrics/evaluate.json")
    with replacing("models/cardpose.onnx") as path:
        export_onnx(path, network, about, params.count.source, metrics)


if __name__ == "__main__":
    run(main)
