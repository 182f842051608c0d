"""Evaluation of held-out frames: which are measured, against what, and what is written."""

import re

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from support import CARD, FOCAL, informed, seen

from cardpose.dataset.tensors import Tensors
from cardpose.evaluation import evaluate as evaluate_module
from cardpose.evaluation import report as report_module
from cardpose.evaluation.evaluate import evaluate, headlines
from cardpose.evaluation.page import write_page
from cardpose.evaluation.report import write_report
from cardpose.geometry.recording_count import BoxCount
from cardpose.network.model import COUNTS, CardPose, network_shape
from cardpose.network.predict import FramePredictions
from cardpose.network.recordings import recording_counts
from cardpose.pictures.drawing import heatmap_rows

METADATA = {"focal": FOCAL, "card": CARD, "deck": 52}


def counted(recordings, points, visible):
    single = np.full((len(points), 3), 30.0)
    predicted = FramePredictions(single, points, visible, *informed(points, visible))
    counts = recording_counts(np.array(recordings), predicted, METADATA)
    return {recording: count.cards for recording, count in counts.items()}


def test_a_recording_is_counted_by_the_box_fitted_to_its_frames():
    points, visible = seen(range(-140, -40, 10), 9.0)  # 30 cards
    n = len(points)
    points, visible = np.concatenate([points, points]), np.concatenate([visible, visible])
    visible[n:] = False  # the second recording shows nothing
    counts = counted(np.repeat(["a", "b"], n), points, visible)
    assert counts == {"a": pytest.approx(30, abs=0.1)}


def test_a_box_is_never_thicker_than_the_deck():
    points, visible = seen(range(-140, -40, 10), 28.0)
    counts = counted(np.repeat("a", 10), points, visible)
    assert counts == {"a": 52}


@pytest.fixture
def held_out(tmp_path):
    """An untrained network, its metadata, tensors of eight frames of four recordings, and roles.

    The last two recordings are held out. They have 10 cards; the others have 20 and 40.
    """
    torch.manual_seed(0)
    metadata = {"encoder": "plain", "widths": [8, 8, 8, 8], "stride": 4, "hidden": 8, "sigma": 1.5}
    metadata |= {"image_size": [64, 48], "focal": FOCAL, "card": CARD, "deck": 52, "margins": None}
    rng = np.random.default_rng(0)
    recordings, cards = np.repeat(list("abcd"), 2), np.repeat([20, 40, 10, 10], 2)
    table = pd.DataFrame(
        {"recording": recordings, "cards_counted": cards, "width": 64, "height": 48}
    )
    table.insert(0, "frame", [f"{name}_frame_{i % 2}" for i, name in enumerate(recordings)])
    table["file"] = table["frame"] + ".png"
    for name in table["file"]:
        cv2.imwrite(str(tmp_path / name), np.zeros((48, 64, 3), np.uint8))
    tensors = Tensors(
        pictures=rng.integers(0, 256, (8, 48, 64, 3), dtype=np.uint8),
        details=rng.integers(0, 256, (8, 96, 128, 3), dtype=np.uint8),
        heatmaps=np.zeros((8, 8, 12, 16), np.float16),
        points=rng.uniform([0, 0], [64, 48], (8, 8, 2)).astype(np.float32),
        visible=np.ones((8, 8), bool),
        mask=np.ones((8, 8), bool),
        cards=(cards / 52).astype(np.float32),
        frames=table,
        image_size=(64, 48),
        stride=4,
        sigma=1.5,
        deck=52,
    )
    network = CardPose(**network_shape(metadata)).eval()
    return network, metadata, tensors, np.repeat(["train", "test"], 4)


def remove_labels(tensors, *which):
    for part in (tensors.mask, tensors.visible):
        part[which] = False


def test_the_frames_of_the_role_test_are_measured_and_no_others(held_out):
    report, found = evaluate(*held_out, "both")
    assert found.rows.tolist() == [4, 5, 6, 7]
    assert found.frames["frame"].tolist() == ["c_frame_0", "c_frame_1", "d_frame_0", "d_frame_1"]
    assert report["data"] == {"recordings": 2, "frames": 4}


def test_the_constant_guess_is_the_mean_of_the_training_counts(held_out):
    report, _ = evaluate(*held_out, "both")
    # 20 and 40 in training, 10 in every held-out frame.
    guess = report["baselines"]["constant_guess"]
    assert guess == {"mse": (30 - 10) ** 2, "mae": 30 - 10, "mae_per_video": 30 - 10}


def test_validation_frames_do_not_enter_the_constant_guess(held_out):
    network, metadata, tensors, role = held_out
    role = np.where(tensors.frames["recording"] == "b", "validation", role)
    report, _ = evaluate(network, metadata, tensors, role, "both")
    assert report["baselines"]["constant_guess"]["mae"] == 20 - 10


def test_without_training_frames_there_is_no_constant_guess(held_out):
    network, metadata, tensors, _ = held_out
    report, _ = evaluate(network, metadata, tensors, np.full(8, "test"), "both")
    assert np.isnan(report["baselines"]["constant_guess"]["mae"])


@pytest.mark.parametrize(("count", "margin"), [("picture", 1.5), ("keypoints", 2.5), ("both", 4.0)])
def test_the_interval_has_the_margin_of_the_reported_way_of_counting(held_out, count, margin):
    network, metadata, tensors, role = held_out
    metadata |= {"margins": {"picture": 1.5, "keypoints": 2.5, "both": 4.0}}
    report, found = evaluate(network, metadata, tensors, role, count)
    frames = found.frames
    low, high = (
        (frames["cards_predicted"] + side * margin).clip(1, METADATA["deck"]) for side in (-1, 1)
    )
    assert np.allclose(frames["high"], high)
    assert np.allclose(frames["low"], low)
    width = (high - low).mean()
    assert report["interval"]["mean_width"] == pytest.approx(width, abs=1e-4)


