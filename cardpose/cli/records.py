"""Records of predictions, as rows of CSV or lines of JSON."""

import csv
import json
import math
from typing import Any, Literal

import numpy as np

from cardpose.cli.shared import spreadsheet_text
from cardpose.common.errors import printable
from cardpose.common.process import TextFile
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.inference.result import RecordingCount, Result

_DIGITS = 4  # digits after the decimal point, for pixels and cards
_PARTS = ("x", "y", "visibility")
_BOX_COLUMNS = ("thickness_mm", "lean_short_mm", "lean_long_mm", "twist_mm", "covered")
RECORD_COLUMNS = (
    *("kind", "input", "frame", "frames", "width", "height"),
    *("packet", "confidence", "cards", "low", "high"),
    *_BOX_COLUMNS,
    *(f"{name}_{part}" for name in KEYPOINTS for part in _PARTS),
)

Record = dict[str, Any]


def picture_record(
    kind: Literal["picture", "frame"], name: str, frame: int | None, result: Result
) -> Record:
    """Return the prediction for one picture as a dict for JSON.

    Args:
        kind: "frame" for a frame of a video or a camera.
        name: name of the input.
        frame: index of the frame; None for a picture.
    """
    places = zip(result.keypoints.tolist(), result.visibility.tolist(), strict=True)
    return {
        "kind": kind,
        "input": name,
        "frame": frame,
        "width": result.width,
        "height": result.height,
        "packet": result.packet,
        "confidence": _number(result.confidence),
        "cards": _number(result.cards),
        "low": _number(result.low),
        "high": _number(result.high),
        "keypoints": {
            keypoint: {"x": _number(x), "y": _number(y), "visibility": _number(visibility)}
            for keypoint, ((x, y), visibility) in zip(KEYPOINTS, places, strict=True)
        },
    }


def recording_record(name: str, frames: int, count: RecordingCount | None) -> Record:
    """Return the count of a recording as a dict for JSON.

    Args:
        name: name of the input.
        frames: number of frames read.
        count: None if no frame shows a packet.
    """
    nothing = (None,) * (3 + len(_BOX_COLUMNS))
    values = nothing if count is None else map(_number, _numbers_of(count))
    return {
        "kind": "recording",
        "input": name,
        "frames": frames,
        "packet": count is not None,
        **dict(zip(("cards", "low", "high", *_BOX_COLUMNS), values, strict=True)),
    }


def _numbers_of(count: RecordingCount) -> tuple[float, ...]:
    """Return the values of "cards", "low", "high" and _BOX_COLUMNS."""
    box = count.thickness, *count.lean, count.twist, count.covered
    return count.cards, count.low, count.high, *box


class CsvWriter:
    """Write records as rows of CSV with the columns RECORD_COLUMNS.

    Missing values stay empty. Names that a spreadsheet would compute get a ' in front.
    """

    def __init__(self, file: TextFile):
        self._escape = printable if file.isatty() else str
        self._writer = csv.DictWriter(file, RECORD_COLUMNS, restval="", lineterminator="\n")
        self._writer.writeheader()

    def write(self, record: Record) -> None:
        name = spreadsheet_text(self._escape(record["input"]))
        row = {**record, "packet": int(record["packet"]), "input": name}
        for keypoint, values in row.pop("keypoints", {}).items():
            row |= {f"{keypoint}_{part}": value for part, value in values.items()}
        self._writer.writerow({name: "" if row[name] is None else row[name] for name in row})


class JsonWriter:
    """Write records as lines of JSON."""

    def __init__(self, file: TextFile):
        self._file = file

    def write(self, record: Record) -> None:
        # In ASCII: a terminal or pipe may be unable to hold other characters.
        self._file.write(json.dumps(record) + "\n")


def _number(value: float | np.floating) -> float | None:
    """Return a rounded Python float, or None for NaN, which JSON does not have."""
    return None if math.isnan(value) else round(float(value), _DIGITS)
