"""Labels that come back from a tool exactly as they were proposed: nobody has corrected them.

COCO, and CSV without the column `annotated`, cannot tell whether somebody has looked at a proposal.
There, a frame counts as labelled if one of its corners moved, appeared or disappeared.
"""

from typing import NamedTuple

import numpy as np

from cardpose.labelling.merge import SAME


class Returned(NamedTuple):
    """What a file tells about how its n labels came to be.

    `unsure` (n,) is whether the file leaves open that somebody has looked at them; `untouched` (n,)
    whether the file itself shows that they are as they were sent. `places` (n, 8, 2) are fractions,
    also of hidden keypoints, NaN where the file has none. `step` (n, 1, 2) is the unit to which
    they were rounded, in fractions.
    """

    unsure: np.ndarray
    untouched: np.ndarray
    places: np.ndarray
    step: np.ndarray


def as_labels(points, unsure):
    """The `Returned` of labels in a file that holds nothing but their `points`.

    Args:
        unsure: one bool, or one for each label.
    """
    n = len(points)
    unsure = np.broadcast_to(np.asarray(unsure, bool), n).copy()
    return Returned(unsure, np.zeros(n, bool), points, np.zeros((n, 1, 2)))


def step(places):
    """The unit to which a tool has rounded places: 1, 0.1, or 0 for anything finer."""
    values = places[np.isfinite(places)]
    for unit in (1, 0.1):
        # A single corner may lie on a whole pixel by chance.
        if len(values) >= 8 and np.allclose(values / unit, np.round(values / unit), atol=1e-6):
            return unit
    return 0


def is_as(returned, row, mask, visible, sent, size):
    """Whether a label is what was sent, within what tools round.

    Args:
        row: the label's, in `returned`.
        mask, visible: (8,) each, of the label; keypoints that are not known are not compared.
        sent: (places (8, 2), visible (8,)) that were sent; NaN where there was no place.
        size: width and height of the frame's picture in pixels.
    """
    places, shown = sent
    if (visible != shown)[mask].any():
        return False
    off = (returned.places[row] - np.where(shown[:, None], np.clip(places, 0, 1), places)) * size
    off = off[mask & np.isfinite(off).all(axis=1)]
    unit = returned.step[row] * size
    rounded = np.abs(off) <= unit / 2 + SAME
    cut = (off <= SAME) & (off >= -unit - SAME)  # as int() rounds
    return bool(rounded.all() or cut.all())
