"""Simulate the corners of random packets in front of random cameras.

No picture is drawn. The geometry heads learn from these corners to count the cards.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32

from cardpose.geometry.camera import orbit
from cardpose.geometry.card import card_corners, packet_keypoints
from cardpose.geometry.priors import LEAN_PRIOR, PICTURE_PRIORS


class SimulatedPackets(NamedTuple):
    """Corners in pixels, their visibility, and counts as a share of the deck."""

    points: Float32[np.ndarray, "n 8 2"]
    visible: Bool[np.ndarray, "n 8"]
    cards: Float32[np.ndarray, " n"]


def simulate(
    rng: np.random.Generator,
    n: int,
    deck: int,
    image_size: Sequence[int],
    focal: float,
    card: Sequence[float],
) -> SimulatedPackets:
    """Simulate `n` packets seen by a hand-held phone.

    Args:
        rng: source of the random numbers.
        n: number of packets.
        deck: largest number of cards in a packet; the smallest is 1.
        image_size: (width, height) of the picture in pixels.
        focal: focal length in picture widths; cameras deviate from it by up to 3 %.
        card: (width, length, thickness) of a card in mm.
    """
    width, height = image_size
    corners = card_corners(*card[:2])
    points, visible = np.empty((n, 8, 2), np.float32), np.empty((n, 8), bool)
    cards = rng.integers(1, deck + 1, n)
    for i in range(n):
        thickness = cards[i] * card[2] * rng.normal(1, 0.01)
        camera = orbit(
            azimuth=rng.uniform(0, 2 * np.pi),
            elevation=np.radians(rng.uniform(18, 58)),
            distance=rng.uniform(90, 300),
            target=np.array([0, 0, thickness / 2]),
            aim=(width * rng.uniform(0.25, 0.75), height * rng.uniform(0.2, 0.75)),
            roll=rng.normal(0, 0.15),
            focal=width * focal * rng.uniform(0.97, 1.03),
            width=width,
            height=height,
        )
        twist = rng.normal(0, PICTURE_PRIORS.twist) * np.array([-1, 1, 1, -1])
        face = np.column_stack([corners + LEAN_PRIOR.draw(rng, thickness), twist])
        back = np.column_stack([corners, thickness + twist])
        points[i], visible[i] = packet_keypoints(camera, face, back)
    return SimulatedPackets(points, visible, (cards / deck).astype(np.float32))
