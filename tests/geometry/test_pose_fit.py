"""Poses of a box whose thickness, lean and twist are given."""

import numpy as np
import pytest
from support import CARD, FOCAL, SIZE, informed, seen

from cardpose.geometry.pose_fit import UNKNOWNS, calculate_offsets, fit_shared_box, fit_views
from cardpose.geometry.projection import BOX, Pose, card_keypoints, numpy_lens, project
from cardpose.geometry.shared_box import TURNED_BOX

LENS, KEYPOINTS = numpy_lens(SIZE, FOCAL * SIZE[0]), card_keypoints(CARD)
BOX_NUMBERS = np.array([12.0, 2.0, -1.0, 0.5])


def pictures(azimuths=range(-140, -40, 10)):
    """Return points of a box with BOX_NUMBERS, what is visible, and single boxes, in one order."""
    points, visible = seen(azimuths, 12.0, lean=(2.0, -1.0), twist=0.5)
    alone, names, *_ = informed(points, visible)
    rows = np.arange(len(points))[:, None]
    return points[rows, names], visible[rows, names], alone


def fitted(points, visible, alone, numbers=BOX_NUMBERS):
    pose = fit_shared_box(LENS, KEYPOINTS, alone, numbers, points, visible.astype(float))
    return pose, np.linalg.norm(project(LENS, pose, KEYPOINTS) - points, axis=2)


def test_derivatives_are_those_of_the_offsets():
    points, visible, alone = pictures([-100])
    offsets = calculate_offsets(LENS, KEYPOINTS, alone, points, visible)
    assert (offsets.values[~visible] == 0).all()
    moved = Pose(alone.rotation, alone.numbers + 1e-5 * np.eye(8)[2])
    step = calculate_offsets(LENS, KEYPOINTS, moved, points, visible).values - offsets.values
    assert step / 1e-5 == pytest.approx(offsets.by_view[..., UNKNOWNS - 1], rel=1e-3, abs=1e-4)
    moved = Pose(alone.rotation, alone.numbers + 1e-5 * np.eye(8)[BOX][0])
    step = calculate_offsets(LENS, KEYPOINTS, moved, points, visible).values - offsets.values
    assert step / 1e-5 == pytest.approx(offsets.by_box[..., 0], rel=1e-3, abs=1e-4)


def test_views_of_a_given_box_are_found_from_afar():
    points, visible, alone = pictures()
    numbers = alone.numbers.copy()
    numbers[:, :3] *= [0.5, 1.5, 1.3]
    numbers[:, 3:] = [*BOX_NUMBERS, 0]
    # Names may mean either half turn. One of the two fits exactly.
    turned = numbers * np.array([1, 1, 1, *TURNED_BOX, 1])
    squares = [
        fit_views(LENS, KEYPOINTS, Pose(alone.rotation, each), points, visible)[1]
        for each in (numbers, turned)
    ]
    assert np.min(squares, axis=0).max() < 1e-3


def test_a_shared_box_lies_on_exact_points_and_tells_the_hidden_ones():
    points, visible, alone = pictures(range(0, 360, 20))
    assert fitted(points, visible, alone)[1].max() < 0.05


def test_each_picture_shows_the_half_turn_that_fits_it():
    points, visible, alone = pictures(range(0, 360, 20))
    pose, _ = fitted(points, visible, alone)
    assert len(set(np.sign(pose.lean[:, 0]))) == 2
    turned, off = fitted(points, visible, alone, BOX_NUMBERS * TURNED_BOX)
    assert turned.numbers == pytest.approx(pose.numbers, abs=1e-3)
    assert off.max() < 0.05


@pytest.mark.parametrize("off", [[60, -40], [-12, 9]])
def test_a_point_far_off_does_not_pull_the_shared_box(off):
    points, visible, alone = pictures()
    points[4, np.flatnonzero(visible[4])[-1]] += off
    _, distance = fitted(points, visible, alone)
    assert np.sort(distance[4])[-2] < 1.0
    assert distance[4].max() == pytest.approx(np.hypot(*off), abs=1.5)
    assert np.delete(distance, 4, axis=0).max() < 0.05


def test_points_of_low_weight_count_little():
    points, visible, alone = pictures()
    weight = visible.astype(float)
    corner = np.flatnonzero(visible[4])[-1]
    points[4, corner] += [4, 3]
    off = []
    for weight[4, corner] in (1.0, 0.1):
        pose = fit_shared_box(LENS, KEYPOINTS, alone, BOX_NUMBERS, points, weight)
        off.append(np.linalg.norm(project(LENS, pose, KEYPOINTS) - points, axis=2)[4, corner])
    assert off[0] < off[1] - 0.3
    assert off[1] == pytest.approx(5, abs=0.2)


@pytest.mark.parametrize("seed", range(3))
def test_random_points_give_finite_poses(seed):
    """Points of an untrained network."""
    points = np.random.default_rng(seed).random((6, 8, 2)) * SIZE
    points[0] = 7.0
    visible = np.ones((6, 8), bool)
    alone, names, *_ = informed(points, visible)
    ordered = points[np.arange(6)[:, None], names]
    assert np.isfinite(fitted(ordered, visible, alone)[1]).all()
