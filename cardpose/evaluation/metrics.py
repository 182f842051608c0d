"""How good predictions are, in cards, pixels and shares; each metric says its unit by its name."""

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score


def count_metrics(predicted, cards, recordings, guess, by_box=None):
    """Metrics of counts.

    Args:
        predicted: (n,) predicted counts, not rounded.
        cards: (n,) true counts.
        recordings: (n,) the recording of each frame.
        guess: what somebody says who has seen only the training counts.
        by_box: {recording: count from all its frames}; the median of its frames' where there is
            none.

    Returns:
        mse in cards^2 (the metric M); mae in cards a frame; mae_per_video in cards; within_1 and
        within_2, the shares of frames whose rounded count is at most that far off; mse and mae of
        the constant guess.
    """
    error = predicted - cards
    rounded = abs(np.round(predicted) - cards)
    frames = pd.DataFrame({"recording": recordings, "predicted": predicted, "cards": cards})
    videos = frames.groupby("recording").agg({"predicted": "median", "cards": "first"})
    counts = pd.Series(by_box or {}, dtype=float).reindex(videos.index)
    counts = counts.fillna(videos["predicted"])
    return {
        "mse": float(np.mean(error**2)),
        "mae": float(np.mean(abs(error))),
        "mae_per_video": float((counts - videos["cards"]).abs().mean()),
        "within_1": float(np.mean(rounded <= 1)),
        "within_2": float(np.mean(rounded <= 2)),
        "mse_constant_guess": float(np.mean((guess - cards) ** 2)),
        "mae_constant_guess": float(np.mean(abs(guess - cards))),
    }


def interval_metrics(low, high, cards):
    """How often a count's interval holds the truth, and how wide it is.

    Args:
        low, high: (n,) ends of the intervals in cards, NaN where there are none.
        cards: (n,) true counts.

    Returns:
        coverage, a share of the frames, and mean_width in cards; None where there are none.
    """
    if np.isnan(high).any():
        return {"coverage": None, "mean_width": None}
    inside = (low <= cards) & (cards <= high)
    return {"coverage": float(inside.mean()), "mean_width": float((high - low).mean())}


def keypoint_metrics(predicted, points, visible):
    """Distances between predicted and labelled places, where the label says visible.

    Args:
        predicted, points: (n, 8, 2) pixels of the original pictures.
        visible: (n, 8) bool.

    Returns:
        median_px, mean_px, and under_5px, the share closer than 5 pixels; None where no keypoint
        is labelled visible.
    """
    distance = np.linalg.norm(predicted - points, axis=2)[visible]
    if not len(distance):
        return {"median_px": None, "mean_px": None, "under_5px": None}
    return {
        "median_px": float(np.median(distance)),
        "mean_px": float(np.mean(distance)),
        "under_5px": float(np.mean(distance < 5)),
    }


def visibility_metrics(predicted, visible):
    """Accuracy and F1 of predicted visibility, None where there is none; both arguments bool, of
    one shape."""
    if not visible.size:
        return {"accuracy": None, "f1": None}
    true, guess = visible.reshape(-1), predicted.reshape(-1)
    return {
        "accuracy": float(accuracy_score(true, guess)),
        "f1": float(f1_score(true, guess, zero_division=0)),
    }
