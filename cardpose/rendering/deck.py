"""The rendered deck: how many cards it has, and how large they are."""

from collections.abc import Sequence

import numpy as np

from cardpose.geometry.card import CARD_LENGTH, CARD_WIDTH

DECK = 52  # cards
_THICKEST = 0.6  # mm per card; above a thicker packet, a near camera would stand below its top

CardSize = Sequence[float | int]  # width, length and thickness of a card in mm


def size_ratio(card: CardSize) -> float:
    """Return how many times larger than the usual deck everything has to be for this one.

    Distances and scales in this package are given for the usual deck. Multiplied by this ratio,
    they show another deck as large in the picture, with textures of as many pixels.
    """
    width, length, thickness = card
    diagonal_ratio = float(np.hypot(width, length) / np.hypot(CARD_WIDTH, CARD_LENGTH))
    return max(diagonal_ratio, thickness / _THICKEST)
