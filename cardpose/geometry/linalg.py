"""Linear algebra in operations that every inference engine has."""

import torch
from jaxtyping import Float
from torch import Tensor


def solve_positive_definite(
    matrix: Float[Tensor, "n k k"], right: Float[Tensor, "n k"]
) -> Float[Tensor, "n k"]:
    """Return x with `matrix` x = `right`, by elimination without exchanging rows.

    That is safe for symmetric, positive definite matrices.
    """
    k = matrix.shape[-1]
    unit = torch.eye(k, dtype=matrix.dtype, device=matrix.device)
    rest = torch.cat([matrix, right[..., None]], dim=2)
    for i in range(k):
        column, rest = rest[..., :1], rest[..., 1:]
        row = rest[:, i : i + 1] / column[:, i : i + 1]
        rest = rest - (column - unit[:, i : i + 1]) * row
    return rest[..., 0]


def rotation_of(
    vector: Float[Tensor, "n 3"], cross_product: Float[Tensor, "3 9"]
) -> Float[Tensor, "n 3 3"]:
    """Return rotations about vectors, by A. Cayley's formula.

    The matrices are exact rotations. Their angles are 2 atan(length / 2), nearly the vectors'
    lengths in radians where these are small.

    Args:
        vector: axis, and nearly the angle.
        cross_product: `projection.CROSS_PRODUCT` as a tensor.
    """
    half = vector / 2
    share = 2 / (1 + half.square().sum(dim=1))
    across = (half @ cross_product).unflatten(1, (3, 3))
    unit = torch.eye(3, dtype=vector.dtype, device=vector.device)
    return unit + share[:, None, None] * (across + across @ across)
