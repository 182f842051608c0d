"""Metrics of counts, intervals, keypoints and visibility."""

from collections.abc import Hashable, Iterable, Mapping

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Num
from sklearn.metrics import accuracy_score, f1_score

THICK = 36  # cards; packets of at least this many are thick


def count_metrics(
    predicted: Float[np.ndarray, " n"],
    cards: Num[np.ndarray, " n"],
    recordings: Iterable[Hashable],
    by_box: Mapping[str, float] | None = None,
) -> dict[str, float | None]:
    """Measure counts. Errors are predicted - true, in cards.

    Args:
        predicted: predicted counts, not rounded.
        cards: true counts.
        recordings: the recording of each frame.
        by_box: {recording: count from all its frames}. For a missing recording, use the median of
            its frames' counts.

    Returns:
        mse: mean squared error in cards^2, the metric M.
        mae: mean absolute error per frame in cards.
        mae_per_video: mean absolute error per recording in cards.
        exact, within_1, within_2: share of frames whose rounded count is right, or at most 1 or
            2 cards off.
        exact_per_video, within_1_per_video: the same share of recordings.
        bias: mean error per frame in cards.
        bias_thick: bias of packets of at least THICK cards; None without such packets.
    """
    error = predicted - cards
    rounded = abs(np.round(predicted) - cards)
    thick = error[cards >= THICK]
    frames = pd.DataFrame({"recording": recordings, "predicted": predicted, "cards": cards})
    videos = frames.groupby("recording").agg({"predicted": "median", "cards": "first"})
    counts = pd.Series(by_box or {}, dtype=float).reindex(videos.index)
    counts = counts.fillna(videos["predicted"])
    rounded_videos = (counts.round() - videos["cards"]).abs()
    return {
        "mse": float(np.mean(error**2)),
        "mae": float(np.mean(abs(error))),
        "mae_per_video": float((counts - videos["cards"]).abs().mean()),
        "exact": float(np.mean(rounded == 0)),
        "within_1": float(np.mean(rounded <= 1)),
        "within_2": float(np.mean(rounded <= 2)),
        "exact_per_video": float((rounded_videos == 0).mean()),
        "within_1_per_video": float((rounded_videos <= 1).mean()),
        "bias": float(np.mean(error)),
        "bias_thick": float(np.mean(thick)) if len(thick) else None,
    }


def interval_metrics(
    low: Float[np.ndarray, " n"], high: Float[np.ndarray, " n"], cards: Num[np.ndarray, " n"]
) -> dict[str, float | None]:
    """Measure how often intervals contain the true count, and how wide they are.

    Args:
        low, high: ends of the intervals in cards, NaN where the network has no intervals.
        cards: true counts.

    Returns:
        coverage: share of the frames whose interval contains the true count.
        mean_width: mean width in cards. Both are None without intervals.
    """
    if not len(high) or np.isnan(high).any():
        return {"coverage": None, "mean_width": None}
    inside = (low <= cards) & (cards <= high)
    return {"coverage": float(inside.mean()), "mean_width": float((high - low).mean())}


def keypoint_metrics(
    predicted: Float[np.ndarray, "n 8 2"],
    points: Float[np.ndarray, "n 8 2"],
    visible: Bool[np.ndarray, "n 8"],
) -> dict[str, float | None]:
    """Measure distances from predicted to labelled places of visible keypoints.

    Args:
        predicted, points: pixels of the original pictures.

    Returns:
        median_px, mean_px: median and mean distance in pixels.
        under_5px: share of distances below 5 pixels. All are None without visible keypoints.
    """
    distance = np.linalg.norm(predicted - points, axis=2)[visible]
    if not len(distance):
        return {"median_px": None, "mean_px": None, "under_5px": None}
    return {
        "median_px": float(np.median(distance)),
        "mean_px": float(np.mean(distance)),
        "under_5px": float(np.mean(distance < 5)),
    }


def visibility_metrics(
    predicted: Bool[np.ndarray, "*n"], visible: Bool[np.ndarray, "*n"]
) -> dict[str, float | None]:
    """Measure accuracy and F1 of predicted visibility; None without labelled keypoints."""
    if not visible.size:
        return {"accuracy": None, "f1": None}
    true, guess = visible.reshape(-1), predicted.reshape(-1)
    return {
        "accuracy": float(accuracy_score(true, guess)),
        "f1": float(f1_score(true, guess, zero_division=0)),
    }
