"""The loss, against values worked out by hand."""

import math
from math import log

import pytest
import torch

from cardpose.params import Loss
from cardpose.training.losses import closer_loss, losses, tracer_loss


def weights(heatmaps=1, cards=1, visibility=1):
    return Loss(heatmaps=heatmaps, cards=cards, visibility=visibility)


def perfect():
    """Target of two pictures with heatmaps of 2 x 2, and a prediction that is right."""
    target = (torch.zeros(2, 8, 2, 2), torch.tensor([0.5, 0.25]), torch.ones(2, 8))
    predicted = (target[0].clone(), target[1][:, None].repeat(1, 2), torch.full((2, 8), 100.0))
    return predicted, target


def test_a_perfect_prediction_costs_nothing():
    found = losses(*perfect(), weights())
    assert set(found) == {"heatmaps", "cards", "visibility", "total"}
    assert all(value.item() == pytest.approx(0) for value in found.values())


def test_heatmaps_are_mean_squared_over_all_pixels():
    predicted, target = perfect()
    predicted[0][1, 3, 0, 1] = 1.0
    predicted[0][0, 0, 1, 1] = -3.0
    # (1 + 9) / (2 pictures x 8 channels x 4 pixels)
    assert losses(predicted, target, weights())["heatmaps"].item() == pytest.approx(10 / 64)


def test_cards_are_mean_squared_shares():
    predicted, target = perfect()
    predicted[1][:, 0] = torch.tensor([0.3, 0.35])
    # (0.2^2 + 0.1^2) / 2
    assert losses(predicted, target, weights())["cards"].item() == pytest.approx(0.025)


def test_the_count_by_keypoints_costs_nothing():
    predicted, target = perfect()
    predicted[1][:, 1] = 9.0
    found = losses(predicted, target, weights())
    assert found["cards"].item() == 0
    assert found["total"].item() == pytest.approx(0)


def test_visibility_is_cross_entropy_of_logits():
    predicted, target = perfect()
    # Logit ln 3 is a chance of 3/4.
    predicted[2][0, 0] = log(3)
    predicted[2][1, 7] = log(3)
    target[2][1, 7] = 0
    wanted = (-log(3 / 4) - log(1 / 4)) / 16
    assert losses(predicted, target, weights())["visibility"].item() == pytest.approx(wanted)


def test_the_total_weighs_the_parts_and_the_parts_stay_unweighted():
    predicted, target = perfect()
    predicted[0][0, 0, 0, 0] = 8.0  # 64 / 64
    predicted[1][0, 0] = 2.5  # 4 / 2
    predicted[2][:] = 0.0  # ln 2
    found = losses(predicted, target, weights(heatmaps=1000, cards=10, visibility=0.5))
    assert found["heatmaps"].item() == pytest.approx(1)
    assert found["cards"].item() == pytest.approx(2)
    assert found["visibility"].item() == pytest.approx(log(2))
    assert found["total"].item() == pytest.approx(1000 * 1 + 10 * 2 + 0.5 * log(2))


def partial_mask():
    """Three keypoints of the first picture's are labelled, none of the second's."""
    mask = torch.zeros(2, 8, dtype=torch.bool)
    mask[0, :3] = True
    return mask


def test_heatmaps_and_visibility_average_over_labels_and_the_count_over_all_pictures():
    predicted, target = perfect()
    predicted[0][0, 0, 1, 1] = 3.0
    predicted[0][0, 5, 0, 0] = 7.0  # no label
    predicted[0][1, 1, 0, 0] = 7.0  # no label
    predicted[1][1, 0] = 0.75
    predicted[2][0, 1] = log(3)
    predicted[2][1, 1] = -50.0  # no label
    found = losses(predicted, target, weights(), partial_mask())
    assert found["heatmaps"].item() == pytest.approx(9 / (3 * 4))  # three keypoints of 2 x 2
    assert found["visibility"].item() == pytest.approx(-log(3 / 4) / 3)
    assert found["cards"].item() == pytest.approx(0.5**2 / 2)


def test_keypoints_without_labels_give_no_gradient():
    predicted, target = perfect()
    outputs = tuple((part + 0.1).requires_grad_() for part in predicted)
    losses(outputs, target, weights(), partial_mask())["total"].backward()
    mask = partial_mask()
    assert (outputs[0].grad[mask] != 0).all()
    assert not outputs[0].grad[~mask].any()
    assert not outputs[2].grad[~mask].any()
    assert (outputs[1].grad[:, 0] != 0).all()


