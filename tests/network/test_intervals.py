"""90 % intervals of counts."""

import numpy as np
import pytest

from cardpose.network.intervals import count_interval, interval_margin


def test_a_margin_is_students_t_with_one_case_per_recording():
    # Mean squares: (1 + 9) / 2 = 5 in a, 16 in b, 0 in c. 2.3534 is t(0.95) of 3, from a table.
    found = interval_margin(
        np.array([11.0, 13.0, 14.0, 5.0]), np.array([10.0, 10.0, 10.0, 5.0]), ["a", "a", "b", "c"]
    )
    assert found == pytest.approx(2.3534 * np.sqrt((5 + 16 + 0) / 3), rel=1e-4)


def test_a_margin_holds_nine_in_ten_of_new_recordings():
    """Draw three recordings whose frames all have the same error, and a new one."""
    rng = np.random.default_rng(0)
    held = []
    for _ in range(2000):
        error = rng.normal(0, 2, 4)
        half = interval_margin(np.repeat(error[:3], 5), np.zeros(15), np.repeat([0, 1, 2], 5))
        held.append(abs(error[3]) <= half)
    assert np.mean(held) == pytest.approx(0.9, abs=0.02)


def test_an_interval_starts_at_zero_at_the_least_and_is_nan_without_a_margin():
    low, high = count_interval(np.array([1.0, 10.0]), 2.0)
    assert low.tolist() == pytest.approx([0, 8])
    assert high.tolist() == pytest.approx([3, 12])
    assert np.isnan(count_interval(np.array([1.0]), None)).all()
