"""Recordings are counted from a second reading, round the box of the first."""

import numpy as np
import pytest
from networks import large_network
from support import CARD, FOCAL, informed, seen

from cardpose.geometry.projection import BOX
from cardpose.network import recordings
from cardpose.network.predict import FramePredictions

METADATA = {"focal": FOCAL, "card": CARD, "deck": 52}


def predictions(*packets):
    """Return predictions of packets seen from several sides: (thickness in mm, frames) of each."""
    views = [seen(range(-140, -140 + 5 * n, 5), thickness) for thickness, n in packets]
    points, visible = map(np.concatenate, zip(*views, strict=True))
    counts = np.concatenate([np.full((n, 3), thickness / CARD[2]) for thickness, n in packets])
    return FramePredictions(counts, points, visible, *informed(points, visible))


@pytest.fixture
def first():
    """Ten frames of 20 cards, ten of 40 cards and one that shows no corner; their recordings."""
    predicted = predictions((6.0, 10), (12.0, 10), (9.0, 1))
    predicted.visible[20] = False
    return predicted, np.repeat(["a", "b", "c"], [10, 10, 1])


def test_every_frame_gets_the_box_of_its_recording(first):
    predicted, names = first
    boxes = recordings.shared_boxes(names, predicted, METADATA)
    assert boxes.shape == (21, BOX.stop - BOX.start)
    assert boxes[:20, 0] == pytest.approx(np.repeat([6.0, 12.0], 10), abs=0.1)
    assert np.isnan(boxes[20]).all()


def test_the_count_is_that_of_the_second_reading(first, monkeypatch):
    predicted, names = first
    again = predictions((9.0, 21))
    batches = []
    network, given = large_network(), []

    def predict(used, loader, metadata, boxes):
        given.append((used, loader, boxes))
        return again

    monkeypatch.setattr(recordings, "predict_frames", predict)
    counts = recordings.count_recordings(network, batches, names, predicted, METADATA)
    [(used, loader, boxes)] = given
    assert used is network
    assert loader is batches
    assert np.array_equal(
        boxes, recordings.shared_boxes(names, predicted, METADATA), equal_nan=True
    )
    assert counts["a"].cards == pytest.approx(30, abs=0.5)
    assert counts["b"].cards == pytest.approx(30, abs=0.5)
