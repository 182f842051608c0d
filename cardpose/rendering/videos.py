"""A rendered data set: one video a count, with the exact place of every corner."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from cardpose.common.errors import InputError
from cardpose.common.parallel import map_parallel
from cardpose.dataset.annotations import write_annotations
from cardpose.dataset.names import frame_name
from cardpose.geometry.card import CARD, FOCAL
from cardpose.pictures.videos import check_written
from cardpose.rendering.renderer import Renderer
from cardpose.rendering.scenes import DECK, HEIGHT, WIDTH, random_scene

FRAME_RATE = 30


def render_dataset(
    videos, annotations, table, count, frames, seed, card=CARD, focal=FOCAL, jobs=-1
):
    """Render recordings of packets of 1, 2, ... `count` cards.

    Args:
        videos: folder to be made, for packet_01.mp4, packet_02.mp4, ...
        annotations: file to be written, with the corners in every frame.
        table: file to be written, with the counts (`videos.csv`).
        frames: of each video.
        seed: same seed, same bytes.
        card, focal: the deck and the camera, as `scenes.random_scene` takes them.
        jobs: videos rendered side by side; -1 for one a core.
    """
    videos = Path(videos)
    videos.mkdir(parents=True)
    cards = list(range(1, count + 1))
    known = {"frames": frames, "seed": seed, "card": card, "focal": focal}
    work = map_parallel(partial(_render, videos=videos, **known), cards, jobs)
    names, points, visible = [], [], []
    for n, (p, v) in zip(cards, tqdm(work, "render", len(cards), unit="video"), strict=True):
        stem = Path(_file_name(n)).stem
        names += [frame_name(stem, index) for index in range(frames)]
        points.append(p)
        visible.append(v)
    write_annotations(annotations, names, np.concatenate(points), np.concatenate(visible))
    rows = {"video": map(_file_name, cards), "cards_counted": cards, "total_cards": DECK}
    pd.DataFrame(rows).to_csv(table, index=False, lineterminator="\n")


def _file_name(cards):
    return f"packet_{cards:02d}.mp4"


def _render(cards, videos, frames, seed, card, focal):
    scene = random_scene(seed, cards, frames, WIDTH, HEIGHT, card, focal)
    return render_video(videos / _file_name(cards), scene, frames, (WIDTH, HEIGHT))


def render_video(path, scene, frames, size):
    """Render a scene's first frames, of `size` (width, height) pixels, to a video.

    Returns:
        points (frames, 8, 2) of the corners as fractions, and their visibility (frames, 8).
    """
    cv2.setNumThreads(1)
    renderer = Renderer(scene)
    points, visible = np.empty((frames, 8, 2)), np.empty((frames, 8), bool)
    codec = cv2.VideoWriter_fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, codec, FRAME_RATE, size)
    if not writer.isOpened():
        raise InputError(f"{path}: cannot be written as a video; is the disk full?")
    try:
        for index in range(frames):
            points[index], visible[index] = renderer.keypoints(index)
            writer.write(renderer.frame(index))
    finally:
        writer.release()
    check_written(path, frames, path)
    return points / size, visible
