"""How well a network that has seen rendered packets only counts real ones.

    python -m benchmarks.carry_over [--model models/cardpose.safetensors]

Reads all labelled frames of the real set, which data/cardcut has to hold (`dvc repro
data/cardcut/dvc.yaml`), with what `dvc repro` trained on the rendered recordings, and prints the
metrics that evaluate does.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from cardpose.dataset.extraction import extract_frames
from cardpose.dataset.labelled_frames import write_labelled
from cardpose.dataset.recordings import read_recordings
from cardpose.dataset.tensors import read_tensors
from cardpose.evaluation.evaluate import evaluate
from cardpose.network.weights import load_network
from cardpose.params import load_params

REAL = Path("data/cardcut")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default="models/cardpose.safetensors")
    chosen = parser.parse_args()
    params = load_params()
    network, about = load_network(chosen.model)
    with tempfile.TemporaryDirectory() as folder:
        extracted, tensors = Path(folder) / "frames", Path(folder) / "tensors"
        extract_frames(read_recordings(REAL), params.frame_step, extracted)
        size = about["image_size"], about["stride"], about["sigma"]
        write_labelled(tensors, extracted, REAL / "annotations.csv", *size)
        tensors = read_tensors(tensors)
        role = np.full(len(tensors), "test")
        report, _ = evaluate(network, about, tensors, role, params.count.source)
    shown = {name: report[name] for name in ("cards", "keypoints", "visibility")}
    print(json.dumps(shown, indent=2))


if __name__ == "__main__":
    main()
