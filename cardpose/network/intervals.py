"""Compute 90 % intervals of counts, from the errors on validation recordings."""

from collections.abc import Hashable, Iterable
from typing import TypeVar

import numpy as np
from jaxtyping import Float
from scipy import stats
from torch import Tensor

Counts = TypeVar("Counts", np.ndarray, Tensor)


def interval_margin(
    predicted: Float[np.ndarray, " n"],
    cards: Float[np.ndarray, " n"],
    recordings: Iterable[Hashable],
) -> float:
    """Return half the width of a 90 % interval, in cards.

    Frames of one recording have nearly the same error, so the number of independent errors is the
    number of recordings. It can be as low as three. Student's t distribution allows for that.

    Args:
        predicted: counts of frames that the network was not trained on.
        cards: their true counts.
        recordings: the recording of each frame.
    """
    import pandas as pd  # not at the top: `count_interval` has to work without pandas

    squares = pd.Series((predicted - cards) ** 2).groupby(np.asarray(recordings)).mean()
    return float(stats.t.ppf(0.95, len(squares)) * np.sqrt(squares.mean()))


def count_interval(predicted: Counts, margin: float | None) -> tuple[Counts, Counts]:
    """Return the lower and upper ends of the 90 % intervals of n counts, in cards.

    Args:
        predicted: (n,) counts.
        margin: as `interval_margin` returns it; None gives NaN at both ends.
    """
    half = np.nan if margin is None else margin
    return (predicted - half).clip(min=0), predicted + half
