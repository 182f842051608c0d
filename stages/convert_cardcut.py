"""Convert the downloaded public data set of real recordings to the format of this project."""

from cardpose.common.process import exit_on_interrupt

if __name__ == "__main__":
    exit_on_interrupt()  # during the imports below

from pathlib import Path

from cardpose.common.errors import run_stage
from cardpose.common.files import atomic_output
from cardpose.dataset.cardcut import convert_cardcut

FOLDER = Path("data/cardcut")


def main():
    with (
        atomic_output(FOLDER / "videos.csv") as table,
        atomic_output(FOLDER / "annotations.csv") as annotations,
        atomic_output(FOLDER / "videos") as videos,
    ):
        convert_cardcut(FOLDER / "original", videos, annotations, table)


if __name__ == "__main__":
    run_stage(main)
