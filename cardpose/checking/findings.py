"""Findings of `cardpose check`."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from cardpose.dataset.names import frame_name

WRONG, INFO = "wrong", "info"
COLUMNS = ("recording", "frame", "level", "what", "corner", "off", "unit")


@dataclass(frozen=True)
class Finding:
    """A fault of a data set, or a remark.

    `frame` is an index, or None for the recording as a whole. `corner` names keypoints. `off` is
    the size of the fault in `unit`. `level` is WRONG or INFO. Findings of a larger `certainty`
    are listed first. `box` has the corners of the fitted box as fractions of the picture.
    """

    recording: str
    frame: int | None
    what: str
    corner: str = ""
    off: float | int | None = None
    unit: str = ""
    level: str = WRONG
    certainty: float = 0.0
    box: Float[np.ndarray, "8 2"] | None = None

    @property
    def name(self) -> str:
        """Name of the frame, or an empty string for the recording as a whole."""
        return "" if self.frame is None else frame_name(self.recording, self.frame)

    def row(self) -> tuple:
        """Return the values of COLUMNS, for a CSV file."""
        off = "" if self.off is None else round(self.off, 1)
        return self.recording, self.name, self.level, self.what, self.corner, off, self.unit
