"""Compute 90 % intervals of counts, from errors on recordings that the network was not trained on.

Few recordings validate a network, often four. Their errors alone give intervals that are too wide
or too narrow by chance. The network that training started from has not seen any recording of the
data set, so its errors on all of them, except the held-out ones, give a quantile from many more
recordings. The validation recordings then tell by how much training lowered the errors.

This module does not import torch, because recordings are also counted with ONNX Runtime alone.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from cardpose.geometry.recording_count import BoxCount

_SHARE = 0.9  # of the intervals that contain the true count
_DOUBT = 2.0  # recordings without a change of the error that are added to the validation recordings


class Errors(NamedTuple):
    """Absolute errors of n counts, each divided by its expected error or by 1 card.

    Attributes:
        sizes: the errors.
        recordings: the recording of each count.
    """

    sizes: Float[np.ndarray, " n"]
    recordings: Shaped[np.ndarray, " n"]

    @property
    def weights(self) -> Float[np.ndarray, " n"]:
        """Weights that add up to 1 for each recording."""
        _, index, counts = np.unique(self.recordings, return_inverse=True, return_counts=True)
        return 1 / counts[index]

    def quantile(self) -> float:
        """Return the size below which _SHARE of the errors are, with equal recordings."""
        order, weights = np.argsort(self.sizes), self.weights
        passed = np.cumsum(weights[order]) / weights.sum()
        return float(self.sizes[order][np.searchsorted(passed, _SHARE - 1e-9)])

    def total(self) -> float:
        """Return the sum of the recordings' mean errors."""
        return float(self.weights @ self.sizes)


def interval_margin(start: Errors, start_validation: Errors, trained_validation: Errors) -> float:
    """Return half the width of a 90 % interval, in units of the errors.

    Args:
        start: errors of the network that training started from, on training and validation
            recordings.
        start_validation: the same on validation recordings alone.
        trained_validation: errors of the trained network on validation recordings.
    """
    doubt = _DOUBT * start.total() / len(np.unique(start.recordings))
    before, after = start_validation.total() + doubt, trained_validation.total() + doubt
    return start.quantile() * min(after / before, 1.0) if before else 0.0


def count_interval(predicted: Any, margin: float | None, deck: int) -> tuple[Any, Any]:
    """Return the lower and upper ends of the 90 % intervals of n counts, in cards.

    Args:
        predicted: (n,) counts, as an array or a tensor.
        margin: as `interval_margin` returns it; None gives NaN at both ends.
        deck: number of cards in a whole deck.
    """
    half = np.nan if margin is None else margin
    return (predicted - half).clip(1, deck), (predicted + half).clip(1, deck)


def recording_interval(count: BoxCount, metadata: Mapping[str, Any]) -> tuple[float, float]:
    """Return the ends of the 90 % interval of a recording's count, in cards.

    Args:
        metadata: of the network; uses "recording_margin" and "deck". Without a margin, both ends
            are NaN.
    """
    margin = metadata.get("recording_margin")
    half = np.nan if margin is None else margin * count.deviation
    low, high = np.clip([count.cards - half, count.cards + half], 1, metadata["deck"])
    return float(low), float(high)
