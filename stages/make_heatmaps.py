"""Join the annotations to the sampled frames and write the tensors that training reads."""

from pathlib import Path

from cardpose.common.errors import run_stage
from cardpose.common.files import atomic_output
from cardpose.dataset.annotations import read_annotations
from cardpose.dataset.labelled_frames import match_labels
from cardpose.dataset.tensors import write_tensors
from cardpose.params import load_params


def main():
    params = load_params()
    path = Path("data") / params.dataset / "annotations.csv"
    size = params.image_size, params.heatmap_stride, params.sigma
    with atomic_output("data/tensors") as folder:
        labelled, missing = write_labelled(folder, "data/frames", path, size, params.unlabelled)
    then = "train the count" if params.unlabelled else "are left out"
    print(f"{labelled} labelled frames; {missing} without a label {then}")


def write_labelled(folder, extracted, path, size, unlabelled=False):
    """Write the tensors of all labelled frames, or of all, into `folder`.

    Args:
        extracted: folder that `extract_frames` wrote.
        path: the annotations' file.
        size: (image_size, stride, sigma) of the tensors.
        unlabelled: whether to take the frames without a label, too.

    Returns:
        how many extracted frames have a label, and how many have none.
    """
    labelled, points, visible, mask = read_annotations(path)
    frames, rows, missing = match_labels(extracted, labelled, path, mask, unlabelled)
    has_label = rows >= 0
    mask = mask[rows] & has_label[:, None]
    write_tensors(folder, extracted, frames, points[rows], visible[rows], *size, mask)
    return has_label.sum(), missing


if __name__ == "__main__":
    run_stage(main)
