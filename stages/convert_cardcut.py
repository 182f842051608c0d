"""Convert the downloaded public set of real recordings into the format of this project."""

from pathlib import Path

from cardpose.cardcut import convert_cardcut
from cardpose.errors import run
from cardpose.files import replacing

FOLDER = Path("data/cardcut")


def main():
    with (
        replacing(FOLDER / "videos.csv") as table,
        replacing(FOLDER / "annotations.csv") as annotations,
        replacing(FOLDER / "videos") as videos,
    ):
        convert_cardcut(FOLDER / "original", videos, annotations, table)


if __name__ == "__main__":
    run(main)
