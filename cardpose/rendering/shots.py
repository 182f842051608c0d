"""Rendered pictures to start learning from: each packet has a table, a deck and a light of its own.

A recording shows one table and one deck in hundreds of pictures; what has seen a few dozen of them
takes the next for something else. Here no two packets share any of it, and tables and backs vary
more widely than those of `scenes` do.
"""

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from cardpose.common.errors import InputError
from cardpose.common.parallel import map_parallel
from cardpose.dataset.names import frame_name
from cardpose.geometry.card import CARD, FOCAL
from cardpose.rendering.renderer import Renderer
from cardpose.rendering.scenes import DECK, HEIGHT, WIDTH, random_scene
from cardpose.rendering.textures import any_back, any_table

VIEWS, APART = 2, 100  # pictures of each packet, so many frames apart


def shoot(seed, index, card=CARD, focal=FOCAL):
    """Pictures of a random packet, from VIEWS places.

    Args:
        seed, index: same two, same bytes.
        card, focal: see `scenes.random_scene`.

    Returns:
        pictures: (VIEWS, HEIGHT, WIDTH, 3) uint8 BGR.
        points: (VIEWS, 8, 2) of the keypoints in pixels; visible: (VIEWS, 8) bool.
        cards: how many there are: of packets 0, 1, 2, ... it is 1, 2, ... DECK, 1, 2, ...
    """
    rng = np.random.default_rng([seed, index])
    cards = 1 + index % DECK
    number, frames = int(rng.integers(2**31)), APART * (VIEWS - 1) + 1
    scene = random_scene(number, cards, frames, WIDTH, HEIGHT, card, focal, any_table, any_back)
    warm = rng.uniform(0, 1) ** 2 * rng.choice([-1, 1], p=[0.25, 0.75])
    scene.tone[:] *= np.clip(1 - warm * np.array([0.45, 0.2, 0]), 0, 1.1) * rng.uniform(0.7, 1.05)
    renderer = Renderer(scene)
    views = range(0, frames, APART)
    pictures = [_sharpened(rng, renderer.frame(view)) for view in views]
    points, visible = zip(*map(renderer.keypoints, views), strict=True)
    return np.stack(pictures), np.stack(points), np.stack(visible), cards


def render_shots(folder, n, seed, card=CARD, focal=FOCAL, jobs=-1):
    """Write `n` pictures as JPEG files, VIEWS of each packet.

    Args:
        folder: to be made.
        jobs: packets rendered side by side; -1 for one a core.
        seed, card, focal: see `shoot`.

    Returns:
        frames: a table as `tensors.match_labels` returns it; each packet is a recording of its own.
        points: (n, 8, 2) of the keypoints, fractions of width and height; visible: (n, 8) bool.
    """
    folder = Path(folder)
    folder.mkdir(parents=True)
    packets = -(-n // VIEWS)
    work = partial(_write, folder=folder, seed=seed, card=card, focal=focal)
    made = map_parallel(work, range(packets), jobs)
    done = list(tqdm(made, "render", packets, unit="packet"))
    files, points, visible, cards = (np.concatenate(rows)[:n] for rows in zip(*done, strict=True))
    recordings = [f"packet_{i // VIEWS:06}" for i in range(n)]
    frames = pd.DataFrame(
        {
            "frame": [frame_name(name, i % VIEWS) for i, name in enumerate(recordings)],
            "recording": recordings,
            "cards_counted": cards,
            "total_cards": DECK,
            "file": files,
            "width": WIDTH,
            "height": HEIGHT,
        }
    )
    return frames, points / (WIDTH, HEIGHT), visible


def _write(index, folder, seed, card, focal):
    """Write what `shoot` returns: the files' names, and the rest of it."""
    cv2.setNumThreads(1)
    pictures, points, visible, cards = shoot(seed, index, card, focal)
    quality = int(np.random.default_rng([seed, index, 1]).uniform(60, 98))
    names = [f"packet_{index:06}_{view}.jpg" for view in range(VIEWS)]
    for name, picture in zip(names, pictures, strict=True):
        code = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        try:
            (folder / name).write_bytes(code)
        except OSError as error:
            raise InputError(f"{folder / name}: cannot be written ({error.strerror})") from None
    return names, points, visible, [cards] * VIEWS


def _sharpened(rng, picture):
    """As some cameras do."""
    more = rng.choice([0.0, rng.uniform(0.2, 1.2)], p=[0.6, 0.4])
    soft = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.6, 1.5))
    return cv2.addWeighted(picture, 1 + more, soft, -more, 0)
