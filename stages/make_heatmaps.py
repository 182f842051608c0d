"""Join the annotations to the sampled frames and write the tensors that training reads."""

from pathlib import Path

from cardpose.annotations import read_annotations
from cardpose.errors import run
from cardpose.files import replacing
from cardpose.params import load_params
from cardpose.tensors import match_labels, write_tensors


def main():
    params = load_params()
    path = Path("data") / params.dataset / "annotations.csv"
    labelled, points, visible, _ = read_annotations(path)
    frames, rows, unlabelled = match_labels("data/frames", labelled, path)
    print(f"{len(frames)} labelled frames; {unlabelled} without a label are left out")
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
        )


if __name__ == "__main__":
    run(main)
