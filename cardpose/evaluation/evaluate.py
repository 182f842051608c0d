"""Held-out frames in, metrics and pictures out."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from tqdm import tqdm

from cardpose.evaluation.metrics import (
    count_metrics,
    interval_metrics,
    keypoint_metrics,
    visibility_metrics,
)
from cardpose.geometry.bundle import count_recording
from cardpose.network.intervals import count_interval
from cardpose.network.model import COUNTS
from cardpose.network.predict import pair_loader, predict_frames
from cardpose.pictures.duplicates import difference_hash, near_duplicates
from cardpose.pictures.letterbox import fit, fitted_to_original

_BATCH = 32
_FEW = 5  # held-out recordings, below which one more or less changes everything


@dataclass(frozen=True)
class Results:
    """The held-out frames: `frames` is a table with `cards_predicted` beside the truth; `rows`
    says which of the tensors they are; `points` (n, 8, 2) are predicted, in original pixels; of
    `corners` (n, 8) see `model.Prediction`."""

    frames: pd.DataFrame
    rows: np.ndarray
    points: np.ndarray
    visible: np.ndarray
    corners: np.ndarray


def evaluate(network, about, tensors, role, count):
    """Metrics on the frames whose role is "test": of the count on all of them, of keypoints and
    visibility on those keypoints that have a label.

    Args:
        network, about: as `weights.load_network` returns them.
        tensors: a `Tensors`.
        role: (n,) "train", "validation" or "test", a frame.
        count: the way of counting, one of `model.COUNTS`; the others are measured beside it.

    Returns:
        the report as a dict (see README.md, "Read the results") and the `Results`.
    """
    rows = np.flatnonzero(role == "test")
    batches = pair_loader(tensors, rows, _BATCH)
    predicted = predict_frames(network, tqdm(batches, "evaluate", unit="batch"), about)
    counts = dict(zip(COUNTS, predicted.cards.T, strict=True))
    cards = counts[count]
    low, high = count_interval(cards, about["margins"] and about["margins"][count])
    frames = tensors.frames.iloc[rows].reset_index(drop=True)
    sizes = frames[["width", "height"]].to_numpy()
    points = fitted_to_original(predicted.points, sizes, tensors.image_size)
    visible = predicted.visible
    predicted = predicted._replace(points=points)
    by_box = count_recordings(frames["recording"], counts["both"], predicted, sizes, about)
    true_points = fitted_to_original(tensors.points[rows], sizes, tensors.image_size)
    true_visible, mask = tensors.visible[rows], tensors.mask[rows]
    true_cards = frames["cards_counted"].to_numpy(float)
    taught = tensors.frames["cards_counted"].to_numpy()[role == "train"]
    guess = taught.mean() if len(taught) else np.nan
    ways = {
        way: count_metrics(
            values, true_cards, frames["recording"], guess, by_box if way == "both" else None
        )
        for way, values in counts.items()
    }
    report = {
        "cards": ways[count],
        "ways": {
            way: {name: values[name] for name in ("mse", "mae", "mae_per_video")}
            for way, values in ways.items()
        },
        "interval": interval_metrics(low, high, true_cards),
        "keypoints": keypoint_metrics(points, true_points, true_visible),
        "visibility": visibility_metrics(visible[mask], true_visible[mask]),
        "data": {"recordings": int(frames["recording"].nunique()), "frames": len(frames)},
    }
    frames.insert(3, "cards_predicted", cards)
    frames.insert(4, "low", low)
    frames.insert(5, "high", high)
    frames.insert(6, "error", cards - true_cards)
    return _rounded(report), Results(frames, rows, points, visible, predicted.corners)


def doubts(report, tensors, role, split):
    """Why the numbers of `evaluate` may say less than they seem to, a line each.

    Args:
        report: as `evaluate` returns it.
        tensors, role: as it takes them.
        split: `split` of params.yaml.
    """
    lines = []
    recordings, cards = report["data"]["recordings"], report["cards"]
    mask = tensors.mask[role == "test"].any(axis=1)
    if not mask.all():
        lines.append(
            f"{mask.sum()} of the {len(mask)} held-out frames have labels: keypoints and"
            " visibility are measured on these alone"
        )
    by_frame = split.by == "frame" and not split.test_videos
    if by_frame:
        lines.append(
            "split.by is frame: the network has seen other frames of the held-out recordings, so"
            " the numbers say nothing about new ones"
        )
    if recordings < _FEW:
        held_out = f"{recordings} recording{'s are' if recordings > 1 else ' is'} held out"
        lines.append(f"only {held_out}: with others, the numbers may be quite different")
    if not by_frame:
        for name, other in copies(tensors, role).items():
            lines.append(
                f"{name} is held out, but shows nearly the same pictures as {other}, from which"
                " the network learnt"
            )
    if cards["mae"] >= cards["mae_constant_guess"]:
        lines.append(
            f"the network is no better than a constant guess: {cards['mae']:.1f} cards off on"
            f" average, the guess {cards['mae_constant_guess']:.1f}"
        )
    return lines


def copies(tensors, role):
    """{held-out recording: one that it is nearly a copy of, of those used in training}."""
    sides = {True: {}, False: {}}
    frames = tensors.frames
    columns = (frames["recording"], frames["width"], frames["height"], role)
    for row, (recording, *size, part) in enumerate(zip(*columns, strict=True)):
        (width, height), (left, top) = fit(tuple(size), tensors.image_size)
        picture = tensors.pictures[row, top : top + height, left : left + width, ::-1]
        side = sides[part == "test"]
        side.setdefault(recording, []).append(difference_hash(np.ascontiguousarray(picture)))
    held_out, others = ({n: np.array(v) for n, v in sides[test].items()} for test in (True, False))
    return near_duplicates(held_out, others)


def count_recordings(recordings, cards, predicted, sizes, about):
    """Count recordings from all their frames, see `bundle.count_recording`.

    Args:
        recordings: (n,) the recording of each frame, its frames in the order they were taken.
        cards: (n,) the count of each.
        predicted: a `predict.FramePredictions`, its points in pixels of the original pictures.
        sizes: (n, 2) width and height of these.
        about: as `weights.load_network` returns it.

    Returns:
        {recording: count}, of those whose frames show enough and have one size.
    """
    counts = {}
    for recording in np.unique(recordings):
        rows = np.flatnonzero(recordings == recording)
        if (sizes[rows] != sizes[rows[0]]).any():
            continue  # several cameras, or one that was turned
        counts[recording] = count_recording(
            cards[rows],
            predicted.points[rows],
            predicted.visible[rows],
            [part[rows] for part in predicted.pose],
            predicted.corners[rows],
            sizes[rows[0]],
            about,
        )
    return {recording: count for recording, count in counts.items() if count is not None}


def _rounded(values):
    """The same nested dict with floats to four digits."""
    if isinstance(values, dict):
        return {name: _rounded(value) for name, value in values.items()}
    return round(values, 4) if isinstance(values, float) else values
