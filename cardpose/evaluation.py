"""Held-out frames in, metrics and pictures out."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from cardpose.batches import loader, pairs
from cardpose.box import count_recording
from cardpose.drawing import captioned, draw_packet, heatmap_rows, sheet
from cardpose.lookalikes import look, lookalikes
from cardpose.metrics import (
    count_metrics,
    interval_metrics,
    keypoint_metrics,
    visibility_metrics,
)
from cardpose.model import COUNTS
from cardpose.pictures import fit, to_original
from cardpose.plots import plot_counts, plot_losses
from cardpose.prediction import interval, predict
from cardpose.reading import read_picture

_BATCH = 32
_FEW = 5  # held-out recordings, below which one more or less changes everything


@dataclass(frozen=True)
class Results:
    """The held-out frames: `frames` is a table with `cards_predicted` beside the truth; `rows`
    says which of the tensors they are; `points` (n, 8, 2) are predicted, in original pixels; of
    `corners` (n, 8) see `model.Look`."""

    frames: pd.DataFrame
    rows: np.ndarray
    points: np.ndarray
    visible: np.ndarray
    corners: np.ndarray


def evaluate(network, about, tensors, role, count):
    """Metrics on the frames whose role is "test": of the count on all of them, of keypoints and
    visibility on those keypoints that have a label.

    Args:
        network, about: as `prediction.load_network` returns them.
        tensors: a `Tensors`.
        role: (n,) "train", "validation" or "test", a frame.
        count: the way of counting, one of `model.COUNTS`; the others are measured beside it.

    Returns:
        the report as a dict (see README.md, "Read the results") and the `Results`.
    """
    rows = np.flatnonzero(role == "test")
    batches = pairs(tensors, rows, _BATCH)
    predicted = predict(network, tqdm(batches, "evaluate", unit="batch"), about)
    counts = dict(zip(COUNTS, predicted.cards.T, strict=True))
    cards = counts[count]
    low, high = interval(cards, about["margins"] and about["margins"][count])
    frames = tensors.frames.iloc[rows].reset_index(drop=True)
    sizes = frames[["width", "height"]].to_numpy()
    points, visible = to_original(predicted.points, sizes, tensors.image_size), predicted.visible
    predicted = predicted._replace(points=points)
    by_box = count_recordings(frames["recording"], counts["both"], predicted, sizes, about)
    true_points = to_original(tensors.points[rows], sizes, tensors.image_size)
    true_visible, known = tensors.visible[rows], tensors.known[rows]
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
        "visibility": visibility_metrics(visible[known], true_visible[known]),
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
    known = tensors.known[role == "test"].any(axis=1)
    if not known.all():
        lines.append(
            f"{known.sum()} of the {len(known)} held-out frames have labels: keypoints and"
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
        side.setdefault(recording, []).append(look(np.ascontiguousarray(picture)))
    held_out, others = ({n: np.array(v) for n, v in sides[test].items()} for test in (True, False))
    return lookalikes(held_out, others)


def count_recordings(recordings, cards, predicted, sizes, about):
    """Count recordings from all their frames, see `box.count_recording`.

    Args:
        recordings: (n,) the recording of each frame, its frames in the order they were taken.
        cards: (n,) the count of each.
        predicted: a `prediction.Predicted`, its points in pixels of the original pictures.
        sizes: (n, 2) width and height of these.
        about: as `prediction.load_network` returns it.

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


def write_report(predictions, plots, results, network, tensors, *, extracted, log, count):
    """Write the table of predictions and the sheets of pictures.

    Args:
        predictions: CSV file to be written, a row a held-out frame, by count.
        plots: folder to be made, for counts, losses, examples, worst and heatmaps, all PNG.
        extracted: folder of the original frames.
        log: folder of the plots that DVCLive logged at training.
        count: how many pictures a sheet shows.
    """
    plots = Path(plots)
    plots.mkdir(parents=True)
    frames = results.frames
    by_count = frames.sort_values(["cards_counted", "frame"], kind="stable")
    columns = ["frame", "recording", "cards_counted", "cards_predicted", "low", "high", "error"]
    by_count[columns].round(4).to_csv(predictions, index=False, lineterminator="\n")
    plot_counts(plots / "counts.png", frames)
    plot_losses(plots / "losses.png", log)
    spread = by_count.index[_evenly(len(frames), count)]
    worst = frames["error"].abs().sort_values(ascending=False, kind="stable").index[:count]
    for name, chosen in (("examples", spread), ("worst", worst)):
        cells = [_example(results, i, extracted) for i in chosen]
        _write(plots / f"{name}.png", sheet(cells))
    labelled = by_count.index[tensors.known[results.rows].any(axis=1)[by_count.index]]
    chosen = labelled[_evenly(len(labelled), 4)] if len(labelled) else by_count.index[:4]
    _write(plots / "heatmaps.png", _heatmaps(network, tensors, results.rows[chosen]))


def _evenly(n, count):
    """At most `count` of the numbers below n, evenly spread."""
    return np.unique(((np.arange(count) + 0.5) * n / count).astype(int))


def _example(results, i, extracted):
    frame = results.frames.iloc[i]
    picture = read_picture(Path(extracted) / frame["file"])
    draw_packet(picture, results.points[i], results.visible[i], results.corners[i])
    text = f"{frame['cards_predicted']:.1f} cards, truly {frame['cards_counted']}: {frame['frame']}"
    return captioned(picture, text)


def _heatmaps(network, tensors, rows):
    batch = next(iter(loader(tensors, rows, len(rows))))
    with torch.inference_mode():
        predicted = network(batch["pictures"])[0].numpy()
    pictures = batch["pictures"].permute(0, 2, 3, 1).numpy()[..., ::-1]
    true, known = batch["heatmaps"].numpy(), batch["known"].numpy()
    cells = [heatmap_rows(*each) for each in zip(pictures, predicted, true, known, strict=True)]
    return sheet(cells, columns=1)


def _write(path, picture):
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())


def _rounded(values):
    """The same nested dict with floats to four digits."""
    if isinstance(values, dict):
        return {name: _rounded(value) for name, value in values.items()}
    return round(values, 4) if isinstance(values, float) else values
