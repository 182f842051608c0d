"""The projection of a box, against values worked out by hand, in NumPy and in PyTorch."""

import numpy as np
import pytest
import torch
from support import CARD

from cardpose.geometry.box import BoxModel
from cardpose.geometry.card import card_corners
from cardpose.geometry.keypoints import BACK, CORNER
from cardpose.geometry.projection import (
    LEAN,
    THICKNESS,
    TWIST,
    ZOOM,
    Pose,
    camera_position,
    card_keypoints,
    numpy_lens,
    project,
    project_with_slopes,
)

SIZE, FOCAL = (640, 480), 600.0
X, Y = card_corners(*CARD[:2])[1]  # 31.5 and 44 less the rounding of the corners
LENS, KEYPOINTS = numpy_lens(SIZE, FOCAL), card_keypoints(CARD)
FROM_ABOVE = np.diag([1.0, -1.0, -1.0])


def pose_from_above(**changes):
    """A packet of 10 mm, its face 200 mm below a camera that looks straight down."""
    numbers = np.zeros((1, 8))
    numbers[0, 2], numbers[0, THICKNESS] = 200, 10
    for name, value in changes.items():
        numbers[0, {"lean": LEAN, "twist": TWIST, "zoom": ZOOM}[name]] = value
    return Pose(FROM_ABOVE[None], numbers)


def offsets(pose):
    """Keypoints relative to the middle of the picture, right and up, in pixels."""
    return (project(LENS, pose, KEYPOINTS)[0] - [320, 240]) * [1, -1]


def test_a_box_from_above_is_drawn_to_scale():
    """The back is 190 mm away, the face 200."""
    expected = card_corners(*CARD[:2])[CORNER] * FOCAL / np.where(BACK, 190, 200)[:, None]
    assert offsets(pose_from_above()) == pytest.approx(expected)


def test_lean_moves_the_face_alone():
    moved = offsets(pose_from_above(lean=[2, -1])) - offsets(pose_from_above())
    assert moved[~BACK] == pytest.approx(np.tile([2 * FOCAL / 200, -FOCAL / 200], (4, 1)))
    assert moved[BACK] == pytest.approx(0)


def test_twist_lifts_two_opposite_corners_and_lowers_the_others():
    lifted = np.array([-1, 1, 1, -1])[CORNER]
    expected = card_corners(*CARD[:2])[CORNER] * FOCAL
    expected = expected / (np.where(BACK, 190, 200) - 2 * lifted)[:, None]
    assert offsets(pose_from_above(twist=2)) == pytest.approx(expected)


def test_zoom_enlarges_the_picture_about_its_middle():
    assert offsets(pose_from_above(zoom=0.5)) == pytest.approx(1.5 * offsets(pose_from_above()))


def test_nothing_is_nearer_than_a_millimetre():
    pose = pose_from_above()
    pose.numbers[0, 2] = 10.5  # half a millimetre before the back
    expected = FOCAL * np.array([X, Y])  # as if from 1 mm
    assert abs(offsets(pose))[BACK] == pytest.approx(np.tile(expected, (4, 1)))


def random_poses(n):
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(n, 3, 3)))[0]
    numbers = rng.normal([0, 0, 300, 8, 0, 0, 0, 0], [20, 20, 30, 3, 1, 1, 1, 0.05], (n, 8))
    return Pose(rotation, numbers)


def test_arrays_and_tensors_are_projected_alike():
    pose = random_poses(5)
    lens = BoxModel(SIZE, FOCAL / SIZE[0], CARD, 52).lens
    tensors = Pose(*(torch.from_numpy(part) for part in pose))
    keypoints = type(KEYPOINTS)(*(torch.from_numpy(part) for part in KEYPOINTS))
    at, slopes = project_with_slopes(LENS, pose, KEYPOINTS)
    same, same_slopes = project_with_slopes(lens, tensors, keypoints)
    assert same.numpy() == pytest.approx(at)
    for name in slopes._fields:
        values = getattr(same_slopes, name).numpy()
        assert values == pytest.approx(getattr(slopes, name), abs=1e-9)
    assert camera_position(tensors).numpy() == pytest.approx(camera_position(pose))


def test_the_camera_is_where_rotation_and_place_say():
    assert camera_position(pose_from_above())[0] == pytest.approx([0, 0, 200])


@pytest.mark.parametrize("index", range(8))
def test_slopes_by_the_numbers_are_differences_of_projections(index):
    pose = random_poses(4)
    _, slopes = project_with_slopes(LENS, pose, KEYPOINTS)
    step = np.zeros((4, 8))
    step[:, index] = 1e-5
    up, down = (
        project(LENS, pose._replace(numbers=pose.numbers + s), KEYPOINTS) for s in (step, -step)
    )
    found = np.concatenate([slopes.place, slopes.box, slopes.zoom], axis=3)[..., index]
    assert found == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-5)
