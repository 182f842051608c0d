"""Targets of close-ups and strips: labels, predictions where there are none, and fitted boxes."""

import dataclasses

import numpy as np
import pytest
import torch
from made_up import made_up_tensors, network_of
from support import seen

from cardpose.geometry.box import BoxModel
from cardpose.geometry.box_fit import BoxFitter
from cardpose.geometry.heatmaps import decode
from cardpose.geometry.keypoints import EDGES
from cardpose.network.predict import pair_loader, predict_frames
from cardpose.training.recipes import pretrain
from cardpose.training.targets import closeup_starts, corner_targets, edge_targets

CARD = (63.0, 88.0, 0.3)
THICKNESS = 9.0  # mm


@pytest.fixture
def pretrained(partly):
    """A tiny network with its metadata, and frames of which few have labels."""
    params, tensors = partly
    weights, metadata = pretrain(tensors, np.arange(0, 12, 3), params)
    return network_of(weights, metadata).eval(), metadata, tensors


@pytest.fixture
def orbit():
    """Twelve frames of a packet of 9 mm from places nearby, all corners labelled as visible."""
    points = (seen(np.linspace(-120, -105, 12), THICKNESS)[0] / 10).astype(np.float32)
    cards = np.full(12, THICKNESS / CARD[2] / 52, np.float32)
    return made_up_tensors(12, points, np.ones((12, 8), bool), cards)


def fitted_edges(tensors, rows):
    fitter = BoxFitter(BoxModel((64, 48), 1.06, CARD, 52))
    return edge_targets(fitter, tensors, rows, 52 * CARD[2], tensors.points, tensors.visible)


def first_heatmaps(network, tensors, rows):
    """Peaks of the heatmaps of frames, and which keypoints the network calls visible."""
    pictures = torch.from_numpy(tensors.pictures[rows]).permute(0, 3, 1, 2)
    with torch.no_grad():
        heatmaps, _, logits = network(pictures)
    points, _ = decode(heatmaps, network.stride, network.sigma)
    return points.numpy(), (logits > 0).numpy()


def test_close_ups_start_at_the_peaks_of_each_frames_own_heatmaps(pretrained):
    network, _, tensors = pretrained
    rows = np.array([7, 2, 10])
    starts, _ = closeup_starts(network, tensors, rows)
    for row in rows:
        assert starts[row] == pytest.approx(first_heatmaps(network, tensors, [row])[0][0], abs=1e-3)
    others = np.setdiff1d(np.arange(12), rows)
    assert not starts[others].any()


def test_labels_decide_what_is_visible_and_the_network_where_there_are_none(pretrained):
    network, _, tensors = pretrained
    rows = np.arange(12)
    predicted = first_heatmaps(network, tensors, rows)[1]
    # Labels that all contradict the network.
    opposed = dataclasses.replace(tensors, visible=~predicted & tensors.mask)
    _, visible = closeup_starts(network, opposed, rows)
    assert np.array_equal(visible, np.where(tensors.mask, ~predicted, predicted))


def test_corners_without_labels_are_where_the_network_predicts_them(pretrained):
    network, metadata, tensors = pretrained
    points, visible = corner_targets(network, tensors, np.arange(2, 12))
    predicted = predict_frames(network, pair_loader(tensors, np.array([4, 5]), 2), metadata)
    assert points[[4, 5]] == pytest.approx(predicted.points, abs=1e-3)
    assert np.array_equal(visible[[4, 5]], predicted.visible)
    for rows in ([0, 3, 6, 9], [1]):  # with labels, and not among the rows
        assert np.array_equal(points[rows], tensors.points[rows])
        assert np.array_equal(visible[rows], tensors.visible[rows])


def test_the_count_decides_how_high_the_sides_are(orbit):
    heights = []
    for thickness in (9.0, 9.6):
        orbit.cards[:] = thickness / CARD[2] / 52
        edges, usable = fitted_edges(orbit, np.arange(12))
        assert usable.all()
        heights.append(edges.heights)
    assert (heights[1] > heights[0]).all()


def test_edges_are_learnt_from_frames_whose_labels_fit_a_box(orbit):
    orbit.points[3, 2] += 20  # a label far off
    orbit.visible[4, :4] = False  # too few labels
    edges, usable = fitted_edges(orbit, np.arange(2, 12))
    assert usable.tolist() == [True, False, False] + [True] * 7
    assert not edges.ends[:2].any()  # not among the rows
    back = orbit.points[5][[EDGES[i][0] for i in range(4)]]
    assert edges.starts[5, :4] == pytest.approx(back, abs=1.5)  # corners of cards are rounded
    assert edges.kinds[5].sum() == 9
    assert edges.heights.shape == (12,)


def test_the_focal_length_of_portrait_frames_is_a_share_of_their_height(orbit):
    portrait = dataclasses.replace(orbit, frames=orbit.frames.assign(width=36, height=48))
    edges, other = (fitted_edges(t, np.arange(12))[0] for t in (orbit, portrait))
    assert (abs(edges.starts - other.starts).max(axis=(1, 2)) > 0.1).all()


def test_the_tracer_stays_untaught_where_no_frame_fits_a_box(small):
    params, tensors = small
    wrong = dataclasses.replace(tensors, points=tensors.points[:, ::-1].copy())
    wrong.visible[:, 4:] = False
    weights, _ = pretrain(wrong, np.arange(12), params)
    assert weights["tracer.taught"] == 0
