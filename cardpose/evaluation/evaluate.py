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
from cardpose.geometry.bundle import count_recording
from cardpose.network.intervals import count_interval
from cardpose.network.model import COUNTS, CardPose
from cardpose.network.predict import FramePredictions, pair_loader, predict_frames
from cardpose.pictures.letterbox import fitted_to_original

_BATCH = 32
_COMPARED = ("mse", "mae", "mae_per_video")  # metrics of each way of counting and baseline


@dataclass(frozen=True)
class HeldOutFrames:
    """Predictions and true counts of the held-out frames.

    Attributes:
        frames: one row per frame, with `cards_counted`, `cards_predicted`, the interval's ends
            `low` and `high`, and `error`.
        rows: row of each frame in the tensors.
        points: predicted keypoints in original pixels.
        visible: predicted visibility of the keypoints.
        corners: see `model.Prediction`.
    """

    frames: pd.DataFrame
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
        the report (see README.md, "Read the results") without the baseline `start`, and the
        predictions.
    """
    rows = np.flatnonzero(role == "test")
    frames = tensors.frames.iloc[rows].reset_index(drop=True)
    sizes = frames[["width", "height"]].to_numpy()
    batches = tqdm(pair_loader(tensors, rows, _BATCH), "evaluate", unit="batch")
    predicted = predict_frames(network, batches, metadata)
    points = fitted_to_original(predicted.points, sizes, tensors.image_size)
    predicted = predicted._replace(points=points)
    true_points = fitted_to_original(tensors.points[rows], sizes, tensors.image_size)
    true_visible, mask = tensors.visible[rows], tensors.mask[rows]
    true_cards = frames["cards_counted"].to_numpy(float)
    cards = predicted.cards[:, COUNTS.index(count)]
    low, high = count_interval(cards, metadata["margins"] and metadata["margins"][count])
    ways = _measure_ways(predicted, frames, metadata)
    guesses = np.full(len(frames), _constant_guess(tensors, role))
    constant_guess = count_metrics(guesses, true_cards, frames["recording"])
    report = {
        "cards": ways[count],
        "ways": {way: _compared(values) for way, values in ways.items()},
        "baselines": {"constant_guess": _compared(constant_guess)},
        "interval": interval_metrics(low, high, true_cards),
        "keypoints": keypoint_metrics(points, true_points, true_visible),
        "visibility": visibility_metrics(predicted.visible[mask], true_visible[mask]),
        "data": {"recordings": int(frames["recording"].nunique()), "frames": len(frames)},
    }
    frames.insert(3, "cards_predicted", cards)
    frames.insert(4, "low", low)
    frames.insert(5, "high", high)
    frames.insert(6, "error", cards - true_cards)
    held_out = HeldOutFrames(frames, rows, points, predicted.visible, predicted.corners)
    return _rounded(report), held_out


def _compared(metrics: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: metrics[name] for name in _COMPARED}


def _constant_guess(tensors: Tensors, role: Shaped[np.ndarray, " frames"]) -> float:
    """Return the mean count of the training frames, or NaN if there are none."""
    cards = tensors.frames["cards_counted"].to_numpy()[role == "train"]
    return float(cards.mean()) if len(cards) else np.nan


def _measure_ways(
    predicted: FramePredictions, frames: pd.DataFrame, metadata: Mapping[str, Any]
) -> dict[str, dict[str, float | None]]:
    """Measure each way of counting. The way "both" counts a recording from all its frames at once.

    Args:
        predicted: predictions of all `frames`, with points in original pixels.
    """
    cards = dict(zip(COUNTS, predicted.cards.T, strict=True))
    recordings = frames["recording"].to_numpy()
    sizes = frames[["width", "height"]].to_numpy()
    by_box = count_recordings(recordings, predicted, sizes, metadata)
    true_cards = frames["cards_counted"].to_numpy(float)
    return {
        way: count_metrics(values, true_cards, recordings, by_box if way == "both" else None)
        for way, values in cards.items()
    }


def count_recordings(
    recordings: Shaped[np.ndarray, " n"],
    predicted: FramePredictions,
    sizes: Int[np.ndarray, "n 2"],
    metadata: Mapping[str, Any],
) -> dict[str, float]:
    """Count recordings from all their frames, see `bundle.count_recording`.

    Args:
        recordings: recording of each frame. Frames of one recording are in the order they were
            taken.
        predicted: predictions of the frames, with points in original pixels.
        sizes: width and height of the original pictures.
        metadata: metadata of the network.

    Returns:
        {recording: count}, without recordings whose frames show too little or differ in size.
    """
    counts = {}
    for recording in np.unique(recordings):
        rows = np.flatnonzero(recordings == recording)
        if (sizes[rows] != sizes[rows[0]]).any():
            continue  # several cameras, or a camera that was turned
        counts[recording] = count_recording(
            predicted.points[rows],
            predicted.visible[rows],
            [part[rows] for part in predicted.pose],
            predicted.corners[rows],
            sizes[rows[0]],
            metadata,
        )
    return {recording: count for recording, count in counts.items() if count is not None}


def _rounded(values: Any) -> Any:
    """Round the floats of nested dicts to four digits."""
    if isinstance(values, dict):
        return {name: _rounded(value) for name, value in values.items()}
    return round(values, 4) if isinstance(values, float) else values
