"""Training samples: close-ups and strips show what their targets say."""

import cv2
import numpy as np
import pytest
from made_up import made_up_tensors, simulated_tensors
from support import edge_ends

from cardpose.geometry.box import KINDS
from cardpose.geometry.keypoints import FLIP
from cardpose.network.closeups import SIDE
from cardpose.network.strips import LENGTH, POINTS, REACH, TRACED
from cardpose.training.datasets import CloseupCrops, EdgeStrips, EdgeTargets


@pytest.fixture
def tensors():
    """Three frames of soft noise. Corners lie anywhere, some of them visible."""
    rng = np.random.default_rng(0)
    points = (rng.random((3, 8, 2)) * [64, 48]).astype(np.float32)
    cards = np.array([0.1, 0.2, 0.3], np.float32)
    sizes = [(64, 48), (36, 48), (48, 48)]
    tensors = made_up_tensors(3, points, rng.random((3, 8)) > 0.3, cards, sizes)
    for detail in tensors.details:
        detail[:] = cv2.GaussianBlur(detail, (0, 0), 2)
    return tensors


def closeup(tensors, epoch, row, seed=0, seen=None):
    return CloseupCrops(tensors, tensors.points.astype(float), seed, seen)[epoch, row]


def test_a_step_in_a_close_up_leads_to_the_labelled_corner(tensors):
    """Turned and mirrored or not: where the step ends, the same dot is seen."""
    dots = np.zeros((96, 128, 3), np.uint8)
    tensors.points[1] = np.random.default_rng(2).uniform([20, 15], [44, 33], (8, 2)).round()
    for k, (x, y) in enumerate(2 * tensors.points[1].astype(int)):
        cv2.circle(dots, (int(x), int(y)), 2, (30 * k + 40,) * 3, -1)
    tensors.details[1] = dots
    tensors.visible[1] = True
    mirrored = 0
    for epoch in range(12):
        item = closeup(tensors, epoch, 1)
        mirrored += item["points"][0, 0] != tensors.points[1, 0, 0]
        steps = 2 * (item["points"] - item["starts"]) @ np.linalg.inv(item["turn"]).T
        assert abs(steps).max() < 15
        for picture, (right, down) in zip(item["closeups"], steps, strict=True):
            place = picture[:, int(SIDE / 2 + down), int(SIDE / 2 + right)].astype(float)
            assert place.mean() > np.median(picture) + 15
    assert 0 < mirrored < 12


def test_corners_of_a_mirrored_close_up_have_their_names_swapped(tensors):
    items = [closeup(tensors, epoch, 2) for epoch in range(8)]
    mirrored = tensors.points[2][list(FLIP)] * [-1, 1] + [64, 0]
    kinds = {
        (np.allclose(i["points"], tensors.points[2]), np.allclose(i["points"], mirrored))
        for i in items
    }
    assert kinds == {(True, False), (False, True)}
    for item in items:
        same = np.allclose(item["points"], tensors.points[2])
        names = slice(None) if same else list(FLIP)
        assert np.array_equal(item["visible"], tensors.visible[2][names])


def test_corners_that_are_seen_are_apart_from_those_that_are_labelled(tensors):
    tensors.visible[2] = False  # no labels
    seen = tensors.visible.copy()
    seen[2] = [True, False, True, False, False, True, True, True]
    kinds = set()
    for epoch in range(8):
        item = closeup(tensors, epoch, 2, seen=seen)
        assert not item["visible"].any()  # no place is compared
        kinds.add(tuple(item["seen"].tolist()))
    assert kinds == {tuple(seen[2]), tuple(seen[2][list(FLIP)])}


def test_corners_labelled_visible_are_seen_by_default(tensors):
    for epoch in range(4):
        item = closeup(tensors, epoch, 1)
        assert np.array_equal(item["seen"], item["visible"])


def test_a_close_up_has_count_and_longer_side_of_its_own_frame(tensors):
    for row, longer in enumerate((64, 48, 48)):
        item = closeup(tensors, 0, row)
        assert item["longer"] == longer
        assert item["cards"] == tensors.cards[row]


