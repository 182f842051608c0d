"""90 % intervals of counts and of recordings."""

import numpy as np
import pytest

from cardpose.geometry.recording_count import BoxCount
from cardpose.network.intervals import (
    Errors,
    count_interval,
    interval_margin,
    recording_interval,
)


def test_the_quantile_counts_all_recordings_alike():
    # Ten recordings; the last has eleven frames, of which ten are 9 cards off.
    sizes = np.array([0.0, 1, 2, 3, 4, 5, 6, 7, 8, 20] + [9] * 10)
    errors = Errors(sizes, np.array([*range(9), 9] + [9] * 10))
    # Nine recordings have 0 to 8; the tenth has 1/11 at 20 and 10/11 at 9.
    assert errors.quantile() == 8
    assert errors.total() == pytest.approx(36 + (20 + 90) / 11)


def test_the_margin_shrinks_as_much_as_training_lowers_the_errors():
    start = Errors(np.arange(1.0, 11), np.arange(10))  # quantile 9, mean 5.5
    before, after = (
        Errors(np.array([4.0, 6]), np.arange(2)),
        Errors(np.array([2.0, 3]), np.arange(2)),
    )
    # Two recordings with the mean error are added to both: (5 + 11) / (10 + 11).
    assert interval_margin(start, before, after) == pytest.approx(9 * 16 / 21)
    # Training that makes the errors larger does not lower the doubt, and does not raise it either.
    assert interval_margin(start, after, before) == 9
    nothing = Errors(np.zeros(3), np.arange(3))
    assert interval_margin(nothing, nothing, nothing) == 0


def test_a_margin_holds_nine_in_ten_of_new_recordings():
    """Training halves the errors of 30 recordings; four of them are not trained on."""
    rng = np.random.default_rng(0)
    held = []
    for _ in range(2000):
        error = rng.normal(0, 2, 31)
        start = Errors(abs(np.repeat(error[:30], 3)), np.repeat(np.arange(30), 3))
        before = Errors(abs(error[:4]), np.arange(4))
        half = interval_margin(start, before, Errors(before.sizes / 2, before.recordings))
        held.append(abs(error[30]) / 2 <= half)
    assert 0.9 <= np.mean(held) <= 0.96


def test_an_interval_stays_within_1_and_the_deck_and_is_nan_without_a_margin():
    low, high = count_interval(np.array([1.5, 10.0, 51.0]), 2.0, 52)
    assert low.tolist() == pytest.approx([1, 8, 49])
    assert high.tolist() == pytest.approx([3.5, 12, 52])
    assert np.isnan(count_interval(np.array([1.0]), None, 52)).all()


def test_the_interval_of_a_recording_is_its_expected_error_times_the_margin():
    count = BoxCount(20.0, 0.5, None)
    metadata = {"recording_margin": 3.0, "deck": 52}
    assert recording_interval(count, metadata) == pytest.approx((18.5, 21.5))
    assert recording_interval(count._replace(cards=52.0), metadata) == pytest.approx((50.5, 52))
    assert recording_interval(count._replace(cards=1.0), metadata) == pytest.approx((1, 2.5))
    assert np.isnan(recording_interval(count, {"deck": 52})).all()
