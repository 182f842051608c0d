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

from cardpose.annotations import read_annotations
from cardpose.evaluation import evaluate
from cardpose.extraction import extract_frames
from cardpose.params import load_params
from cardpose.prediction import load_network
from cardpose.recordings import read_recordings
from cardpose.tensors import match_labels, read_tensors, write_tensors

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
        labels = REAL / "annotations.csv"
        labelled, points, visible, known = read_annotations(labels)
        frames, rows, _ = match_labels(extracted, labelled, labels, known)
        arrays = points[rows], visible[rows]
        size = about["image_size"], about["stride"], about["sigma"]
        write_tensors(tensors, extracted, frames, *arrays, *size, known[rows])
        tensors = read_tensors(tensors)
        role = np.full(len(tensors), "test")
        report, _ = evaluate(network, about, tensors, role, params.count.source)
    # Nothing was trained here for a constant guess to come from.
    cards = {name: value for name, value in report["cards"].items() if "guess" not in name}
    shown = {"cards": cards, "keypoints": report["keypoints"], "visibility": report["visibility"]}
    print(json.dumps(shown, indent=2))


if __name__ == "__main__":
    main()
