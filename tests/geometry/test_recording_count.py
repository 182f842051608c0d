"""Counts of recordings."""

import numpy as np
import pytest
from support import CARD, contributed, seen

from cardpose.geometry.recording_count import count_box, count_pictures
from cardpose.geometry.shared_box import SharedBox

METADATA = {"card": CARD, "deck": 52}


def box(thickness, deviation):
    return SharedBox(np.array([thickness, 0, 0, 0.0]), np.diag([deviation**2, 1, 1, 1]))


def test_a_sure_box_counts_alone():
    count = count_box(box(6.0, 0.0), [50.0], METADATA)
    # 20 cards with an error of 0.3, and 50 with one of 2.5: weights 1/0.09 and 1/6.25.
    assert count.cards == pytest.approx((20 / 0.09 + 50 / 6.25) / (1 / 0.09 + 1 / 6.25))
    assert count.deviation == pytest.approx((1 / 0.09 + 1 / 6.25) ** -0.5)


def test_an_unsure_box_leaves_the_count_to_the_pictures():
    count = count_box(box(0.0, 30.0), [11.0, 12.0, 40.0], METADATA)
    assert count.cards == pytest.approx(12, abs=0.01)
    assert count.deviation == pytest.approx(2.5, abs=0.01)


def test_a_count_is_at_least_one_card_and_at_most_a_deck():
    assert count_box(box(30.0, 0.0), [52.0], METADATA).cards == 52
    assert count_box(box(-1.0, 0.0), [0.0], METADATA).cards == 1


def test_pictures_with_few_keypoints_do_not_contribute():
    points, visible = seen([-70, -60], 6.0)
    few = visible.copy()
    few[0, 3:] = False
    assert len(contributed(points, visible)) == 2
    pictures = contributed(points, few)
    assert len(pictures) == 1
    assert pictures[0].camera == pytest.approx(contributed(points, visible)[1].camera)


def test_a_recording_without_contributions_has_no_count():
    assert count_pictures([], np.array([12.0]), METADATA) is None
    points, visible = seen(range(-140, -40, 10), 6.0)
    count = count_pictures(contributed(points, visible), np.full(10, 20.0), METADATA)
    assert count.cards == pytest.approx(20, abs=0.1)
