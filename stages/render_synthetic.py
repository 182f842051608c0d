"""Render the synthetic recordings: videos, their counts, and the corners in every frame."""

from pathlib import Path

from cardpose.errors import run
from cardpose.files import replacing
from cardpose.params import load_params
from cardpose.synthetic import render_dataset

FOLDER = Path("data/synthetic")


def main():
    params = load_params()
    with (
        replacing(FOLDER / "videos.csv") as table,
        replacing(FOLDER / "annotations.csv") as annotations,
        replacing(FOLDER / "videos") as videos,
    ):
        count, frames = params.synthetic.videos, params.synthetic.frames
        card, focal = params.geometry.card, params.geometry.focal
        render_dataset(videos, annotations, table, count, frames, params.seed, card, focal)


if __name__ == "__main__":
    run(main)
