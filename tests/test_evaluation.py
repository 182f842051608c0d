"""Counting a recording from all its frames."""

import numpy as np
import pytest
from test_box import CARD, FOCAL, SIZE, posed, seen

from cardpose.evaluation import count_recordings
from cardpose.prediction import Predicted

ABOUT = {"focal": FOCAL, "card": CARD, "deck": 52}


def counted(recordings, cards, points, visible):
    predicted = Predicted(None, points, visible, *posed(points, visible))
    sizes = np.tile(SIZE, (len(cards), 1))
    return count_recordings(np.array(recordings), cards, predicted, sizes, ABOUT)


def test_a_recordings_count_is_the_mean_of_the_boxs_and_the_median_frames():
    points, visible = seen(range(-140, -40, 10), 9.0)  # 30 cards
    n = len(points)
    points, visible = np.concatenate([points, points]), np.concatenate([visible, visible])
    visible[n:] = False  # the second recording shows nothing
    cards = np.concatenate([[34.0] * (n - 1) + [99.0], [7.0] * n])
    counts = counted(np.repeat(["a", "b"], n), cards, points, visible)
    assert counts == {"a": pytest.approx((30 + 34) / 2, abs=0.1)}


def test_a_box_is_never_thicker_than_the_deck():
    points, visible = seen(range(-140, -40, 10), 25.0)
    counts = counted(np.repeat("a", 10), np.full(10, 50.0), points, visible)
    assert counts == {"a": pytest.approx((52 + 50) / 2)}
