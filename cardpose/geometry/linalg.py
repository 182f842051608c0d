"""Linear algebra from operations that every inference engine supports."""

import torch
from jaxtyping import Float
from torch import Tensor


def solve_positive_definite(
    matrix: Float[Tensor, "n k k"], right: Float[Tensor, "n k"]
) -> Float[Tensor, "n k"]:
    """Solve `matrix` x = `right` by Gauss-Jordan elimination without pivoting.

    Symmetric, positive definite matrices need no pivoting.
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
    """Return rotation matrices from vectors, by A. Cayley's formula.

    The matrices are exact rotations. Their angles are 2 atan(length / 2), in radians. For short
    vectors, this is close to the length.

    Args:
        vector: axes of rotation. Their lengths set the angles.
        cross_product: `projection.CROSS_PRODUCT` as a tensor.
    """
    half = vector / 2
    share = 2 / (1 + half.square().sum(dim=1))
    across = (half @ cross_product).unflatten(1, (3, 3))
    unit = torch.eye(3, dtype=vector.dtype, device=vector.device)
    return unit + share[:, None, None] * (across + across @ across)
