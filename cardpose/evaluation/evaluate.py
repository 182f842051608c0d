"""Measure a network on the held-out frames."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int, Shaped
from tqdm import tqdm

from cardpose.dataset.tensors import Tensors
from cardpose.evaluation.metrics import (
    count_metrics,
    interval_metrics,
    keypoint_metrics,
    visibility_metrics,
)
from cardpose.geometry.recording_count import BoxCount
from cardpose.network.intervals import count_interval, recording_interval
from cardpose.network.model import COUNTS, CardPose
from cardpose.network.predict import FramePredictions, pair_loader, predict_frames
from cardpose.network.recordings import count_recordings
from cardpose.pictures.letterbox import fitted_to_original

_BATCH = 32
_COMPARED = ("mse", "mae", "mae_per_video")  # metrics of each way of counting and baseline
# One column each of `dvc metrics show`, which fits a terminal of 120 columns.
_HEADLINES = (
    *("cards.mse", "cards.mae", "cards.mae_per_video", "cards.exact_per_video"),
    "baselines.start.mae",
)


@dataclass(frozen=True)
class HeldOutFrames:
    """Predictions and true counts of the held-out frames.

    Attributes:
        frames: one row per frame, with `cards_counted`, `cards_predicted`, the interval's ends
            `low` and `high`, `error`, and `corner_error`: the largest distance of a visible
            keypoint from its label in pixels, NaN without labels.
        recordings: one row per recording, sorted by count, with `recording`, `cards_counted`,
            `cards_predicted`, `low`, `high` and `error`.
        rows: row of each frame in the tensors.
        points: predicted keypoints in original pixels.
        visible: predicted visibility of the keypoints.
        corners: see `model.Prediction`.
    """

    frames: pd.DataFrame
    recordings: pd.DataFrame
    rows: Int[np.ndarray, " n"]
    points: Float64[np.ndarray, "n 8 2"]
    visible: Bool[np.ndarray, "n 8"]
    corners: Int[np.ndarray, "n 8"]


def evaluate(
    network: CardPose,
    metadata: Mapping[str, Any],
    tensors: Tensors,
    role: Shaped[np.ndarray, " frames"],
    count: str,
) -> tuple[dict[str, Any], HeldOutFrames]:
    """Measure a network on the frames whose role is "test".

    Measure counts on all of these frames. Measure keypoints and visibility on labelled keypoints
    only.

    Args:
        network, metadata: as `weights.load_network` returns them.
        role: "train", "validation" or "test" of each frame.
        count: way of counting to report, one of `model.COUNTS`. The report's `ways` compares all.

    Returns:
        the report (see docs/reference/metrics.md) without the baseline `start`, and the
        predictions.
    """
    rows = np.flatnonzero(role == "test")
    frames = tensors.frames.iloc[rows].reset_index(drop=True)
    sizes = frames[["width", "height"]].to_numpy()
    batches = pair_loader(tensors, rows, _BATCH)
    predicted = predict_frames(network, tqdm(batches, "evaluate", unit="batch"), metadata)
    recordings = frames["recording"].to_numpy()
    by_box = count_recordings(network, batches, recordings, predicted, metadata)
    points = fitted_to_original(predicted.points, sizes, tensors.image_size)
    predicted = predicted._replace(points=points)
    true_points = fitted_to_original(tensors.points[rows], sizes, tensors.image_size)
    true_visible, mask = tensors.visible[rows], tensors.mask[rows]
    true_cards = frames["cards_counted"].to_numpy(float)
    cards = predicted.cards[:, COUNTS.index(count)]
    margin = metadata["margins"] and metadata["margins"][count]
    low, high = count_interval(cards, margin, metadata["deck"])
    ways = _measure_ways(predicted, frames, by_box)
    guesses = np.full(len(frames), _constant_guess(tensors, role))
    constant_guess = count_metrics(guesses, true_cards, frames["recording"])
    report = {
        "cards": ways[count],
        "ways": {way: _compared(values) for way, values in ways.items()},
        "baselines": {"constant_guess": _compared(constant_guess)},
        "interval": interval_metrics(low, high, true_cards),
        "interval_per_video": _recording_intervals(by_box, frames, metadata),
        "keypoints": keypoint_metrics(points, true_points, true_visible),
        "visibility": visibility_metrics(predicted.visible[mask], true_visible[mask]),
        "data": {"recordings": int(frames["recording"].nunique()), "frames": len(frames)},
    }
    frames.insert(3, "cards_predicted", cards)
    frames.insert(4, "low", low)
    frames.insert(5, "high", high)
    frames.insert(6, "error", cards - true_cards)
    off = np.linalg.norm(points - true_points, axis=2)
    frames["corner_error"] = pd.DataFrame(np.where(true_visible, off, np.nan)).max(axis=1)
    recordings = _recordings(frames, by_box if count == "both" else {}, metadata)
    held_out = HeldOutFrames(frames, recordings, rows, points, predicted.visible, predicted.corners)
    return _rounded(report), held_out


def headlines(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the few metrics of a report by which runs are compared, nested as in the report."""
    chosen: dict[str, Any] = {}
    for name in _HEADLINES:
        source, target = report, chosen
        *sections, last = name.split(".")
        for section in sections:
            source, target = source[section], target.setdefault(section, {})
        target[last] = source[last]
    return chosen


