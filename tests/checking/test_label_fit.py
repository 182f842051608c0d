"""Fit a box to labels."""

import numpy as np
import pytest
from checked_labels import UR_BACK
from support import CARD, FOCAL, seen

from cardpose.checking.label_fit import LabelFitter, thickness_error


def test_a_misplaced_corner_has_the_largest_strain():
    points, visible = seen(range(-140, -40, 10), 9.0)
    points[3, UR_BACK] += [9, -12]
    boxes = LabelFitter(FOCAL, CARD, 52)
    alone = boxes.fit_alone(points, visible)
    box = boxes.fit_box(points, visible, alone, np.arange(10) != 3)
    fit = boxes.fit_cameras(box, points, visible, alone)
    assert np.delete(fit.worst, 3).max() < 0.5
    assert fit.strain[3].argmax() == UR_BACK
    assert 5 < fit.worst[3] <= 15


def test_the_error_of_a_thickness_matches_its_actual_spread():
    points, visible = seen(range(-140, -40, 12), 9.0, lean=(1.0, 0.5))
    boxes, rng = LabelFitter(FOCAL, CARD, 52), np.random.default_rng(0)
    off, said = [], []
    for _ in range(20):
        noisy = points + rng.normal(0, 1, points.shape)
        alone = boxes.fit_alone(noisy, visible)
        box = boxes.fit_box(noisy, visible, alone, np.ones(len(points), bool))
        off.append(box.thickness - 9)
        said.append(thickness_error(boxes.fit_cameras(box, noisy, visible, alone), 1.0))
    # Of twenty, the spread is known to a sixth; a factor of 1.8 is more than three times that.
    assert np.sqrt(np.mean(np.square(off))) == pytest.approx(np.mean(said), rel=0.8)
