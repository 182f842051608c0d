"""A network run over frames in batches."""

from types import SimpleNamespace

import numpy as np
import pytest
from networks import landscape_and_portrait, large_network

from cardpose.network import model
from cardpose.network.model import COUNTS
from cardpose.network.predict import pair_loader, predict_frames


@pytest.fixture
def frames():
    """A landscape and a portrait frame of 640 pixels, fitted into 640 x 480."""
    return SimpleNamespace(
        pictures=np.zeros((2, 480, 640, 3), np.uint8),
        details=np.zeros((2, 960, 1280, 3), np.uint8),
        longer=np.array([640, 480]),
    )


def test_a_packet_has_the_same_counts_in_landscape_and_in_portrait_frames(frames, monkeypatch):
    monkeypatch.setattr(model, "_PICTURE_ERROR", 1e6)  # the picture's count differs
    network = large_network()
    network.heatmaps, _ = landscape_and_portrait()
    found = predict_frames(network, pair_loader(frames, np.array([0, 1]), 2), {"deck": 52})
    assert found.cards.shape == (2, len(COUNTS))
    landscape, portrait = found.cards[:, 1:]
    assert landscape == pytest.approx(portrait, abs=0.05)
    landscape, portrait = found.pose.numbers[:, :7]  # in mm
    assert landscape == pytest.approx(portrait, abs=0.02)


def test_every_frame_gets_its_box(frames, monkeypatch):
    network, given = large_network(), []
    guide = model.guide_pose

    def record(fitter, pose, points, seen, boxes, focal):
        given.append(boxes)
        return guide(fitter, pose, points, seen, boxes, focal)

    monkeypatch.setattr(model, "guide_pose", record)
    boxes = np.arange(8.0).reshape(2, 4)
    loader = pair_loader(frames, np.array([0, 1]), 1)
    guided = predict_frames(network, loader, {"deck": 52}, boxes)
    assert np.array_equal(np.concatenate(given), boxes)
    alone = predict_frames(network, loader, {"deck": 52})
    unknown = predict_frames(network, loader, {"deck": 52}, np.full((2, 4), np.nan))
    assert len(given) == 4
    assert np.array_equal(unknown.information, alone.information)
    assert not np.array_equal(guided.information, alone.information)


def test_pairs_come_in_the_order_of_the_rows(frames):
    frames.pictures[1], frames.details[1, ..., 2] = 1, 2
    batches = list(pair_loader(frames, np.array([1, 0, 1]), 2))
    assert [len(batch["pictures"]) for batch in batches] == [2, 1]
    assert [batch["longer"].tolist() for batch in batches] == [[480, 640], [480]]
    assert batches[0]["pictures"].shape == (2, 3, 480, 640)
    assert batches[0]["details"].shape == (2, 3, 960, 1280)
    assert batches[0]["pictures"].amax(dim=(1, 2, 3)).tolist() == [1, 0]
    assert batches[0]["details"].amax(dim=(2, 3)).tolist() == [[0, 0, 2], [0, 0, 0]]
