"""Edges: which are traced, where they are found, and how a tracer learns."""

import numpy as np
import pytest
import torch
from networks import FixedDistance, details
from support import seen

from cardpose.geometry.box import KINDS
from cardpose.network import strips
from cardpose.network.strips import Tracer
from cardpose.pictures.letterbox import DETAIL
from cardpose.training.losses import tracer_loss


def trace(network, details, pose):
    return strips.trace_strips(network.tracer, network.fitter.box, details, pose)


def posed(network, tracer):
    """Return the pose of a packet of 9 mm in the middle of the picture, and its traced edges."""
    points, visible = seen([-100.0], 9.0)
    points = torch.from_numpy(points / 10)
    network.tracer = tracer
    pose, _ = network.fitter.fit(points, torch.from_numpy(visible), torch.tensor([9.0]))
    return pose, trace(network, details(1), pose)


def test_edges_found_where_the_box_has_them_leave_it_unchanged(network):
    pose, edges = posed(network, FixedDistance())
    points = network.fitter.box.keypoints(pose)
    again = network.fitter.refine(pose, points, torch.ones(1, 8, dtype=torch.bool), edges)
    assert torch.allclose(network.fitter.box.keypoints(again), points, atol=0.05)
    assert again.numbers[0, 3] == pytest.approx(9.0, abs=0.05)


def test_only_visible_edges_in_the_picture_are_traced(network):
    pose, edges = posed(network, FixedDistance())
    _, _, kinds, _ = network.fitter.box.edges(pose)
    used = (edges.weight > 0).any(dim=2)
    assert (used == kinds.any(dim=2)).all()
    beside = pose._replace(numbers=pose.numbers + torch.tensor([300.0] + [0] * 7))
    assert not trace(network, details(1), beside).weight.any()


def test_distances_of_the_tracer_are_detail_pixels_away_from_the_packet(network):
    pose, edges = posed(network, FixedDistance(3.0))
    starts, ends, _, _ = network.fitter.box.edges(pose)
    middle = (starts + ends) / 2
    moved = (edges.place.mean(dim=2) - (middle * edges.normal).sum(dim=2))[0]
    assert moved.tolist() == pytest.approx([3 / DETAIL] * 12)
    outward = ((middle - middle.mean(dim=1, keepdim=True)) * edges.normal).sum(dim=2)[0]
    assert (outward[[2, 3, 6, 7]] > 0).all()  # the edges of the two visible sides


def test_a_packet_cut_off_by_the_picture_is_traced_inside_of_it(network):
    pose, _ = posed(network, FixedDistance())
    aside = torch.tensor([80.0] + [0] * 7)
    edges = trace(network, details(1), pose._replace(numbers=pose.numbers + aside))
    starts, ends, _, _ = network.fitter.box.edges(pose._replace(numbers=pose.numbers + aside))
    at = starts[:, :, None] + (ends - starts)[:, :, None] * edges.share[:, None]
    inside = ((at > 1) & (at < torch.tensor([63, 47]))).all(dim=3)
    used = edges.weight > 0
    assert used.any()
    assert not (used & ~inside).any()


@pytest.mark.parametrize(("log_error", "pixels"), [(-4.0, 0.0683), (0.0, 1.05), (2.0, 7.4391)])
def test_an_edge_weighs_one_over_the_error_that_the_tracer_expects(network, log_error, pixels):
    """`pixels` is the expected error plus 0.05, in detail pixels."""
    _, edges = posed(network, FixedDistance(log_error=log_error))
    used = edges.weight[edges.weight > 0].tolist()
    assert used == pytest.approx([DETAIL / pixels] * len(used), rel=1e-3)
    assert len(used) >= strips.POINTS


def test_a_tracer_is_given_the_height_of_the_packet_s_sides(network):
    tracer = FixedDistance()
    pose, _ = posed(network, tracer)
    corners = network.fitter.box.keypoints(pose)[0]
    # Each upright edge is from a face's keypoint to the back's keypoint two places after it.
    upright = [float((corners[i] - corners[i + 2]).norm()) for i in (0, 1, 4, 5)]
    assert tracer.heights.tolist() == pytest.approx([DETAIL * np.mean(upright)], rel=1e-4)
    assert tracer.heights > 1


def test_a_tracer_uses_the_height_of_the_packet_s_sides():
    torch.manual_seed(0)
    tracer = Tracer().eval()
    strip = 255 * torch.rand(1, 12, 3, 2 * strips.REACH + 1, strips.LENGTH)
    kinds = torch.ones(1, 12, KINDS, dtype=torch.bool)
    low, high = (tracer(strip, kinds, torch.tensor([height]))[0] for height in (2.0, 20.0))
    assert (low - high).abs().min() > 1e-4


def test_an_untrained_tracer_has_no_weight(network):
    tracer = FixedDistance(5.0)
    tracer.taught = network.tracer.taught
    _, edges = posed(network, tracer)
    assert not edges.weight.any()


def test_a_tracer_learns_where_edges_are_and_how_far_off_it_is():
    torch.manual_seed(0)
    tracer, n = Tracer(), 12
    kinds, heights = torch.zeros(1, n, KINDS, dtype=torch.bool), torch.tensor([10.0])
    optimizer = torch.optim.AdamW(tracer.parameters(), 1e-2)
    rows = torch.arange(-strips.REACH, strips.REACH + 1)[:, None]
    for step in range(61):
        tracer.train(step < 60)
        place = 16 * torch.rand(1, n, 1) - 8
        bright = (0.5 + place[..., None] - rows).clamp(0, 1)  # above the edge
        cut = (200 * bright)[:, :, None].expand(-1, -1, 3, -1, strips.LENGTH)
        true = place.expand(-1, -1, strips.POINTS)
        places, spreads = tracer(cut, kinds, heights)
        assert places.shape == spreads.shape == (1, n, strips.POINTS)
        loss = tracer_loss(places, spreads, true, torch.ones_like(true, dtype=torch.bool))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (places - true).abs().mean() < 1
    assert spreads.exp().mean() < 2
