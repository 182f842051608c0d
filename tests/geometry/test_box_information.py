"""What one picture says of the box."""

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation
from support import CARD, FOCAL, SIZE, informed, seen

from cardpose.geometry.box import BoxModel
from cardpose.geometry.box_fit import BoxFitter
from cardpose.geometry.box_information import box_information, thickness_variance
from cardpose.geometry.priors import LEAN_PRIOR, PICTURE_PRIORS, ZOOM_SPREAD
from cardpose.geometry.projection import BOX, Pose, card_keypoints, numpy_lens, project

BLUR = PICTURE_PRIORS.blur * SIZE[0]


def least_cost(box, points, visible, pose):
    """Return the least cost of a box over all poses and zooms, found with SciPy."""
    lens, keypoints = numpy_lens(SIZE, FOCAL * SIZE[0]), card_keypoints(CARD)

    def residuals(x):
        turned = Rotation.from_rotvec(x[:3]).as_matrix() @ pose.rotation[0]
        numbers = np.concatenate([x[3:6], box, x[6:]])
        at = project(lens, Pose(turned[None], numbers[None]), keypoints)[0]
        off = (at - points)[visible] / BLUR
        return np.append(off.ravel(), x[6] / ZOOM_SPREAD)

    start = np.concatenate([np.zeros(3), pose.numbers[0, :3], pose.numbers[0, 7:]])
    return 2 * least_squares(residuals, start, xtol=1e-14, ftol=1e-14, gtol=1e-14).cost


@pytest.fixture
def picture():
    """Exact keypoints of a leaning packet and the exact pose."""
    points, visible = seen([-70], 6.0, lean=(1.5, -0.8), twist=0.5)
    pose, *_ = informed(points, visible)
    numbers = torch.tensor([[*pose.numbers[0, :3], 6.0, 1.5, -0.8, 0.5, 0.0]], dtype=torch.double)
    fitter = BoxFitter(BoxModel(SIZE, FOCAL, CARD, 52))
    exact = least_squares_pose(points[0], visible[0], Pose(pose.rotation, numbers.numpy()))
    return fitter, exact, points, visible


def least_squares_pose(points, visible, pose):
    """Return the pose of the camera that sees a box of given numbers at the points."""
    lens, keypoints = numpy_lens(SIZE, FOCAL * SIZE[0]), card_keypoints(CARD)

    def moved(x):
        turned = Rotation.from_rotvec(x[:3]).as_matrix() @ pose.rotation[0]
        numbers = np.concatenate([x[3:], pose.numbers[0, 3:]])
        return Pose(turned[None], numbers[None])

    def residuals(x):
        return (project(lens, moved(x), keypoints)[0] - points)[visible].ravel()

    start = np.concatenate([np.zeros(3), pose.numbers[0, :3]])
    best = least_squares(residuals, start, xtol=1e-14, ftol=1e-14, gtol=1e-14)
    assert abs(best.fun).max() < 1e-6
    return moved(best.x)


def inform(fitter, pose, points, visible):
    pose = Pose(*(torch.from_numpy(part) for part in pose))
    said = box_information(fitter, pose, torch.from_numpy(points), torch.from_numpy(visible), None)
    return [part[0].numpy() for part in said]


def test_information_is_the_cost_of_other_boxes_with_their_best_poses(picture):
    fitter, pose, points, visible = picture
    information, vector = inform(fitter, pose, points, visible)
    box = pose.numbers[0, BOX]
    for change in np.eye(4) * [0.2, 0.2, 0.2, 0.2]:
        cost = least_cost(box + change, points[0], visible[0], pose)
        assert change @ information @ change == pytest.approx(cost, rel=0.05)
    # No other box costs less than the true one.
    assert information @ box == pytest.approx(vector, abs=1e-3 * abs(vector).max())


def test_the_best_box_follows_from_another_pose_and_box(picture):
    """One step from a box that is a little off leads to the true one."""
    fitter, pose, points, visible = picture
    near = Pose(pose.rotation, pose.numbers + np.array([0, 0, 0, 0.05, 0.1, -0.1, 0.05, 0]))
    information, vector = inform(fitter, near, points, visible)
    firm = 1e-3 * np.eye(4)  # one picture does not tell all four numbers
    box = near.numbers[0, BOX]
    step = np.linalg.solve(information + firm, vector - information @ box)
    off_before, off_after = box - pose.numbers[0, BOX], box + step - pose.numbers[0, BOX]
    cost_before, cost_after = (off @ information @ off for off in (off_before, off_after))
    assert cost_after < 0.02 * cost_before


def test_a_picture_without_keypoints_says_nothing(picture):
    fitter, pose, points, visible = picture
    information, vector = inform(fitter, pose, points, np.zeros_like(visible))
    assert information == pytest.approx(np.zeros((4, 4)), abs=1e-9)
    assert vector == pytest.approx(np.zeros(4), abs=1e-9)


def test_the_variance_of_a_thickness_includes_the_prior():
    box = BoxModel(SIZE, FOCAL, CARD, 52)
    numbers = torch.tensor([[0.0, 0, 200, 6, 0, 0, 0, 0]] * 2, dtype=torch.double)
    pose = Pose(torch.eye(3, dtype=torch.double).expand(2, 3, 3), numbers)
    nothing = torch.zeros(4, 4, dtype=torch.double)
    # A lean of 1 mm along the long edge looks like 2 mm of thickness.
    tied = torch.tensor([1.0, 0, -2, 0], dtype=torch.double)
    information = torch.stack([nothing, 1e6 * tied[:, None] * tied])
    nothing, tied = thickness_variance(box, information, pose).tolist()
    deck = 52 * CARD[2]
    assert nothing == pytest.approx(deck**2 / 12)  # all thicknesses are as likely
    lean = LEAN_PRIOR.deviation_of(6.0)
    expected = 1 / (12 / deck**2 + 1 / (2 * lean) ** 2)
    assert tied == pytest.approx(expected, rel=1e-3)