def _compared(metrics: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: metrics[name] for name in _COMPARED}


def _constant_guess(tensors: Tensors, role: Shaped[np.ndarray, " frames"]) -> float:
    """Return the mean count of the training frames, or NaN if there are none."""
    cards = tensors.frames["cards_counted"].to_numpy()[role == "train"]
    return float(cards.mean()) if len(cards) else np.nan


def _measure_ways(
    predicted: FramePredictions, frames: pd.DataFrame, by_box: Mapping[str, BoxCount]
) -> dict[str, dict[str, float | None]]:
    """Measure each way of counting. The way "both" counts a recording from all its frames at once.

    Args:
        predicted: predictions of all `frames`.
        by_box: {recording: count from all its frames}.
    """
    true_cards, recordings = frames["cards_counted"].to_numpy(float), frames["recording"]
    counts = {recording: count.cards for recording, count in by_box.items()}
    return {
        way: count_metrics(values, true_cards, recordings, counts if way == "both" else None)
        for way, values in zip(COUNTS, predicted.cards.T, strict=True)
    }


def _recordings(
    frames: pd.DataFrame, by_box: Mapping[str, BoxCount], metadata: Mapping[str, Any]
) -> pd.DataFrame:
    """Return one row per recording, sorted by count, see `HeldOutFrames`.

    Args:
        frames: one row per frame.
        by_box: {recording: count from all its frames}. A missing recording gets the median of its
            frames' counts, and no interval.
    """
    columns = {"cards_counted": "first", "cards_predicted": "median"}
    table = frames.groupby("recording").agg(columns).assign(low=np.nan, high=np.nan)
    for recording, count in by_box.items():
        ends = recording_interval(count, metadata)
        table.loc[recording, ["cards_predicted", "low", "high"]] = count.cards, *ends
    table["error"] = table["cards_predicted"] - table["cards_counted"]
    return table.reset_index().sort_values(["cards_counted", "recording"], ignore_index=True)


def _recording_intervals(
    by_box: Mapping[str, BoxCount], frames: pd.DataFrame, metadata: Mapping[str, Any]
) -> dict[str, float | None]:
    """Measure the intervals of recordings counted by their box."""
    cards = frames.groupby("recording")["cards_counted"].first()
    ends = [recording_interval(count, metadata) for count in by_box.values()]
    low, high = np.array(ends, float).reshape(-1, 2).T
    return interval_metrics(low, high, cards.reindex(list(by_box)).to_numpy(float))


def _rounded(values: Any) -> Any:
    """Round the floats of nested dicts to four digits."""
    if isinstance(values, dict):
        return {name: _rounded(value) for name, value in values.items()}
    return round(values, 4) if isinstance(values, float) else values
