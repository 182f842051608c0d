"""Join the annotations to the sampled frames and write the tensors that training reads."""

from pathlib import Path

import numpy as np

from cardpose.annotations import read_annotations
from cardpose.errors import run
from cardpose.files import replacing
from cardpose.params import load_params
from cardpose.tensors import match_labels, write_tensors


def main():
    params = load_params()
    path = Path("data") / params.dataset / "annotations.csv"
    labelled, points, visible, known = read_annotations(path)
    frames, rows, missing = match_labels("data/frames", labelled, path, known, params.unlabelled)
    then = "train the count" if params.unlabelled else "are left out"
    print(f"{np.sum(rows >= 0)} labelled frames; {missing} without a label {then}")
    with replacing("data/tensors") as folder:
        write_tensors(
            folder,
            "data/frames",
            frames,
            points[rows],
            visible[rows],
            params.image_size,
            params.heatmap_stride,
            params.sigma,
            known[rows] & (rows >= 0)[:, None],
        )


if __name__ == "__main__":
    run(main)