def test_epoch_and_seed_alone_decide_what_is_random_in_a_close_up(tensors):
    first, again = (closeup(tensors, 1, 0, seed=5) for _ in range(2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    for seed, epoch in ((5, 2), (6, 1)):
        other = closeup(tensors, epoch, 0, seed)
        assert not np.array_equal(first["closeups"], other["closeups"])


def test_offsets_of_close_ups_have_a_median_of_nine_tenths_of_a_detail_pixel():
    """As normal offsets have whose standard deviations are log-normal, with a median of 1.5."""
    tensors = simulated_tensors()
    starts = np.tile([32.0, 24.0], (12, 8, 1))  # in the middle: mirrored, they stay there
    crops = CloseupCrops(tensors, starts, 0)
    found = np.array([crops[epoch, row]["starts"] for epoch in range(200) for row in range(12)])
    off = 2 * abs(found - [32.0, 24.0])
    assert np.median(off) == pytest.approx(0.917, abs=0.03)
    assert np.mean(off > 4) == pytest.approx(0.094, abs=0.006)


# A box like a picture's: the back's corners UL, UR, LR, LL as EDGES goes round, then the face's.
BACK = [(10.0, 10.0), (50.0, 10.0), (50.0, 30.0), (10.0, 30.0)]
FACE = [(x, y + 8) for x, y in BACK]
LOWER = 2  # the edge along the lower side of the back


@pytest.fixture
def strips():
    """Strips of one frame that is white above the lower edge of the back and black below it."""
    starts, ends = edge_ends(BACK, FACE)
    kinds = np.zeros((1, 12, KINDS), bool)
    kinds[0, LOWER, 0] = True
    edges = EdgeTargets(np.array([starts]), np.array([ends]), kinds, np.array([16.0]))
    points = np.zeros((1, 8, 2), np.float32)
    tensors = made_up_tensors(1, points, np.ones((1, 8), bool), np.zeros(1, np.float32))
    tensors.details[0, :60], tensors.details[0, 60:] = 255, 0
    return EdgeStrips(tensors, edges, 0)


def columns_of(strip):
    """The columns of a strip at which its edge is traced."""
    return [strip[:, int((share - 0.04) / 0.92 * LENGTH)] for share in TRACED]


def found_place(column):
    """Where a column of a strip changes from the packet to the table, in detail pixels."""
    middle = (column[0] + column[-1]) / 2
    # The packet is bright, but other light and inks may turn that round.
    inner = column > middle if column[0] > column[-1] else column < middle
    return inner.sum() - REACH - 0.5


def test_a_strip_shows_its_edge_where_its_places_say(strips):
    errors = []
    for epoch in range(40):
        item = strips[epoch, 0]
        strip, places = item["strips"][LOWER].mean(axis=0), item["places"][LOWER]
        assert not item["counts"][[0, 1, 3, 4]].any()
        for point, column in enumerate(columns_of(strip)):
            if item["counts"][LOWER, point] and abs(places[point]) <= REACH - 2:
                errors.append(found_place(column) - places[point])
    assert len(errors) > 300
    assert np.median(np.abs(errors)) < 0.6
    assert abs(np.mean(errors)) < 0.3


def test_places_are_reversed_with_their_strip(strips):
    """An edge that lies askew in its strip is as much askew in its places."""
    errors = []
    for epoch in range(120):
        item = strips[epoch, 0]
        strip, places = item["strips"][LOWER].mean(axis=0), item["places"][LOWER]
        if abs(places[-1] - places[0]) > 3 and item["counts"][LOWER].all():
            first, *_, last = (found_place(column) for column in columns_of(strip))
            errors.append((last - first) - (places[-1] - places[0]))
    assert len(errors) > 10
    assert max(abs(error) for error in errors) < 1.5


def test_the_epoch_decides_what_is_random_in_a_strip(strips):
    one, again, other = strips[0, 0], strips[0, 0], strips[1, 0]
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert not np.array_equal(one["strips"], other["strips"])
    assert one["strips"].dtype == np.uint8
    assert one["places"].shape == one["counts"].shape == (12, POINTS)
