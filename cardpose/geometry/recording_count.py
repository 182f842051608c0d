"""Count a recording from the box that all its pictures share.

A few pictures from one side tell little of the box. The median of the pictures' own counts then
adds to it, with the weight of its usual error.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64

from cardpose.geometry.projection import Pose, camera_position
from cardpose.geometry.shared_box import SharedBox
from cardpose.geometry.sweep import Contribution, Sweep

LEAST_CORNERS = 4  # visible keypoints of a picture that contributes
_BOX_ERROR = 0.3  # cards; errors that all pictures of a packet share
_MEDIAN_ERROR = 2.5  # cards; usual error of the median of the pictures' counts


class BoxCount(NamedTuple):
    """Count from a box and from single pictures.

    Attributes:
        cards: not rounded, from 1 to the size of the deck.
        deviation: expected error in cards, before `recording_margin` of the network scales it.
        box: the box.
    """

    cards: float
    deviation: float
    box: SharedBox


def count_box(
    box: SharedBox, counts: Sequence[float] | Float[np.ndarray, " n"], metadata: Mapping[str, Any]
) -> BoxCount:
    """Count a packet from its box and from the counts of its pictures.

    Args:
        counts: of the pictures, in cards.
        metadata: of the network; uses "card" and "deck".
    """
    card, deck = metadata["card"][2], metadata["deck"]
    deviation = float(np.hypot(box.deviation / card, _BOX_ERROR))
    by_box, by_pictures = 1 / deviation**2, 1 / _MEDIAN_ERROR**2
    total = by_box + by_pictures
    cards = (by_box * box.thickness / card + by_pictures * np.median(counts)) / total
    return BoxCount(float(np.clip(cards, 1, deck)), float(total**-0.5), box)


def contributions(
    information: Float[np.ndarray, "n 4 4"],
    vector: Float[np.ndarray, "n 4"],
    visible: Bool[np.ndarray, "n 8"],
    pose: Pose,
) -> list[Contribution]:
    """Return the contributions of the pictures that show at least LEAST_CORNERS keypoints.

    Args:
        information, vector: see `box_information`.
        pose: of the box fitted to each picture.
    """
    cameras: Float64[np.ndarray, "n 3"] = camera_position(pose)
    rows = np.flatnonzero(visible.sum(axis=1) >= LEAST_CORNERS)
    return [Contribution(information[i], vector[i], cameras[i]) for i in rows]


def count_pictures(
    pictures: Sequence[Contribution],
    counts: Float[np.ndarray, " n"],
    metadata: Mapping[str, Any],
) -> BoxCount | None:
    """Count a recording from all its pictures; None if none contributes.

    Args:
        counts, metadata: as in `count_box`.
    """
    sweep = Sweep()
    for picture in pictures:
        sweep.add(picture)
    box = sweep.estimate()
    return count_box(box, counts, metadata) if box else None
