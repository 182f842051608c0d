"""Draw what the network of `make repro` predicts for frames that were held out of training.

    python -m docs.figures.examples

Writes a sheet of one frame of every second held-out recording, and one frame as `cardpose predict`
draws it.
"""

import pandas as pd

from cardpose.common.errors import InputError
from cardpose.inference.predictor import load
from cardpose.pictures.drawing import captioned, sheet
from cardpose.pictures.reading import read_picture
from docs.figures.style import PICTURES, ROOT, write_jpeg

_FRAME = 100  # of each recording
_ALONE = "packet_41"
_CELL = 400  # width of a picture on the sheet, in pixels


def held_out_counts() -> dict[str, int]:
    """Return {held-out recording: its number of cards}, from the fewest cards to the most.

    Raises:
        InputError: `make repro` has not run.
    """
    file = ROOT / "metrics/predictions.csv"
    if not file.exists():
        raise InputError(f"{file}: there is no such file; `make repro` writes it")
    frames = pd.read_csv(file)
    return dict(zip(frames["recording"], frames["cards_counted"].tolist(), strict=True))


def main() -> None:
    counts = held_out_counts()
    predictor = load(ROOT / "models/cardpose.onnx")
    cells = []
    for recording, truth in counts.items():
        file = ROOT / f"data/frames/{recording}/{recording}_frame_{_FRAME}.jpg"
        picture = read_picture(file)
        drawn = predictor.predict(picture).draw(picture)
        cells.append(captioned(drawn, f"true count: {truth}", _CELL))
        if recording == _ALONE:
            write_jpeg(PICTURES / "predict.jpg", drawn)
    write_jpeg(PICTURES / "examples.jpg", sheet(cells[::2]))


if __name__ == "__main__":
    main()
