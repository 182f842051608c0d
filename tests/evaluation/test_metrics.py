"""Metrics, against values worked out by hand."""

import numpy as np
import pytest

from cardpose.evaluation.metrics import (
    count_metrics,
    interval_metrics,
    keypoint_metrics,
    visibility_metrics,
)


def test_count_metrics():
    predicted = np.array([10, 12, 40, 20.4, 5])
    cards = np.array([10, 10, 10, 20, 8])
    found = count_metrics(predicted, cards, ["a", "a", "a", "b", "c"])
    assert found == {
        "mse": pytest.approx((0 + 4 + 900 + 0.16 + 9) / 5),
        "mae": pytest.approx((0 + 2 + 30 + 0.4 + 3) / 5),
        # The medians are 12, 20.4 and 5.
        "mae_per_video": pytest.approx((2 + 0.4 + 3) / 3),
        # Off by 0, 2, 30, 0 and 3 when rounded.
        "exact": pytest.approx(2 / 5),
        "within_1": pytest.approx(2 / 5),
        "within_2": pytest.approx(3 / 5),
        # The medians, rounded, are off by 2, 0 and 3.
        "exact_per_video": pytest.approx(1 / 3),
        "within_1_per_video": pytest.approx(1 / 3),
        "bias": pytest.approx((0 + 2 + 30 + 0.4 - 3) / 5),
        "bias_thick": None,
    }


def test_thick_packets_have_36_cards_or_more():
    predicted, cards = np.array([35, 34.5, 50]), np.array([35, 36, 52])
    assert count_metrics(predicted, cards, ["a", "b", "c"])["bias_thick"] == (-1.5 - 2) / 2


def test_a_recordings_rounded_count_may_be_right_or_one_off():
    predicted, cards = np.array([7.4, 8.6, 9.6]), np.array([7, 8, 8])
    found = count_metrics(predicted, cards, ["a", "b", "c"], {"c": 9.4})
    assert found["exact_per_video"] == pytest.approx(1 / 3)
    assert found["within_1_per_video"] == 1


@pytest.mark.parametrize(
    ("predicted", "exact", "within_1", "within_2"),
    [(10.4, 1, 1, 1), (11.4, 0, 1, 1), (11.6, 0, 0, 1), (8.6, 0, 1, 1), (7.4, 0, 0, 0)],
)
def test_counts_are_rounded_before_they_are_called_right(predicted, exact, within_1, within_2):
    found = count_metrics(np.array([predicted]), np.array([10]), ["a"])
    assert (found["exact"], found["within_1"], found["within_2"]) == (exact, within_1, within_2)


def test_recordings_weigh_the_same_however_many_frames_they_have():
    predicted, cards = np.array([1.0] * 9 + [6.0]), np.array([1] * 9 + [4])
    found = count_metrics(predicted, cards, ["a"] * 9 + ["b"])
    assert found["mae_per_video"] == pytest.approx((0 + 2) / 2)
    assert found["mae"] == pytest.approx(2 / 10)


def test_a_recording_counted_from_all_its_frames_is_not_counted_by_their_median():
    predicted, cards = np.array([1.0, 1.0, 6.0]), np.array([1, 1, 4])
    found = count_metrics(predicted, cards, ["a", "a", "b"], by_box={"b": 4.5})
    assert found["mae_per_video"] == pytest.approx((0 + 0.5) / 2)


def test_keypoint_metrics():
    points, visible = np.full((2, 8, 2), 100.0), np.zeros((2, 8), bool)
    predicted = points + 500  # far off, where nothing is visible
    for (row, keypoint), offset in {
        (0, 0): (3, 4),  # 5 pixels: not closer than 5
        (0, 7): (0, 0),
        (1, 2): (-1, 0),
        (1, 3): (0, -30),
    }.items():
        visible[row, keypoint] = True
        predicted[row, keypoint] = points[row, keypoint] + offset
    assert keypoint_metrics(predicted, points, visible) == {
        "median_px": pytest.approx((1 + 5) / 2),
        "mean_px": pytest.approx((5 + 0 + 1 + 30) / 4),
        "under_5px": pytest.approx(2 / 4),
    }


def test_places_of_invisible_keypoints_may_be_unknown():
    points, visible = np.full((1, 8, 2), np.nan), np.zeros((1, 8), bool)
    points[0, 4], visible[0, 4] = (6.0, 8.0), True
    found = keypoint_metrics(np.zeros((1, 8, 2)), points, visible)
    assert found["mean_px"] == pytest.approx(10)


def test_no_visible_keypoint_means_no_distances():
    found = keypoint_metrics(np.zeros((3, 8, 2)), np.zeros((3, 8, 2)), np.zeros((3, 8), bool))
    assert found == {"median_px": None, "mean_px": None, "under_5px": None}


def test_visibility_metrics():
    # 2 rightly called visible, 1 wrongly, 1 missed, 4 rightly called invisible.
    visible = np.array([[1, 1, 1, 0, 0, 0, 0, 0]], bool)
    predicted = np.array([[1, 1, 0, 1, 0, 0, 0, 0]], bool)
    found = visibility_metrics(predicted, visible)
    assert found == {"accuracy": pytest.approx(6 / 8), "f1": pytest.approx(2 * 2 / (2 * 2 + 1 + 1))}


def test_visibility_metrics_where_nothing_is_visible():
    nothing = np.zeros((2, 8), bool)
    assert visibility_metrics(nothing, nothing) == {"accuracy": 1.0, "f1": 0.0}


def test_visibility_of_nothing_is_not_measured():
    nothing = np.zeros(0, bool)
    assert visibility_metrics(nothing, nothing) == {"accuracy": None, "f1": None}


def test_interval_metrics():
    low, high, cards = np.array([3.0, 5, 8, 1]), np.array([5.0, 9, 9, 2]), np.array([4, 5, 10, 0])
    # Inside: yes, just, no, no. Widths 2, 4, 1 and 1.
    assert interval_metrics(low, high, cards) == {"coverage": 0.5, "mean_width": 2.0}
    unknown = np.full(4, np.nan)
    assert interval_metrics(unknown, unknown, cards) == {"coverage": None, "mean_width": None}
