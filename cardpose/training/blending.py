"""Blend the weights that a training started from with those that it ended with.

A network that has learned a few recordings may read others worse than before. On the line between
the two sets of weights lie networks that keep both (M. Wortsman et al., "Robust fine-tuning of
zero-shot models", 2022). Validation frames choose the place on the line.
"""

from collections.abc import Callable, Mapping

from jaxtyping import Shaped
from torch import Tensor

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # shares of the trained weights that are tried
TOLERANCE = 0.1  # relative difference of errors that few validation recordings cannot tell

Weights = Mapping[str, Shaped[Tensor, "..."]]


def blend(start: Weights, trained: Weights, share: float) -> dict[str, Shaped[Tensor, "..."]]:
    """Return (1 - share) * start + share * trained. Take integers from `trained`."""
    return {
        name: start[name].lerp(weights, share) if weights.is_floating_point() else weights
        for name, weights in trained.items()
    }


def best_share(measure: Callable[[float], float]) -> float:
    """Return the largest share whose error is at most TOLERANCE above the smallest error.

    Args:
        measure: returns the error of a share on validation frames.
    """
    errors = {share: measure(share) for share in SHARES}
    bound = (1 + TOLERANCE) * min(errors.values())
    return max(share for share, error in errors.items() if error <= bound)
