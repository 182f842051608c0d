"""Render the synthetic recordings: videos, their counts, and the corners in every frame."""

from cardpose.common.process import exit_on_interrupt

if __name__ == "__main__":
    exit_on_interrupt()  # during the imports below

from pathlib import Path

from cardpose.common.errors import run_stage
from cardpose.common.files import atomic_output
from cardpose.params import load_params
from cardpose.rendering.videos import render_dataset

FOLDER = Path("data/synthetic")


def main() -> None:
    params = load_params()
    with (
        atomic_output(FOLDER / "videos.csv") as table,
        atomic_output(FOLDER / "annotations.csv") as annotations,
        atomic_output(FOLDER / "videos") as videos,
    ):
        count, frames = params.synthetic.videos, params.synthetic.frames
        card, focal = params.geometry.card, params.geometry.focal
        render_dataset(videos, annotations, table, count, frames, params.seed, card, focal)


if __name__ == "__main__":
    run_stage(main)
