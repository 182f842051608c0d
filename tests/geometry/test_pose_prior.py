"""The prior of the fit to one picture, against values worked out by hand."""

import pytest
import torch
from support import CARD, FOCAL, SIZE

from cardpose.geometry.box import BoxModel
from cardpose.geometry.pose_prior import calculate_prior_cost, pose_prior
from cardpose.geometry.projection import THICKNESS, Pose

BOX = BoxModel(SIZE, FOCAL, CARD, 52)
ONE = torch.ones(1, 8)


def prior_cost(thickness, lean=(0.0, 0.0), twist=0.0, zoom=0.0, given=None):
    prior = pose_prior(BOX, ONE, None if given is None else torch.tensor([given]))
    numbers = torch.tensor([[0, 0, 0, thickness, *lean, twist, zoom]], dtype=torch.float64)
    pose = Pose(torch.eye(3, dtype=torch.float64)[None], numbers)
    return calculate_prior_cost(BOX, pose, prior)


@pytest.mark.parametrize("thickness", [0.0, 0.3, 7.8, 15.6])
def test_all_thicknesses_of_the_deck_are_as_likely(thickness):
    cost, gradient, _ = prior_cost(thickness)
    assert cost == 0
    assert (gradient == 0).all()


@pytest.mark.parametrize(("thickness", "expected"), [(15.6 + 0.108, 1), (15.6 + 0.216, 4)])
def test_thicknesses_beyond_the_deck_cost_the_square_of_their_excess(thickness, expected):
    """The unevenness of half a deck is 0.03 + 0.01 * 7.8 = 0.108 mm."""
    cost, gradient, curvature = prior_cost(thickness)
    assert cost.item() == pytest.approx(expected)
    below, opposite, _ = prior_cost(15.6 - thickness)
    assert below.item() == pytest.approx(expected)
    assert opposite[0, THICKNESS].item() == pytest.approx(-gradient[0, THICKNESS].item())
    assert curvature[0, THICKNESS].item() == pytest.approx(1 / 0.108**2)


def test_a_given_thickness_is_normally_distributed():
    """The unevenness of 12 mm is 0.03 + 0.01 * 12 = 0.15 mm."""
    cost, gradient, curvature = prior_cost(12.3, given=12.0)
    assert cost.item() == pytest.approx(4)
    assert gradient[0, THICKNESS].item() == pytest.approx(0.3 / 0.15**2)
    assert curvature[0, THICKNESS].item() == pytest.approx(1 / 0.15**2)


def test_a_thickness_within_the_deck_is_moved_with_the_curvature_of_a_uniform_distribution():
    """The variance of 0 to 15.6 mm is 15.6^2 / 12."""
    _, _, curvature = prior_cost(3.0)
    assert curvature[0, THICKNESS].item() == pytest.approx(12 / 15.6**2)


def test_a_lean_costs_the_square_of_its_deviations():
    """A scale of 0.4 + 0.07 * 6 = 0.82 mm. The variance of t with 6 degrees of freedom is 1.5."""
    cost, _, _ = prior_cost(6.0, (1.0, -3.0))
    assert cost.item() == pytest.approx((1 + 9) / (1.5 * 0.82**2))


@pytest.mark.parametrize("lean", [(0.2, 0.1), (1.0, -3.0), (0.0, 20.0)])
def test_the_gradient_of_a_lean_is_half_the_slope_of_its_cost(lean):
    _, gradient, _ = prior_cost(6.0, lean)
    for i in (0, 1):
        up, down = list(lean), list(lean)
        up[i] += 1e-5
        down[i] -= 1e-5
        slope = (prior_cost(6.0, up)[0] - prior_cost(6.0, down)[0]) / 2e-5
        assert slope.item() == pytest.approx(2 * gradient[0, 4 + i].item(), rel=1e-5, abs=1e-6)


def test_thick_packets_lean_further():
    assert prior_cost(12.0, (2.0, 0.0))[0] < prior_cost(3.0, (2.0, 0.0))[0]
