"""Animate the count of a rendered recording that was held out of training.

    python -m docs.figures.sweep

The left side shows each picture with the corners that the network found. The right side shows the
count of all pictures so far with its 90 % interval, and the count of each picture alone.
"""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Int, UInt8
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.ticker import MultipleLocator
from PIL import Image

from cardpose.common.errors import InputError
from cardpose.inference.predictor import Predictor, load
from cardpose.inference.result import RecordingCount, Result
from cardpose.pictures.drawing import draw_packet
from cardpose.pictures.videos import sampled_frames
from docs.figures.examples import held_out_counts
from docs.figures.style import COUNT, FAINT, GROUND, PICTURES, ROOT, TEXT, TRUTH

RECORDING = "packet_35"
TARGET = PICTURES / "sweep.webp"
_STEP = 2  # predict every second frame of the video
_HEIGHT, _LEFT, _RIGHT = 400, 460, 400  # of the animation, its picture and its chart, in pixels
_DPI = 100  # pixels per inch of the chart
_ZOOM = 2  # scale at which corners are drawn
_ROOM = 50  # least distance in pixels from the packet to the edge of the picture
_DURATION, _LAST = 90, 3500  # milliseconds that a frame and the last frame are shown
_QUALITY = 50  # of WebP, 0 to 100


class Moment(NamedTuple):
    """One picture of the sweep, its prediction, and `total`, the count of all pictures so far."""

    picture: UInt8[np.ndarray, "h w 3"]
    result: Result
    total: RecordingCount


def count_sweep(predictor: Predictor, video: Path) -> list[Moment]:
    """Predict the pictures of a video, and count the packet after each of them."""
    counter, moments = predictor.recording_counter(), []
    for _, picture in sampled_frames(video, _STEP):
        if picture is None:
            continue
        result = predictor.predict(picture)
        counter.add(result)
        count = counter.count()
        if count is not None:
            moments.append(Moment(picture, result, count))
    return moments


def crop_window(moments: list[Moment]) -> Int[np.ndarray, "4"]:
    """Return left, top, width and height of a window that always holds the packet, in pixels."""
    corners = np.concatenate([each.result.keypoints[each.result.visible] for each in moments])
    low, high = corners.min(axis=0) - _ROOM, corners.max(axis=0) + _ROOM
    height, width = moments[0].picture.shape[:2]
    scale = min(max((high - low) / [_LEFT, _HEIGHT]), width / _LEFT, height / _HEIGHT)
    size = scale * np.array([_LEFT, _HEIGHT])
    start = np.clip((low + high - size) / 2, 0, [width, height] - size)
    return np.concatenate([start, size]).astype(int)


def draw_picture(moment: Moment, window: Int[np.ndarray, "4"]) -> UInt8[np.ndarray, "h w 3"]:
    """Draw the corners and edges of one picture and cut the window out of it, in RGB."""
    large = cv2.resize(moment.picture, None, fx=_ZOOM, fy=_ZOOM, interpolation=cv2.INTER_CUBIC)
    result = moment.result
    draw_packet(large, _ZOOM * result.keypoints, result.visible, result.box_order)
    left, top, width, height = _ZOOM * window
    crop = large[top : top + height, left : left + width, ::-1]
    return cv2.resize(crop, (_LEFT, _HEIGHT), interpolation=cv2.INTER_AREA)


def draw_chart(moments: list[Moment], pictures: int, truth: int) -> UInt8[np.ndarray, "h w 3"]:
    """Draw the counts of the first pictures, in RGB.

    Args:
        moments: the first pictures.
        pictures: number of pictures of the whole sweep.
        truth: true number of cards.
    """
    figure = plt.figure(figsize=(_RIGHT / _DPI, _HEIGHT / _DPI), dpi=_DPI, facecolor=GROUND)
    last, x = moments[-1].total, np.arange(1, len(moments) + 1)
    figure.text(0.07, 0.83, f"{last.cards:.1f} cards", color=TEXT, fontsize=27, weight="bold")
    interval = f"90 % interval: {last.interval_text}"
    figure.text(0.075, 0.74, interval, color=COUNT, fontsize=12.5)
    axes = figure.add_axes((0.12, 0.13, 0.82, 0.54), facecolor=GROUND)
    axes.axhline(truth, color=TRUTH, linewidth=1.2, linestyle=(0, (5, 4)))
    low, high, cards = np.array([(m.total.low, m.total.high, m.total.cards) for m in moments]).T
    axes.fill_between(x, low, high, color=COUNT, alpha=0.22, linewidth=0)
    axes.plot(x, [m.result.cards for m in moments], ".", color=FAINT, markersize=4.5)
    axes.plot(x, cards, color=COUNT, linewidth=2.2)
    axes.plot(x[-1:], cards[-1:], "o", color=COUNT, markersize=6)
    axes.text(pictures, truth + 3.2, f"true count: {truth}", color=TRUTH, fontsize=9.5, ha="right")
    axes.set(xlim=(0, pictures + 2), ylim=(truth - 12, truth + 6))
    axes.yaxis.set_major_locator(MultipleLocator(5))
    axes.set_xlabel("pictures seen", color=FAINT, fontsize=9.5)
    axes.tick_params(colors=FAINT, labelsize=9)
    axes.spines[:].set_visible(False)
    axes.grid(axis="y", color="#2a2e36", linewidth=0.8)
    axes.plot([], [], ".", color=FAINT, markersize=7, label="one picture alone")
    axes.plot([], [], color=COUNT, linewidth=2.2, label="all pictures so far")
    axes.legend(loc="lower right", frameon=False, fontsize=9.5, labelcolor=TEXT, handlelength=1.2)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    chart = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    plt.close(figure)
    return chart


def main() -> None:
    counts = held_out_counts()
    if RECORDING not in counts:
        raise InputError(f"RECORDING: should be held out of training, not {RECORDING}")
    predictor = load(ROOT / "models/cardpose.onnx")
    moments = count_sweep(predictor, ROOT / f"data/synthetic/videos/{RECORDING}.mp4")
    window = crop_window(moments)
    frames = [
        np.hstack(
            [
                draw_picture(moment, window),
                draw_chart(moments[: i + 1], len(moments), counts[RECORDING]),
            ]
        )
        for i, moment in enumerate(moments)
    ]
    first, *others = map(Image.fromarray, frames)
    durations = [_DURATION] * len(others) + [_LAST]
    first.save(
        TARGET,
        save_all=True,
        append_images=others,
        duration=durations,
        loop=0,
        quality=_QUALITY,
        method=6,
    )


if __name__ == "__main__":
    main()