def test_without_labels_only_the_count_gives_a_gradient():
    predicted, target = perfect()
    outputs = tuple((part + 0.1).requires_grad_() for part in predicted)
    found = losses(outputs, target, weights(), torch.zeros(2, 8, dtype=torch.bool))
    assert found["heatmaps"].item() == found["visibility"].item() == 0
    found["total"].backward()
    # Zero and not missing: processes that train together wait for each other's.
    assert (outputs[0].grad == 0).all()
    assert (outputs[2].grad == 0).all()
    assert outputs[1].grad.abs().sum() > 0


def test_a_full_mask_changes_no_bit_of_losses_and_gradients():
    torch.manual_seed(0)
    target = (torch.rand(3, 8, 5, 7), torch.rand(3), (torch.rand(3, 8) > 0.5).float())
    found = {}
    for mask in (None, torch.ones(3, 8, dtype=torch.bool)):
        torch.manual_seed(1)
        outputs = (torch.randn(3, 8, 5, 7), torch.randn(3, 2), torch.randn(3, 8))
        outputs = tuple(output.requires_grad_() for output in outputs)
        parts = losses(outputs, target, weights(10000, 1, 0.1), mask)
        parts["total"].backward()
        found[mask is None] = [*parts.values(), *(output.grad for output in outputs)]
    plain = [
        torch.nn.functional.mse_loss(outputs[0], target[0]),
        torch.nn.functional.mse_loss(outputs[1][:, 0], target[1]),
        torch.nn.functional.binary_cross_entropy_with_logits(outputs[2], target[2]),
    ]
    assert all(torch.equal(a, b) for a, b in zip(found[False], found[True], strict=True))
    assert all(torch.equal(a, b) for a, b in zip(found[False], plain, strict=False))


def test_half_precision_and_bool_labels_are_compared_in_full_precision():
    predicted, target = perfect()
    # 300^2 is above the largest float16.
    predicted[0][0, 0, 0, 0] = 300.0
    half = tuple(part.half() for part in predicted)
    stored = (target[0].half(), target[1], target[2].bool())
    found = losses(half, stored, weights())
    assert found["heatmaps"].item() == pytest.approx(300**2 / 64)
    assert found["total"].dtype == torch.float32


def test_gradients_reach_all_three_outputs():
    predicted, target = perfect()
    outputs = tuple((part + 0.1).requires_grad_() for part in predicted)
    losses(outputs, target, weights())["total"].backward()
    assert all(output.grad.abs().sum() > 0 for output in outputs[:2])
    # d BCE / d logit = (sigmoid(logit) - label) / 16
    outputs = (*predicted[:2], torch.zeros(2, 8, requires_grad=True))
    losses(outputs, target, weights())["total"].backward()
    assert torch.allclose(outputs[2].grad, torch.full((2, 8), -0.5 / 16))


def test_the_closer_has_hubers_loss_of_places_and_counts():
    true = torch.zeros(1, 8, 2)
    visible = torch.tensor([[True, True] + [False] * 6])
    points = true.clone()
    points[0, 0] = torch.tensor([1.0, 10.0])
    points[0, 5] = 1000  # not visible
    # Below 2 px d^2 / 4, beyond it d - 1; four coordinates are compared. Half as much for cards.
    place = (1 / 4 + 9 + 0 + 0) / 4
    cards = (1 / 4 + 4) / 2 / 2
    found = closer_loss(points, true, visible, torch.tensor([7.0, 15.0]), torch.tensor([8.0, 10.0]))
    assert found.item() == pytest.approx(place + cards)


def test_without_labels_the_closer_learns_the_count_alone():
    places = torch.rand(2, 8, 2)
    hidden = torch.zeros(2, 8, dtype=torch.bool)
    cards = torch.tensor([5.0, 5.0])
    assert closer_loss(places, places + 9, hidden, cards, cards).item() == 0


def test_the_tracer_has_the_log_density_of_laplace_as_its_loss():
    places = torch.zeros(1, 12, 4)
    true, spreads, counts = places.clone(), places.clone(), places > 0
    true[0, 0, 0], counts[0, 0, 0] = 3.0, True
    true[0, 1, 2], counts[0, 1, 2], spreads[0, 1, 2] = 2.0, True, math.log(2)
    true[0, 5] = 99  # does not count
    # |d| / b + log b of Laplace's density of spread b, up to a constant.
    expected = (3 + (1 + math.log(2))) / 2
    assert tracer_loss(places, spreads, true, counts).item() == pytest.approx(expected)
    assert tracer_loss(places, spreads, true, places > 0).item() == 0
