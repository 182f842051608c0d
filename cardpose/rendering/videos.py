"""Render a data set: one video per count, with the exact places of all corners."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64
from tqdm import tqdm

from cardpose.common.parallel import map_parallel
from cardpose.dataset.annotations import write_annotations
from cardpose.dataset.names import frame_name
from cardpose.geometry.card import CARD, FOCAL
from cardpose.pictures.writing import video_output
from cardpose.rendering.deck import DECK, CardSize
from cardpose.rendering.renderer import Renderer
from cardpose.rendering.scenes import HEIGHT, WIDTH, Scene, random_scene

FRAME_RATE = 30  # frames per second

# Places of the corners as fractions of width and height, and their visibility.
Corners = tuple[Float64[np.ndarray, "n 8 2"], Bool[np.ndarray, "n 8"]]


def render_dataset(
    videos: str | Path,
    annotations: str | Path,
    table: str | Path,
    count: int,
    frames: int,
    seed: int,
    card: CardSize = CARD,
    focal: float | int = FOCAL,
    jobs: int = -1,
) -> None:
    """Render recordings of packets of 1, 2, ... `count` cards.

    The same seed gives the same bytes.

    Args:
        videos: new folder for packet_01.mp4, packet_02.mp4, ...
        annotations: output file of the corners in every frame.
        table: output file of the counts (`videos.csv`).
        frames: number of frames per video.
        card, focal: the deck and the camera, see `scenes.random_scene`.
        jobs: number of videos rendered in parallel; -1 for one per core.
    """
    videos = Path(videos)
    videos.mkdir(parents=True)
    cards = list(range(1, count + 1))
    render = partial(
        _render_recording, videos=videos, frames=frames, seed=seed, card=card, focal=focal
    )
    rendered = tqdm(map_parallel(render, cards, jobs), "render", len(cards), unit="video")
    names, points, visible = [], [], []
    for n, (p, v) in zip(cards, rendered, strict=True):
        stem = Path(_file_name(n)).stem
        names += [frame_name(stem, index) for index in range(frames)]
        points.append(p)
        visible.append(v)
    write_annotations(annotations, names, np.concatenate(points), np.concatenate(visible))
    rows = {"video": map(_file_name, cards), "cards_counted": cards, "total_cards": DECK}
    pd.DataFrame(rows).to_csv(table, index=False, lineterminator="\n")


def _file_name(cards: int) -> str:
    return f"packet_{cards:02d}.mp4"


def _render_recording(
    cards: int, videos: Path, frames: int, seed: int, card: CardSize, focal: float | int
) -> Corners:
    scene = random_scene(seed, cards, frames, WIDTH, HEIGHT, card, focal)
    return render_video(videos / _file_name(cards), scene, frames, (WIDTH, HEIGHT))


def render_video(path: Path, scene: Scene, frames: int, size: tuple[int, int]) -> Corners:
    """Render the first `frames` frames of a scene to a video of `size` (width, height).

    Returns:
        places of the corners as fractions of width and height, and their visibility.
    """
    cv2.setNumThreads(1)
    renderer = Renderer(scene)
    points, visible = np.empty((frames, 8, 2)), np.empty((frames, 8), bool)
    with video_output(path, FRAME_RATE) as write:
        for index in range(frames):
            points[index], visible[index] = renderer.keypoints(index)
            write(renderer.frame(index))
    return points / size, visible
