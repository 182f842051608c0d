"""Join the annotations to the sampled frames and write the tensors that training reads."""

from cardpose.common.process import exit_on_interrupt

if __name__ == "__main__":
    exit_on_interrupt()  # during the imports below

from pathlib import Path

from cardpose.common.errors import print_line, run_stage
from cardpose.common.files import atomic_output
from cardpose.dataset.labelled_frames import write_labelled
from cardpose.params import load_params


def main():
    params = load_params()
    with atomic_output("data/tensors") as folder:
        labelled, missing = write_labelled(
            folder,
            "data/frames",
            Path("data") / params.dataset / "annotations.csv",
            params.image_size,
            params.heatmap_stride,
            params.sigma,
            params.unlabelled,
        )
    then = "train the count" if params.unlabelled else "are left out"
    print_line(f"{labelled} labelled frames; {missing} without a label {then}")


if __name__ == "__main__":
    run_stage(main)
