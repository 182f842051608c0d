"""What was found, written down: rows of CSV, lines of JSON, a table on the screen."""

import csv
import json
import math
import shutil
import time

import numpy as np

from cardpose.geometry.keypoints import KEYPOINTS

DIGITS = 4  # after the point; a ten-thousandth of a pixel, or of a card
_FRAME = (
    *("kind", "input", "frame", "frames", "width", "height"),
    *("packet", "confidence", "cards", "low", "high"),
)
COLUMNS = (*_FRAME, *(f"{name}_{part}" for name in KEYPOINTS for part in ("x", "y", "visibility")))
_RIGHT = (9, 18, 7)  # characters in the columns cards, 90 % interval, corners


def picture_record(kind, name, frame, result):
    """One picture as a dict that JSON can hold.

    Args:
        kind: "picture", or "frame" of a video or camera.
        name: of the input.
        frame: its number in the video, or None.
        result: a `predictor.Result`.
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


def recording_record(name, frames, count):
    """A whole recording as a dict that JSON can hold; `count` is a `predictor.Count` or None."""
    return {
        "kind": "recording",
        "input": name,
        "frames": frames,
        "packet": count is not None,
        "cards": _number(count.cards) if count else None,
    }


class CsvWriter:
    """Writes records as rows of CSV with the header COLUMNS; what a record lacks stays empty."""

    def __init__(self, file):
        self._writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        self._writer.writeheader()

    def write(self, record):
        row = {**record, "packet": int(record["packet"])}
        for keypoint, values in row.pop("keypoints", {}).items():
            row |= {f"{keypoint}_{part}": value for part, value in values.items()}
        self._writer.writerow({name: "" if row[name] is None else row[name] for name in row})


class JsonWriter:
    """Writes records as lines of JSON."""

    def __init__(self, file):
        self._file = file

    def write(self, record):
        self._file.write(json.dumps(record, ensure_ascii=False) + "\n")


class Table:
    """A line a picture, a line a recording, as wide as the terminal at most.

    Args:
        names: of all inputs that get a line.
        file: to write to, or None.
    """

    def __init__(self, names, file):
        self._file = file
        self._live = file is not None and file.isatty()
        terminal = shutil.get_terminal_size().columns if self._live else math.inf
        room = terminal - sum(2 + width for width in _RIGHT)
        self._width = max(12, min(room, max(map(len, names), default=0)))
        self._said = -math.inf
        if names:
            self._print("", "cards", "90 % interval", "corners")

    @property
    def shown(self):
        """Whether anybody sees it."""
        return self._file is not None

    def picture(self, name, result, keypoints=False):
        """One picture's line, and below it, if wanted, its keypoints."""
        if not result.packet:
            self._print(name, "no packet")
            return
        self._print(
            name, f"{result.cards:.1f}", interval_text(result), f"{result.visible.sum()} of 8"
        )
        if keypoints:
            self._say(f"  {'pixels':16} {'x':>8} {'y':>8}")
            places = zip(KEYPOINTS, result.keypoints, result.visible, strict=True)
            for keypoint, (x, y), visible in places:
                hidden = "" if visible else "  hidden"
                self._say(f"  {keypoint.replace('_', ' '):16} {x:8.1f} {y:8.1f}{hidden}")

    def recording(self, name, frames, shown, count):
        """A recording's line: of so many frames, so many showed a packet; `count` is a
        `predictor.Count`, or None."""
        if count is None:
            self._print(name, "no packet", f"in {frames} pictures")
        else:
            of = "" if shown == frames else f"{shown} of "
            self._print(name, f"{count.cards:.1f}", f"from {of}{frames} pictures")

    def now(self, results):
        """What a camera showed last, in a line that changes; elsewhere than on a terminal, in a
        line a second."""
        if self._live:
            self._file.write(f"\r\033[K{steadied_text(results)}")
            self._file.flush()
        elif (now := time.monotonic()) >= self._said + 1:
            self._said = now
            self._say(steadied_text(results))

    def end(self):
        """After the last `now`."""
        if self._live:
            self._say("")

    def _print(self, name, *cells):
        if len(name) > self._width:
            name = "…" + name[1 - self._width :]
        words = [f"{cell:>{size}}" for cell, size in zip(cells, _RIGHT, strict=False)]
        self._say("  ".join([f"{name:{self._width}}", *words]).rstrip())

    def _say(self, line):
        if self.shown:
            print(line, file=self._file, flush=True)


def steadied_text(results):
    """In words, what the results of the last second have in common: medians."""
    found = [result for result in results if result.packet]
    if 2 * len(found) <= len(results):
        return "no packet"
    cards, low, high = np.median([(r.cards, r.low, r.high) for r in found], axis=0)
    between = "" if np.isnan(low) else f" ({low:.1f} to {high:.1f})"
    return f"{cards:.1f} cards{between}, {len(results)} pictures a second"


def interval_text(result):
    """The 90 % interval in words, or nothing where there is none."""
    return "" if math.isnan(result.low) else f"{result.low:.1f} to {result.high:.1f}"


def _number(value):
    """A rounded Python float, None for NaN, which JSON does not have."""
    return None if math.isnan(value) else round(float(value), DIGITS)
