"""Findings of `cardpose check`."""

from dataclasses import dataclass

import numpy as np

from cardpose.dataset.names import frame_name

WRONG, INFO = "wrong", "info"
COLUMNS = ("recording", "frame", "level", "what", "corner", "off", "unit")


@dataclass(frozen=True)
class Finding:
    """One thing that looks wrong, or (`level` INFO) that is worth knowing. `frame` is None where
    the recording as a whole is meant; `off` is how far it is off, in `unit`, or None; `worse` says
    how certain it is: larger comes first."""

    recording: str
    frame: int | None
    what: str
    corner: str = ""
    off: float | None = None
    unit: str = ""
    level: str = WRONG
    worse: float = 0.0
    box: np.ndarray | None = None  # (8, 2) fractions, where the box says that the corners are

    @property
    def name(self):
        return "" if self.frame is None else frame_name(self.recording, self.frame)

    def row(self):
        """Its values in the order of COLUMNS, for a CSV file."""
        off = "" if self.off is None else round(self.off, 1)
        return self.recording, self.name, self.level, self.what, self.corner, off, self.unit
