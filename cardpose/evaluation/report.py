"""Write the predictions of the held-out frames and sheets of example pictures."""

from pathlib import Path

import cv2
import numpy as np
import torch

from cardpose.evaluation.plots import plot_counts, plot_losses
from cardpose.pictures.drawing import captioned, draw_packet, heatmap_rows, sheet
from cardpose.pictures.reading import read_picture


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
    labelled = by_count.index[tensors.mask[results.rows].any(axis=1)[by_count.index]]
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
    pictures = np.stack([tensors.pictures[row] for row in rows])
    with torch.inference_mode():
        predicted = network(torch.from_numpy(pictures).permute(0, 3, 1, 2))[0].numpy()
    pictures = pictures[..., ::-1]
    true = np.stack([tensors.heatmaps[row] for row in rows]).astype(np.float32)
    mask = np.stack([tensors.mask[row] for row in rows])
    cells = [heatmap_rows(*each) for each in zip(pictures, predicted, true, mask, strict=True)]
    return sheet(cells, columns=1)


def _write(path, picture):
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
