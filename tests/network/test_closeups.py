"""Close-ups of corners: cut where they should be, the same way in training and in use."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from cardpose.geometry.keypoints import FLIP
from cardpose.network.closeups import SIDE, cut, sample_closeups
from cardpose.training.datasets import CloseupCrops

STRAIGHT = np.eye(2)


def smooth(seed=0, height=96, width=128):
    rng = np.random.default_rng(seed)
    return cv2.GaussianBlur(rng.integers(0, 256, (height, width, 3), np.uint8), (0, 0), 2)


def test_a_close_up_has_its_corner_in_the_middle():
    detail = np.zeros((96, 128, 3), np.uint8)
    detail[40:60, 70:90] = 255
    points = np.tile([35.0, 20.0], (8, 1))  # the bright square's upper left corner, (70, 40)
    closeup = cut(detail, points, STRAIGHT)[3]
    half = SIDE // 2
    assert (closeup[half:, half:] == 255).all()
    assert not closeup[:half].any()
    assert not closeup[:, :half].any()


def test_training_and_use_cut_the_same():
    detail = smooth()
    points = np.random.default_rng(1).uniform([0, 0], [64, 48], (8, 2))  # some near the edge
    mine = cut(detail, points, STRAIGHT).transpose(0, 3, 1, 2)
    picture = torch.from_numpy(detail.transpose(2, 0, 1))[None]
    its = sample_closeups(picture, torch.from_numpy(points).float()[None])
    # OpenCV places pixels to 1/32.
    assert abs(mine - its[0].numpy()).max() < 6


def test_a_turned_close_up_shows_what_lies_in_its_direction():
    detail = np.zeros((96, 128, 3), np.uint8)
    detail[:, 64:] = 255  # bright to the right of (64, 48)
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])  # a step right in the close-up goes down
    closeup = cut(detail, np.tile([32.0, 24.0], (8, 1)), quarter)[0]
    # A step up in the close-up goes right.
    assert (closeup[: SIDE // 2] == 255).all()
    assert not closeup[SIDE // 2 :].any()


@pytest.fixture
def tensors():
    rng = np.random.default_rng(0)
    return SimpleNamespace(
        details=np.stack([smooth(seed) for seed in range(3)]),
        points=(rng.random((3, 8, 2)) * [64, 48]).astype(np.float32),
        visible=rng.random((3, 8)) > 0.3,
        cards=np.array([0.1, 0.2, 0.3], np.float32),
        longer=np.array([64, 48, 48]),
        image_size=(64, 48),
    )


def test_a_step_in_a_close_up_leads_to_the_labelled_corner(tensors):
    """However a close-up is turned and mirrored: where the step ends, the same thing is seen."""
    dots = np.zeros((96, 128, 3), np.uint8)
    tensors.points[1] = np.random.default_rng(2).uniform([20, 15], [44, 33], (8, 2)).round()
    for k, (x, y) in enumerate(2 * tensors.points[1].astype(int)):
        cv2.circle(dots, (int(x), int(y)), 2, (30 * k + 40,) * 3, -1)
    tensors.details[1] = dots
    tensors.visible[1] = True
    mirrored = 0
    for epoch in range(12):
        item = CloseupCrops(tensors, tensors.points.astype(float), 0)[epoch, 1]
        mirrored += item["points"][0, 0] != tensors.points[1, 0, 0]
        steps = 2 * (item["points"] - item["starts"]) @ np.linalg.inv(item["turn"]).T
        assert abs(steps).max() < 15
        for closeup, (right, down) in zip(item["closeups"], steps, strict=True):
            place = closeup[:, int(SIDE / 2 + down), int(SIDE / 2 + right)].astype(float)
            assert place.mean() > np.median(closeup) + 15
    assert 0 < mirrored < 12


def test_a_mirrored_close_up_has_its_corners_renamed(tensors):
    items = [CloseupCrops(tensors, tensors.points.astype(float), 0)[epoch, 2] for epoch in range(8)]
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


def test_what_the_network_sees_is_counted_from_where_no_label_says(tensors):
    tensors.visible[2] = False  # unknown
    seen = tensors.visible.copy()
    seen[2] = [True, False, True, False, False, True, True, True]
    kinds = set()
    for epoch in range(8):
        item = CloseupCrops(tensors, tensors.points.astype(float), 0, seen)[epoch, 2]
        assert not item["visible"].any()  # no place is compared
        kinds.add(tuple(item["seen"].tolist()))
    assert kinds == {tuple(seen[2]), tuple(seen[2][list(FLIP)])}


def test_labels_say_what_is_seen_by_default(tensors):
    for epoch in range(4):
        item = CloseupCrops(tensors, tensors.points.astype(float), 0)[epoch, 1]
        assert np.array_equal(item["seen"], item["visible"])


def test_close_ups_differ_by_epoch_and_seed_and_by_nothing_else(tensors):
    starts = tensors.points.astype(float)
    first, again = (CloseupCrops(tensors, starts, 5)[1, 0] for _ in range(2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    for seed, epoch in ((5, 2), (6, 1)):
        other = CloseupCrops(tensors, starts, seed)[epoch, 0]
        assert not np.array_equal(first["closeups"], other["closeups"])
