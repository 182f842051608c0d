"""Packets that nobody filmed: where a random camera would see the corners of a random packet.

No picture is drawn. The count's head learns geometry from these: how far the face lies below the
back, seen from here, is so many cards.
"""

import numpy as np

from cardpose.geometry.camera import orbit
from cardpose.geometry.card import card_corners, packet_keypoints
from cardpose.geometry.priors import LEAN, LEAN_MORE, TWIST


def simulate(rng, n, deck, image_size, focal, card):
    """Corners of `n` packets as a phone held in a hand would see them.

    Args:
        rng: numpy random Generator.
        deck: packets hold 1 to `deck` cards.
        image_size: (width, height) of the picture in pixels.
        focal: focal length of the camera in picture widths, about.
        card: (width, length, thickness) of a card in mm.

    Returns:
        points (n, 8, 2) float32 pixels, visible (n, 8) bool, cards (n,) float32 as a share of
        the deck.
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
        twist = rng.normal(0, TWIST) * np.array([-1, 1, 1, -1])
        face = np.column_stack([corners + rng.normal(0, LEAN + LEAN_MORE * thickness, 2), twist])
        back = np.column_stack([corners, thickness + twist])
        points[i], visible[i] = packet_keypoints(camera, face, back)
    return points, visible, (cards / deck).astype(np.float32)
