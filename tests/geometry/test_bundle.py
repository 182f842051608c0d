"""The box fitted to a recording's corners, against boxes of known thickness."""

import subprocess
import sys

import numpy as np
import pytest
from support import CARD, FOCAL, SIZE, posed, seen

from cardpose.geometry.bundle import fit_box


def fit(points, visible):
    return fit_box(points, visible, *posed(points, visible), SIZE, FOCAL, CARD)


@pytest.mark.parametrize("thickness", [0.3, 3.0, 15.6])
def test_the_thickness_of_exact_keypoints_is_found(thickness):
    box = fit(*seen(range(-140, -40, 10), thickness))
    assert box.thickness == pytest.approx(thickness, abs=0.05)


def test_several_views_separate_lean_and_twist_from_thickness():
    points, visible = seen(range(-160, -20, 10), 12.0, lean=(2.0, -1.0), twist=0.7)
    box = fit(points, visible)
    assert box.thickness == pytest.approx(12, abs=0.3)
    assert box.lean == pytest.approx([2, -1], abs=0.2)
    assert box.twist == pytest.approx(0.7, abs=0.2)
    assert np.nanmax(abs(box.points - points)[visible]) < 1


def test_a_thick_packet_may_lean_further_than_a_thin_one():
    """One picture hardly tells the lean, so the prior decides on it."""
    thin, thick = (fit(*seen([-110], thickness, lean=(0, 1.5))) for thickness in (3.0, 12.0))
    assert 0 < thin.lean[1] < 0.6 * thick.lean[1]


def test_names_change_as_the_camera_goes_round():
    """Upper becomes lower, and the lean would change its sign, unless the turn is noticed."""
    points, visible = seen(range(0, 360, 15), 12.0, lean=(2.0, 0.0))
    box = fit(points, visible)
    assert box.thickness == pytest.approx(12, abs=0.3)
    assert abs(box.lean[0]) == pytest.approx(2, abs=0.3)
    assert np.nanmedian(abs(box.points - points)[visible]) < 0.5


def test_one_keypoint_far_off_leaves_the_thickness():
    points, visible = seen(range(-140, -40, 10), 9.0)
    points[3, np.flatnonzero(visible[3])[-1]] += [60, -40]
    assert fit(points, visible).thickness == pytest.approx(9, abs=0.3)


def test_corners_a_pixel_off_are_averaged():
    points, visible = seen(np.linspace(-150, -30, 25), 9.0)
    noise = np.random.default_rng(0).normal(0, 1.5, points.shape)
    assert fit(points + noise, visible).thickness == pytest.approx(9, abs=0.4)


def test_frames_with_too_few_keypoints_are_left_out():
    points, visible = seen(range(-140, -40, 10), 9.0)
    visible[0, 2:] = False
    points[0] = 0
    box = fit(points, visible)
    assert box.thickness == pytest.approx(9, abs=0.1)
    assert np.isnan(box.points[0]).all()
    assert fit(points[:1], visible[:1]) is None


def test_a_long_recording_costs_no_more_than_a_short_one():
    points, visible = seen(np.linspace(-150, -30, 300), 9.0)
    box = fit(points, visible)
    assert box.thickness == pytest.approx(9, abs=0.1)
    assert np.isfinite(box.points).all(axis=(1, 2)).sum() == 50


@pytest.mark.parametrize("seed", range(5))
def test_random_keypoints_give_a_finite_box(seed):
    """An untrained network's corners: anything may come out, but nothing may break."""
    rng = np.random.default_rng(seed)
    points = rng.random((6, 8, 2)) * SIZE
    points[0] = 7.0
    points[1, :, 0] = points[1, :, 1]
    assert np.isfinite(fit(points, np.ones((6, 8), bool)).thickness)


def test_a_portrait_recording_has_the_focal_length_of_its_longer_side():
    """The same camera, turned: what it saw round the middle it sees there again."""
    points, visible = seen(range(-140, -40, 10), 9.0)
    poses, corners = posed(points, visible)
    upright = points + np.array([-80, 80])
    box = fit_box(upright, visible, poses, corners, SIZE[::-1], FOCAL, CARD)
    assert box.thickness == pytest.approx(9, abs=0.05)


def test_recordings_are_counted_without_torch():
    """Whoever runs the ONNX file has none."""
    modules = "cardpose.geometry.bundle, cardpose.pictures.drawing, cardpose.pictures.letterbox"
    code = f"import sys; import {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
