"""Count a recording from the box that all its pictures share."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64

from cardpose.geometry.projection import Pose, camera_position
from cardpose.geometry.shared_box import SharedBox
from cardpose.geometry.sweep import Contribution, Sweep

LEAST_CORNERS = 4  # visible keypoints of a picture that contributes
_BOX_ERROR = 0.3  # cards; errors that all pictures of a packet share


class BoxCount(NamedTuple):
    """Count from a box.

    Attributes:
        cards: not rounded, from 1 to the size of the deck.
        deviation: expected error in cards, before `recording_margin` of the network scales it.
        box: the box.
    """

    cards: float
    deviation: float
    box: SharedBox


def count_box(box: SharedBox, metadata: Mapping[str, Any]) -> BoxCount:
    """Convert the thickness of a box to cards.

    Args:
        metadata: of the network; uses "card" and "deck".
    """
    card, deck = metadata["card"][2], metadata["deck"]
    cards = float(np.clip(box.thickness / card, 1, deck))
    return BoxCount(cards, float(np.hypot(box.deviation / card, _BOX_ERROR)), box)


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
    pictures: Iterable[Contribution], metadata: Mapping[str, Any]
) -> BoxCount | None:
    """Count a recording from all its pictures; None without pictures."""
    sweep = Sweep()
    for picture in pictures:
        sweep.add(picture)
    box = sweep.estimate()
    return count_box(box, metadata) if box else None
