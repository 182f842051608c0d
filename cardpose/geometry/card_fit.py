"""Fit the thickness of one card to recordings whose counts are given."""

import numpy as np
from jaxtyping import Float, Num

_SPREAD = 0.03  # relative standard deviation of the thickness of decks' cards
_MODEL_ERROR = 0.1  # mm, error of a packet's thickness beside that of the fit: a third of a card


def fit_card(
    thickness: Float[np.ndarray, " n"],
    deviation: Float[np.ndarray, " n"],
    cards: Num[np.ndarray, " n"],
    usual: float,
) -> float:
    """Return the thickness of one card in mm.

    Minimize the weighted sum of squares of `thickness` - `cards` * card, with a normal prior on the
    card's thickness: mean `usual`, standard deviation _SPREAD * `usual`. The weight of a recording
    is the inverse of `deviation`^2 + _MODEL_ERROR^2.

    Args:
        thickness, deviation: of the box fitted to each recording, and its standard deviation, in
            mm.
        cards: number of cards in each recording.
        usual: thickness of a usual card in mm.
    """
    weight = 1 / (deviation**2 + _MODEL_ERROR**2)
    firm = 1 / (_SPREAD * usual) ** 2
    total = (weight * cards**2).sum() + firm
    return float(((weight * cards * thickness).sum() + firm * usual) / total)
