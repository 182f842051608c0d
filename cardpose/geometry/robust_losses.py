"""Robust losses of squared residuals, by which outliers count less."""

from jaxtyping import Float64
from torch import Tensor


def cauchy_loss(squares: Float64[Tensor, "n m"]) -> tuple[Tensor, Tensor]:
    """Return the robust loss of squared residuals and its slope: minus the logarithm of Cauchy's
    density."""
    return (1 + squares).log(), 1 / (1 + squares)


def huber_loss(squares: Float64[Tensor, "n m"]) -> tuple[Tensor, Tensor]:
    """Return the robust loss of squared residuals and its slope: a smooth form of P. J. Huber's
    loss ("Robust Estimation of a Location Parameter", Annals of Mathematical Statistics 35,
    1964)."""
    bent = (1 + squares).sqrt()
    return 2 * (bent - 1), 1 / bent
