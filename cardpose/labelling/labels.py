"""Labels of frames, read from a labelling tool's file or from annotations.csv."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from cardpose.common.errors import InputError


class Label(NamedTuple):
    """The label of one frame, in the order of KEYPOINTS.

    Attributes:
        points: fractions of the picture's width and height; NaN where not visible.
        visible: whether each keypoint is visible.
        mask: whether each keypoint is labelled.
    """

    points: Float[np.ndarray, "8 2"]
    visible: Bool[np.ndarray, "8"]
    mask: Bool[np.ndarray, "8"]


class Origin(NamedTuple):
    """Evidence in a file of how its n labels were made.

    Attributes:
        unconfirmed: whether the file lacks evidence that a person has checked the label.
        untouched: whether the file shows that the label still equals the exported proposal.
        places: fractions of the picture, also of hidden keypoints; NaN where the file has none.
        rounding: unit to which the tool rounded places, as fractions of the picture; 0 for none.
    """

    unconfirmed: Bool[np.ndarray, " n"]
    untouched: Bool[np.ndarray, " n"]
    places: Float[np.ndarray, "n 8 2"]
    rounding: Float[np.ndarray, "n 1 2"]


class Labels(NamedTuple):
    """Labels of n frames, read from a file.

    Attributes:
        frames: their names.
        points, visible, mask: see `Label`.
        origin: evidence of how the labels were made.
        left_out: {reason: number of entries} for entries of the file that are not labels.
        notes: lines for the user on other decisions.
    """

    frames: list[str]
    points: Float[np.ndarray, "n 8 2"]
    visible: Bool[np.ndarray, "n 8"]
    mask: Bool[np.ndarray, "n 8"]
    origin: Origin
    left_out: dict[str, int]
    notes: tuple[str, ...] = ()

    def label(self, row: int) -> Label:
        return Label(self.points[row], self.visible[row], self.mask[row])

    def take(self, rows: np.ndarray) -> "Labels":
        """Return the labels of these rows, in their order."""
        points, visible, mask = (part[rows] for part in (self.points, self.visible, self.mask))
        return self._replace(
            frames=[self.frames[row] for row in rows],
            points=points,
            visible=visible,
            mask=mask,
            origin=Origin(*(part[rows] for part in self.origin)),
        )


def plain_origin(points: Float[np.ndarray, "n 8 2"], unconfirmed: bool | list[bool]) -> Origin:
    """Return the `Origin` of labels from a file that stores only their `points`.

    Args:
        unconfirmed: one value for all labels, or one per label.
    """
    n = len(points)
    flags = np.broadcast_to(np.asarray(unconfirmed, bool), n).copy()
    return Origin(flags, np.zeros(n, bool), points, np.zeros((n, 1, 2)))


def no_labels(path: object, left_out: dict[str, int]) -> InputError:
    """Return the error for a file without labels, with the reasons from `left_out`."""
    why = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
    return InputError(f"{path}: holds no label" + (f": {why}" if why else ""))
