"""Robust losses of squared residuals. They give outliers less weight."""

from jaxtyping import Float64
from torch import Tensor


def cauchy_loss(squares: Float64[Tensor, "n m"]) -> tuple[Tensor, Tensor]:
    """Return the loss of squared residuals, and its slope.

    Up to a constant, the loss is the negative logarithm of A. Cauchy's density.
    """
    return (1 + squares).log(), 1 / (1 + squares)


def huber_loss(squares: Float64[Tensor, "n m"]) -> tuple[Tensor, Tensor]:
    """Return the loss of squared residuals, and its slope.

    The loss is a smooth form of P. J. Huber's ("Robust Estimation of a Location Parameter", Annals
    of Mathematical Statistics 35, 1964).
    """
    bent = (1 + squares).sqrt()
    return 2 * (bent - 1), 1 / bent