def test_a_network_without_margins_has_no_intervals(held_out):
    report, found = evaluate(*held_out, "both")
    assert report["interval"] == {"coverage": None, "mean_width": None}
    assert report["interval_per_video"] == {"coverage": None, "mean_width": None}
    assert found.frames[["low", "high"]].isna().all(axis=None)


def test_each_way_of_counting_is_measured_beside_the_reported_one(held_out):
    reports = {way: evaluate(*held_out, way)[0] for way in COUNTS}
    for way, report in reports.items():
        assert report["ways"] == reports["both"]["ways"]
        chosen = {name: report["cards"][name] for name in ("mse", "mae", "mae_per_video")}
        assert report["ways"][way] == chosen
    assert len({report["cards"]["mse"] for report in reports.values()}) == 3


def test_recordings_are_listed_with_the_counts_that_are_measured(held_out, monkeypatch):
    by_box = {"d": BoxCount(12.0, 1.5, None)}
    monkeypatch.setattr(evaluate_module, "count_recordings", lambda *_: by_box)
    held_out[1]["recording_margin"] = 2.0
    for way in ("both", "picture"):
        report, found = evaluate(*held_out, way)
        table = found.recordings.set_index("recording")
        assert table.index.tolist() == ["c", "d"]
        mae = table["error"].abs().mean()
        assert mae == pytest.approx(report["cards"]["mae_per_video"], abs=1e-4)
        boxed = table.loc["d", ["cards_predicted", "low", "high"]].tolist()
        assert (boxed == [12, 9, 15]) == (way == "both")


def test_frames_are_listed_with_their_worst_corner(held_out):
    _, found = evaluate(*held_out, "both")
    tensors = held_out[2]
    off = np.linalg.norm(found.points - tensors.points[4:], axis=2)
    assert found.frames["corner_error"].to_numpy() == pytest.approx(off.max(axis=1), rel=1e-4)


def test_a_page_holds_pictures_recordings_and_warnings_and_loads_nothing(held_out, tmp_path):
    report, found = evaluate(*held_out, "both")
    report["baselines"]["start"] = report["baselines"]["constant_guess"]
    report["training"] = {"best_epoch": 3, "trained_share": 0.75}
    for name in ("counts", "losses"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((9, 9, 3), np.uint8))
    page, again = tmp_path / "a.html", tmp_path / "b.html"
    inputs = {"dataset": "mine", "plots": tmp_path, "extracted": tmp_path, "count": 3}
    for path in (page, again):
        write_page(path, report, found, ["few <b>"], ["do more"], **inputs)
    text = page.read_text()
    assert text.count("<figure>") == 3 + 3
    assert text.count('src="data:image/jpeg;base64,') == 6
    assert set(re.findall('(?:src|href)="(.{11})', text)) == {"data:image/"}
    parts = (
        "<td>c</td>",
        "<td>d</td>",
        "<li>few &lt;b&gt;</li>",
        "<li>do more</li>",
        "“mine”",
        "75 %",
    )
    assert all(part in text for part in parts)
    assert page.read_bytes() == again.read_bytes()


def test_runs_are_compared_by_a_few_metrics(held_out):
    report, _ = evaluate(*held_out, "both")
    report["baselines"]["start"] = {"mse": 9.0, "mae": 2.5, "mae_per_video": 1.5}
    compared = ("mse", "mae", "mae_per_video", "exact_per_video")
    assert headlines(report) == {
        "cards": {name: report["cards"][name] for name in compared},
        "baselines": {"start": {"mae": 2.5}},
    }


def test_counts_are_measured_on_all_frames_and_corners_on_labelled_ones(held_out):
    network, metadata, tensors, role = held_out
    whole, found = evaluate(network, metadata, tensors, role, "both")
    remove_labels(tensors, [4, 5, 6])
    remove_labels(tensors, 7, [0, 1, 2])
    part, _ = evaluate(network, metadata, tensors, role, "both")
    assert part["cards"] == whole["cards"]
    assert part["data"] == whole["data"]
    # Frame 7's last five keypoints are left.
    off = np.linalg.norm(found.points[3, 3:] - tensors.points[7, 3:], axis=1)
    assert part["keypoints"]["mean_px"] == pytest.approx(off.mean(), abs=1e-3)
    assert part["visibility"]["accuracy"] == pytest.approx(found.visible[3, 3:].mean(), abs=1e-4)


@pytest.mark.parametrize("rows", [[4, 5, 6], [4, 5, 6, 7]])
def test_frames_without_labels_are_reported_and_drawn(held_out, tmp_path, monkeypatch, rows):
    network, metadata, tensors, role = held_out
    remove_labels(tensors, rows)
    report, found = evaluate(network, metadata, tensors, role, "both")
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
    options = {"extracted": tmp_path, "log": tmp_path, "count": 4}
    write_report(table, plots, found, network, tensors, **options)
    assert len(pd.read_csv(table)) == 4
    assert {path.name for path in plots.iterdir()} >= {"worst.png", "examples.png", "heatmaps.png"}
    # Frames with labels are drawn, or any frames if none has labels.
    assert drawn == ([[True] * 8] if len(rows) == 3 else [[False] * 8] * 4)
