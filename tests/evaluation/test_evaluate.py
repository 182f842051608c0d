"""Held-out recordings: counted from all their frames, and measured where there are labels."""

from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from support import CARD, FOCAL, SIZE, posed, seen

from cardpose.evaluation import report as report_module
from cardpose.evaluation.evaluate import count_recordings, evaluate
from cardpose.evaluation.report import write_report
from cardpose.network.model import CardPose, network_shape
from cardpose.network.predict import FramePredictions
from cardpose.pictures.drawing import heatmap_rows

ABOUT = {"focal": FOCAL, "card": CARD, "deck": 52}


def counted(recordings, cards, points, visible):
    predicted = FramePredictions(None, points, visible, *posed(points, visible))
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


@pytest.fixture
def held_out(tmp_path):
    """A network that nobody trained, and tensors of eight frames of four recordings, the last two
    of which are held out."""
    torch.manual_seed(0)
    about = {"encoder": "plain", "widths": [8, 8, 8, 8], "stride": 4, "hidden": 8, "sigma": 1.5}
    about |= {"image_size": [64, 48], "focal": FOCAL, "card": CARD, "deck": 52, "margins": None}
    rng = np.random.default_rng(0)
    recordings = np.repeat(list("abcd"), 2)
    table = pd.DataFrame({"recording": recordings, "cards_counted": 10, "width": 64, "height": 48})
    table.insert(0, "frame", [f"{name}_frame_{i % 2}" for i, name in enumerate(recordings)])
    table["file"] = table["frame"] + ".png"
    for name in table["file"]:
        cv2.imwrite(str(tmp_path / name), np.zeros((48, 64, 3), np.uint8))
    tensors = SimpleNamespace(
        pictures=rng.integers(0, 256, (8, 48, 64, 3), dtype=np.uint8),
        details=rng.integers(0, 256, (8, 96, 128, 3), dtype=np.uint8),
        heatmaps=np.zeros((8, 8, 12, 16), np.float16),
        points=rng.uniform([0, 0], [64, 48], (8, 8, 2)).astype(np.float32),
        visible=np.ones((8, 8), bool),
        mask=np.ones((8, 8), bool),
        cards=np.full(8, 10 / 52, np.float32),
        longer=np.full(8, 64),
        frames=table,
        image_size=(64, 48),
        stride=4,
        sigma=1.5,
        deck=52,
    )
    return CardPose(**network_shape(about)).eval(), about, tensors, np.repeat(["train", "test"], 4)


def forget(tensors, *which):
    for part in (tensors.mask, tensors.visible):
        part[which] = False


def test_counts_are_measured_on_all_frames_and_corners_where_there_are_labels(held_out):
    network, about, tensors, role = held_out
    whole, found = evaluate(network, about, tensors, role, "both")
    forget(tensors, [4, 5, 6])
    forget(tensors, 7, [0, 1, 2])
    part, _ = evaluate(network, about, tensors, role, "both")
    assert part["cards"] == whole["cards"]
    assert part["data"] == whole["data"]
    # Frame 7's last five keypoints are left.
    off = np.linalg.norm(found.points[3, 3:] - tensors.points[7, 3:], axis=1)
    assert part["keypoints"]["mean_px"] == pytest.approx(off.mean(), abs=1e-3)
    assert part["visibility"]["accuracy"] == pytest.approx(found.visible[3, 3:].mean(), abs=1e-4)


@pytest.mark.parametrize("rows", [[4, 5, 6], [4, 5, 6, 7]])
def test_frames_without_labels_are_reported_and_drawn(held_out, tmp_path, monkeypatch, rows):
    network, about, tensors, role = held_out
    forget(tensors, rows)
    report, results = evaluate(network, about, tensors, role, "both")
    if len(rows) == 4:
        assert set(report["keypoints"].values()) == {None}
        assert report["visibility"] == {"accuracy": None, "f1": None}
    drawn = []

    def draw(picture, predicted, true, mask, **kwargs):
        drawn.append(mask.tolist())
        return heatmap_rows(picture, predicted, true, mask, **kwargs)

    monkeypatch.setattr(report_module, "heatmap_rows", draw)
    monkeypatch.setattr(report_module, "plot_losses", lambda path, log: None)
    table, plots = tmp_path / "predictions.csv", tmp_path / "plots"
    options = {"extracted": tmp_path, "log": None, "count": 4}
    write_report(table, plots, results, network, tensors, **options)
    assert len(pd.read_csv(table)) == 4
    assert {path.name for path in plots.iterdir()} >= {"worst.png", "examples.png", "heatmaps.png"}
    # Those that have labels, or if there are none, any.
    assert drawn == ([[True] * 8] if len(rows) == 3 else [[False] * 8] * 4)
