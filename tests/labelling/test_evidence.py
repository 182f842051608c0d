"""Corners seen by the network, weighed against boxes."""

import numpy as np
import pytest
from network_views import SMALL, THICK, viewed, weights_of
from support import CARD, FOCAL, SIZE, seen

from cardpose.geometry.keypoints import FLIP
from cardpose.labelling.evidence import weigh
from cardpose.pictures.letterbox import unit_to_fractions

UL_FACE, UR_FACE, UL_BACK, UR_BACK, LL_FACE, LR_FACE, LL_BACK, LR_BACK = range(8)


def proposed(points, visible, thickness=THICK, traced=None):
    """Return proposed places in pixels of 640 x 480, visibility, confidence, and the evidence.

    Arguments are those of `viewed`.
    """
    sizes = np.tile(SIZE, (len(points), 1))
    view = viewed(points, visible, thickness, traced)
    evidence = weigh(view, sizes, SMALL, thickness, FOCAL, CARD)
    return unit_to_fractions(evidence.points, sizes) * SIZE, *evidence.judge(), evidence


def test_corners_that_agree_with_a_box_are_left_as_they_are():
    true, shown = seen(range(-140, -40, 10), THICK)
    points, visible, confidence, evidence = proposed(true, shown)
    assert abs(points - true)[shown].max() < 0.5
    assert (visible == shown).all()
    assert confidence[shown].min() > 0.9
    assert evidence.box_error.max() < 0.5


def test_a_corner_far_off_is_put_where_the_box_has_it():
    true, shown = seen(range(-140, -40, 10), THICK)
    spoilt = true.copy()
    spoilt[4, LR_BACK] += [60, -40]
    points, _, confidence, _ = proposed(spoilt, shown, traced=true)
    assert np.linalg.norm(points[4, LR_BACK] - true[4, LR_BACK]) < 3
    assert abs(points - true)[shown].max() < 4
    assert confidence[4].argmin() == LR_BACK
    assert confidence[4, LR_BACK] < 0.7 < np.delete(confidence[4], LR_BACK)[shown[4, :7]].min()


@pytest.mark.parametrize("azimuth", [-100, -60, 35])
def test_exchanged_names_are_put_right(azimuth):
    """A network that mistakes left for right finds all corners, under the wrong names."""
    true, shown = seen([azimuth - 10, azimuth, azimuth + 10], THICK)
    mixed, known = true.copy(), shown.copy()
    mixed[1], known[1] = true[1, list(FLIP)], shown[1, list(FLIP)]
    points, visible, *_ = proposed(mixed, known)
    assert (visible == shown).all()
    assert abs(points - true)[shown].max() < 1


def test_hidden_corners_have_places_too():
    true, shown = seen(range(-140, -40, 10), THICK)
    blind = np.where(shown[..., None], true, 7.0)
    points, visible, *_ = proposed(blind, shown)
    hidden = ~shown[:, UL_FACE]
    assert hidden.any()
    assert not visible[hidden, UL_FACE].any()
    # The median of the box's two places and of one that means nothing.
    assert np.linalg.norm(points - true, axis=2)[hidden, UL_FACE].max() < 2


def test_the_box_tells_what_is_visible_where_the_network_is_unsure():
    true, shown = seen(range(-140, -40, 10), THICK)
    sizes = np.tile(SIZE, (len(true), 1))
    view = viewed(true, shown)
    view.logits[5] = np.where(shown[5], 0.3, -0.3)
    view.logits[5, UL_FACE] = 0.2 if not shown[5, UL_FACE] else -0.2
    view = view._replace(weight=weights_of(view.logits, view.peaks))
    visible, _ = weigh(view, sizes, SMALL, THICK, FOCAL, CARD).judge()
    assert (visible[5] == shown[5]).all()


def test_where_no_box_fits_the_networks_own_corners_are_proposed():
    true, shown = seen(range(-140, -40, 10), THICK)
    stray = true.copy()
    stray[2] = np.random.default_rng(1).uniform([0, 0], SIZE, (8, 2))
    points, _, confidence, evidence = proposed(stray, shown)
    assert points[2] == pytest.approx(stray[2], abs=1e-3)
    assert evidence.box_error[2] > 8
    assert confidence[2][shown[2]].max() < confidence[3][shown[3]].min()
    assert np.delete(abs(points - true), 2, axis=0)[np.delete(shown, 2, axis=0)].max() < 1


def test_a_frame_that_shows_nothing_is_all_hidden():
    true, shown = seen(range(-140, -40, 10), THICK)
    shown[0] = False
    points, visible, confidence, _ = proposed(true, shown)
    assert not visible[0].any()
    assert np.isfinite(points).all()
    assert np.isfinite(confidence).all()


def test_the_box_of_all_frames_is_used_in_place_of_those_of_single_frames():
    true, shown = seen(range(-140, -40, 10), THICK)
    view = viewed(true, shown)
    view = view._replace(corner_box=view.corner_box + 2)
    evidence = weigh(view, np.tile(SIZE, (len(true), 1)), SMALL, THICK, FOCAL, CARD)
    assert evidence.box_error.max() < 0.5


def test_long_recordings_share_one_box():
    true, shown = seen(np.linspace(-140, -40, 120), THICK)
    points, *_ = proposed(true, shown)
    assert abs(points - true)[shown].max() < 1


@pytest.mark.parametrize("azimuth", range(5, 360, 30))
def test_only_faces_inside_the_outline_are_hidden(azimuth):
    points, shown = seen([azimuth], THICK)
    *_, evidence = proposed(points, shown)
    out = evidence.visibility_features[0, :, 1]
    assert (out[~shown[0]] < 0).all()
    assert (out[:2][shown[0, :2]] > 0).all()
    assert (out[4:6][shown[0, 4:6]] > 0).all()
