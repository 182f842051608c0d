import pytest
import torch

from cardpose.geometry.linalg import solve_positive_definite


@pytest.mark.parametrize("k", [1, 3, 11])
def test_solutions_are_those_of_lapack(k):
    generator = torch.Generator().manual_seed(k)
    root = torch.randn(200, k, 2 * k, generator=generator, dtype=torch.float64)
    # Turns in radians beside lengths in mm: units differ by orders of magnitude.
    units = 10 ** (4 * torch.rand(200, k, generator=generator, dtype=torch.float64) - 2)
    root = root * units[..., None]
    matrix, right = root @ root.transpose(1, 2), torch.randn(200, k, generator=generator).double()
    expected = torch.linalg.solve(matrix, right)
    off = (solve_positive_definite(matrix, right) - expected).abs() / expected.abs().amax(
        dim=1, keepdim=True
    )
    assert off.max() < 1e-8


def test_a_system_by_hand():
    # 4 x + 2 y = 2 and 2 x + 3 y = 7: x = -1, y = 3.
    matrix = torch.tensor([[[4.0, 2], [2, 3]]])
    assert solve_positive_definite(matrix, torch.tensor([[2.0, 7]]))[0].tolist() == pytest.approx(
        [-1, 3]
    )
