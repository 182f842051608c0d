"""Small systems of linear equations, in operations that every inference engine has."""

import torch


def solve_positive_definite(matrix, right):
    """x with `matrix` x = `right`, by elimination without exchanging rows.

    Args:
        matrix: (n, k, k), symmetric and positive definite, for which that is safe.
        right: (n, k).

    Returns:
        (n, k).
    """
    k = matrix.shape[-1]
    unit = torch.eye(k, dtype=matrix.dtype, device=matrix.device)
    rest = torch.cat([matrix, right[..., None]], dim=2)
    for i in range(k):
        column, rest = rest[..., :1], rest[..., 1:]
        row = rest[:, i : i + 1] / column[:, i : i + 1]
        rest = rest - (column - unit[:, i : i + 1]) * row
    return rest[..., 0]
