"""Rendered deck: number and size of its cards."""

from collections.abc import Sequence

import numpy as np

from cardpose.geometry.card import CARD_LENGTH, CARD_WIDTH

DECK = 52  # cards
_THICKEST = 0.6  # mm per card; thicker cards enlarge the scene, to keep cameras above the packet

CardSize = Sequence[float | int]  # width, length and thickness of a card in mm


def size_ratio(card: CardSize) -> float:
    """Return the scale of a scene with this deck relative to one with the usual deck.

    Lengths in this package are given for the usual deck. Multiplying them by this ratio shows
    another deck at the same size in the picture. Divide pixels per mm by this ratio to keep the
    number of pixels in a texture.
    """
    width, length, thickness = card
    diagonal_ratio = float(np.hypot(width, length) / np.hypot(CARD_WIDTH, CARD_LENGTH))
    return max(diagonal_ratio, thickness / _THICKEST)
