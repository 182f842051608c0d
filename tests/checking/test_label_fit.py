"""The box of a recording held against its labels."""

import numpy as np
import pytest
from support import CARD, FOCAL, seen

from cardpose.checking.label_fit import LabelFitter, thickness_error
from cardpose.geometry.keypoints import KEYPOINTS

UR_BACK, LL_BACK = KEYPOINTS.index("upper_right_back"), KEYPOINTS.index("lower_left_back")


@pytest.fixture
def fitter():
    return LabelFitter(FOCAL, CARD, 52)


def fit(fitter, points, visible, use=None):
    """The box of a recording, and its labels' fit; `use` says which frames the box is fitted to."""
    alone = fitter.fit_alone(points, visible)
    use = np.ones(len(points), bool) if use is None else use
    box = fitter.fit_box(points, visible, alone, use)
    return box, fitter.fit_cameras(box, points, visible, alone)


def test_a_misplaced_corner_has_the_largest_strain(fitter):
    points, visible = seen(range(-140, -40, 10), 9.0)
    points[3, UR_BACK] += [9, -12]
    _, found = fit(fitter, points, visible, np.arange(10) != 3)
    assert np.delete(found.worst, 3).max() < 0.5
    assert found.strain[3].argmax() == UR_BACK
    assert 5 < found.worst[3] <= 15


def test_the_box_stands_where_exact_labels_are_from_all_round_the_packet(fitter):
    """Hidden corners included, and with the names of the labels, which turn with the packet."""
    points, visible = seen(range(0, 360, 20), 9.0, lean=(1.5, -1.0))
    box, found = fit(fitter, points, visible)
    assert box.thickness == pytest.approx(9, abs=0.1)
    assert abs(found.points - points)[visible].max() < 0.3
    assert abs(found.points - points).max() < 1
    assert (found.freedom == 2 * visible.sum(axis=1) - 6).all()


def test_a_hidden_corner_strains_nothing(fitter):
    points, visible = seen(range(-140, -40, 10), 9.0)
    noise = np.random.default_rng(0).normal(0, 1, points.shape)
    _, found = fit(fitter, points + noise, visible)
    assert (found.strain[~visible] == 0).all()
    assert (found.strain[visible] > 0).all()


def test_the_spread_of_labels_is_found(fitter):
    points, visible = seen(range(-150, -30, 3), 9.0)
    noise = np.random.default_rng(0).normal(0, 1.5, points.shape)
    _, found = fit(fitter, points + noise, visible)
    assert np.sqrt(np.mean(found.spread**2)) == pytest.approx(1.5, rel=0.15)


def test_a_frame_without_redundancy_has_no_spread_and_no_outlier(fitter):
    points, visible = seen(range(-140, -40, 10), 9.0)
    visible[2] = np.arange(8) < 3
    _, found = fit(fitter, points, visible)
    assert (found.freedom[2], found.worst[2]) == (0, 0)
    assert np.isnan(found.spread[2])


def test_a_frame_with_too_few_labels_gives_no_box(fitter):
    points, visible = seen([-100, -90], 9.0)
    visible[:, 4:] = False
    assert fitter.fit_box(points, visible, fitter.fit_alone(points, visible), visible[:, 0]) is None


def test_labels_with_crossed_names_fit_beside_their_neighbours(fitter):
    """Left and right of the lower edge of the back exchanged, and nothing else."""
    points, visible = seen(range(-140, -40, 10), 9.0)
    box, found = fit(fitter, points, visible)
    crossed = points[4:5].copy()
    crossed[:, [LL_BACK, LL_BACK + 1]] = crossed[:, [LL_BACK + 1, LL_BACK]]
    near = found[np.array([3, 5])]
    plain, tried = (
        fitter.fit_cameras_beside(box, crossed, visible[4:5], near, crossed=option)
        for option in (False, True)
    )
    assert tried.worst[0] < 0.5 < 5 < plain.worst[0]
    assert abs(tried.points - crossed)[visible[4:5]].max() < 0.5


def test_a_frame_starts_from_its_neighbours_where_it_would_start_far_off(fitter):
    """One label far off misleads the fit of the frame alone, not that beside its neighbours."""
    points, visible = seen(range(-140, -40, 10), 9.0)
    box, found = fit(fitter, points, visible)
    spoilt = points[4:5].copy()
    spoilt[0, UR_BACK] += [-150, 90]
    near = found[np.array([3, 5])]
    again = fitter.fit_cameras_beside(box, spoilt, visible[4:5], near)
    assert again.strain[0].argmax() == UR_BACK


def test_the_error_of_a_thickness_matches_its_actual_spread(fitter):
    points, visible = seen(range(-140, -40, 12), 9.0, lean=(1.0, 0.5))
    rng = np.random.default_rng(0)
    off, said = [], []
    for _ in range(20):
        noisy = points + rng.normal(0, 1, points.shape)
        box, found = fit(fitter, noisy, visible)
        off.append(box.thickness - 9)
        said.append(thickness_error(box, found, 1.0))
    # Of twenty, the spread is known to a sixth; a factor of 1.8 is more than three times that.
    assert np.sqrt(np.mean(np.square(off))) == pytest.approx(np.mean(said), rel=0.8)
