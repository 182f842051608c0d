"""Print predictions on the screen: one line per picture and per recording."""

import math
import shutil
import time
from collections.abc import Collection

from cardpose.common.errors import printable, quantity
from cardpose.common.process import TextFile
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.inference.result import RecordingCount, Result

_CHANGED = "the packet was touched or exchanged: the count begins again"
_RIGHT = (9, 18, 7)  # widths of the columns cards, 90 % interval, corners, in characters


class Table:
    """Print one line per picture and per recording, at most as wide as the terminal.

    Args:
        names: names of all inputs that get a line.
        file: file to print to; None prints nothing.
    """

    def __init__(self, names: Collection[str], file: TextFile | None):
        self._file = file
        self._is_terminal = file is not None and file.isatty()
        columns = shutil.get_terminal_size().columns if self._is_terminal else math.inf
        left = columns - sum(2 + width for width in _RIGHT)
        self._width = max(12, min(left, max((len(printable(name)) for name in names), default=0)))
        self._printed_at = -math.inf
        if names:
            self._print_row("", "cards", "90 % interval", "corners")

    @property
    def is_visible(self) -> bool:
        return self._file is not None

    def print_picture(self, name: str, result: Result, keypoints: bool = False) -> None:
        """Print the line of a picture and, with `keypoints`, one line per keypoint."""
        if not result.packet:
            self._print_row(name, "no packet")
            return
        self._print_row(
            name, f"{result.cards:.1f}", result.interval_text, f"{result.visible.sum()} of 8"
        )
        if keypoints:
            self._print(f"  {'pixels':16} {'x':>8} {'y':>8}")
            places = zip(KEYPOINTS, result.keypoints, result.visible, strict=True)
            for keypoint, (x, y), visible in places:
                hidden = "" if visible else "  hidden"
                self._print(f"  {keypoint.replace('_', ' '):16} {x:8.1f} {y:8.1f}{hidden}")

    def print_recording(self, name: str, frames: int, count: RecordingCount | None) -> None:
        """Print the line of a recording.

        Args:
            frames: number of frames read.
            count: None if no frame shows a packet.
        """
        if count is None:
            self._print_row(name, "no packet", f"in {quantity(frames, 'picture')}")
            return
        of = "" if count.frames == frames else f"{count.frames} of "
        pictures = f"from {of}{quantity(frames, 'picture')}"
        self._print_row(name, f"{count.cards:.1f}", count.interval_text or pictures)
        if count.interval_text:
            advice = f"; {count.advice}" if count.advice else ""
            self._print(f"  {pictures}, {count.covered:.0%} of the way round{advice}")

    def print_camera(self, count: RecordingCount | None, rate: int, changed: bool) -> None:
        """Print the count of the sweep so far.

        On a terminal, overwrite the previous line; elsewhere, print one line per second.

        Args:
            rate: pictures in the last second.
            changed: whether the packet was touched or exchanged.
        """
        line = camera_text(count, rate)
        if self._is_terminal and self._file is not None:
            if changed:
                self._print(_CHANGED)
            self._file.write(f"\r\033[K{line}")
            self._file.flush()
        elif changed or time.monotonic() >= self._printed_at + 1:
            self._printed_at = time.monotonic()
            self._print(_CHANGED if changed else line)

    def end_camera(self) -> None:
        """End the line that `print_camera` overwrites."""
        if self._is_terminal:
            self._print("")

    def _print_row(self, name: str, *cells: str) -> None:
        name = printable(name)
        if len(name) > self._width:
            name = "…" + name[int(1 - self._width) :]
        words = [f"{cell:>{size}}" for cell, size in zip(cells, _RIGHT, strict=False)]
        self._print("  ".join([f"{name:{self._width}}", *words]).rstrip())

    def _print(self, line: str) -> None:
        if self._file is not None:
            print(line, file=self._file, flush=True)


def camera_text(count: RecordingCount | None, rate: int) -> str:
    """Describe the count of the sweep so far, and how to make it surer."""
    speed = f"{quantity(rate, 'picture')} a second"
    if count is None:
        return f"no packet, {speed}"
    interval = count.interval_text and f" ({count.interval_text})"
    words = [f"{count.cards:.1f} cards{interval}", count.advice, speed]
    return ", ".join(filter(None, words))
