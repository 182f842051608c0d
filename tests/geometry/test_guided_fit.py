"""Poses of a box that other pictures show, against boxes seen from known places."""

import numpy as np
import pytest
import torch
from support import CARD, FOCAL, SIZE, seen

from cardpose.geometry.box import BoxModel
from cardpose.geometry.box_fit import BoxFitter
from cardpose.geometry.guided_fit import guide_pose
from cardpose.geometry.projection import BOX, Pose
from cardpose.geometry.shared_box import TURNED_BOX

LEANING = [3.9, 1.7, 0.6, 0.0]  # mm: thickness, leans, twist
UNKNOWN = [np.nan] * 4


@pytest.fixture
def fitter():
    return BoxFitter(BoxModel(SIZE, FOCAL, CARD, 52))


@pytest.fixture
def read(fitter):
    """A leaning packet read from several sides: its poses, keypoints and which are seen."""
    points, visible = map(torch.from_numpy, seen(range(-165, -10, 5), 3.9, lean=(1.7, 0.6)))
    pose, names = fitter.fit(points, visible)
    return pose, points.gather(1, names[..., None].expand(-1, -1, 2)), visible.gather(1, names)


def boxes(pose, *numbers):
    return torch.tensor(numbers, dtype=torch.float64).expand(len(pose.numbers), -1)


def test_the_pose_gets_the_box_of_all_pictures(fitter, read):
    pose, points, visible = read
    alone = abs(pose.thickness - 3.9)
    assert alone.max() > 0.3
    guided = guide_pose(fitter, pose, points, visible, boxes(pose, *LEANING))
    assert abs(guided.numbers[:, BOX] - torch.tensor(LEANING)).max() < 0.2
    assert (fitter.box.keypoints(guided) - points)[visible].abs().max() < 0.7


def test_either_turn_of_the_box_gives_the_same_pose(fitter, read):
    one = guide_pose(fitter, *read, boxes(read[0], *LEANING))
    other = guide_pose(fitter, *read, boxes(read[0], *(LEANING * TURNED_BOX)))
    for mine, its in zip(one, other, strict=True):
        assert torch.allclose(mine, its, atol=1e-9)


def test_a_picture_without_a_box_keeps_its_pose(fitter, read):
    pose = read[0]
    given = boxes(pose, *LEANING).clone()
    given[::2] = torch.tensor(UNKNOWN)
    guided = guide_pose(fitter, *read, given)
    full = guide_pose(fitter, *read, boxes(pose, *LEANING))
    for found, before, after in zip(guided, pose, full, strict=True):
        assert torch.equal(found[::2], before[::2])
        assert torch.equal(found[1::2], after[1::2])


def test_the_focal_length_of_the_picture_is_used(fitter, read):
    given = boxes(read[0], *LEANING)
    usual = torch.full((len(given),), fitter.box.focal)
    same = guide_pose(fitter, *read, given, usual)
    for mine, its in zip(same, guide_pose(fitter, *read, given), strict=True):
        assert torch.allclose(mine, its, atol=1e-4)
    longer = guide_pose(fitter, *read, given, 1.1 * usual)
    assert not torch.allclose(longer.numbers, same.numbers, atol=1e-3)
    assert isinstance(longer, Pose)
