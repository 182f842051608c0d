"""Close-ups of corners: cut where they should be, the same way in training and in use."""

import cv2
import numpy as np
import torch

from cardpose.network.closeups import SIDE, cut, sample_closeups

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


def test_opencv_and_torch_cut_the_same_close_ups():
    detail = smooth()
    points = np.random.default_rng(1).uniform([0, 0], [64, 48], (8, 2))  # some near the edge
    mine = cut(detail, points, STRAIGHT).transpose(0, 3, 1, 2)
    picture = torch.from_numpy(detail.transpose(2, 0, 1))[None]
    its = sample_closeups(picture, torch.from_numpy(points).float()[None])
    # OpenCV places pixels to 1/32.
    assert abs(mine - its[0].numpy()).max() < 6


def test_a_turned_close_up_is_turned_by_its_matrix():
    detail = np.zeros((96, 128, 3), np.uint8)
    detail[:, 64:] = 255  # bright to the right of (64, 48)
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])  # a step right in the close-up goes down
    closeup = cut(detail, np.tile([32.0, 24.0], (8, 1)), quarter)[0]
    # A step up in the close-up goes right.
    assert (closeup[: SIDE // 2] == 255).all()
    assert not closeup[SIDE // 2 :].any()
