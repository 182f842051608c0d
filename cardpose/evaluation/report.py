"""Write the predictions of the held-out frames, and sheets of example pictures."""

from os import PathLike
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from jaxtyping import Int, UInt8

from cardpose.dataset.tensors import Tensors
from cardpose.evaluation.evaluate import HeldOutFrames
from cardpose.evaluation.plots import plot_counts, plot_losses
from cardpose.evaluation.wording import worst_frames
from cardpose.network.model import CardPose
from cardpose.pictures.drawing import captioned, draw_packet, heatmap_rows, sheet
from cardpose.pictures.reading import read_picture

_COLUMNS = ["frame", "recording", "cards_counted", "cards_predicted", "low", "high", "error"]
_HEATMAP_FRAMES = 4


def write_report(
    predictions: str | PathLike[str],
    plots: str | PathLike[str],
    held_out: HeldOutFrames,
    network: CardPose,
    tensors: Tensors,
    *,
    extracted: str | PathLike[str],
    log: str | PathLike[str],
    count: int,
) -> None:
    """Write the table of predictions, plots, and sheets of pictures.

    Args:
        predictions: CSV file to write, with one row per held-out frame, sorted by count.
        plots: folder to create, for counts.png, losses.png, examples.png, worst.png and
            heatmaps.png.
        held_out: as `evaluate.evaluate` returned it.
        network, tensors: as given to `evaluate.evaluate`.
        extracted: folder of the original frames.
        log: folder of the plots that DVCLive logged during training.
        count: number of pictures on a sheet.
    """
    plots = Path(plots)
    plots.mkdir(parents=True)
    frames = held_out.frames
    by_count = _by_count(frames)
    by_count[_COLUMNS].round(4).to_csv(predictions, index=False, lineterminator="\n")
    plot_counts(plots / "counts.png", frames)
    plot_losses(plots / "losses.png", log)
    spread, worst = spread_frames(frames, count), worst_frames(frames, count)
    for name, rows in (("examples", spread), ("worst", worst)):
        cells = [_example(held_out, i, Path(extracted)) for i in rows]
        _write(plots / f"{name}.png", sheet(cells))
    labelled = by_count.index[tensors.mask[held_out.rows].any(axis=1)[by_count.index]]
    if len(labelled):
        chosen = labelled[_evenly(len(labelled), _HEATMAP_FRAMES)]
    else:
        chosen = by_count.index[:_HEATMAP_FRAMES]
    _write(plots / "heatmaps.png", _heatmaps(network, tensors, held_out.rows[chosen]))


def spread_frames(frames: pd.DataFrame, count: int) -> list[int]:
    """Return the rows of at most `count` frames, spread evenly over all counts."""
    return _by_count(frames).index[_evenly(len(frames), count)].tolist()


def _by_count(frames: pd.DataFrame) -> pd.DataFrame:
    return frames.sort_values(["cards_counted", "frame"], kind="stable")


def _evenly(n: int, count: int) -> Int[np.ndarray, " k"]:
    """Return at most `count` integers from 0 to n - 1, evenly spread."""
    return np.unique(((np.arange(count) + 0.5) * n / count).astype(int))


def draw_frame(held_out: HeldOutFrames, i: int, extracted: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Draw the predicted packet of held-out frame `i` into its picture, in BGR.

    Args:
        extracted: folder of the original frames.
    """
    picture = read_picture(extracted / held_out.frames.iloc[i]["file"])
    draw_packet(picture, held_out.points[i], held_out.visible[i], held_out.corners[i])
    return picture


def _example(held_out: HeldOutFrames, i: int, extracted: Path) -> UInt8[np.ndarray, "h w 3"]:
    frame = held_out.frames.iloc[i]
    text = f"{frame['cards_predicted']:.1f} cards, truly {frame['cards_counted']}: {frame['frame']}"
    return captioned(draw_frame(held_out, i, extracted), text)


def _heatmaps(
    network: CardPose, tensors: Tensors, rows: Int[np.ndarray, " k"]
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw predicted and true heatmaps over the pictures of these rows of the tensors."""
    pictures = np.stack([tensors.pictures[row] for row in rows])
    with torch.inference_mode():
        predicted = network(torch.from_numpy(pictures).permute(0, 3, 1, 2))[0].numpy()
    pictures = pictures[..., ::-1]
    true = np.stack([tensors.heatmaps[row] for row in rows]).astype(np.float32)
    mask = np.stack([tensors.mask[row] for row in rows])
    cells = [heatmap_rows(*each) for each in zip(pictures, predicted, true, mask, strict=True)]
    return sheet(cells, columns=1)


def _write(path: Path, picture: UInt8[np.ndarray, "h w 3"]) -> None:
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
