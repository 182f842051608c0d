"""Render pictures for pretraining: each packet has its own table, deck and light.

A recording shows one table and one deck in hundreds of pictures. A network trained on a few dozen
tables and decks performs poorly on new ones. Packets here therefore share none of them, and tables
and backs vary more widely than in rendered recordings.
"""

from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, UInt8
from tqdm import tqdm

from cardpose.common.errors import InputError
from cardpose.common.parallel import map_parallel
from cardpose.dataset.names import frame_name
from cardpose.geometry.card import CARD, FOCAL
from cardpose.rendering import ranges
from cardpose.rendering.backs import draw_varied_back
from cardpose.rendering.deck import DECK, CardSize
from cardpose.rendering.renderer import Renderer
from cardpose.rendering.scenes import HEIGHT, WIDTH, Scene, random_scene
from cardpose.rendering.textures import draw_varied_table

VIEWS = 2  # pictures per packet
_APART = 100  # frames between two pictures of a packet


class Shots(NamedTuple):
    """Pictures of one packet.

    Attributes:
        pictures: BGR.
        points: places of the keypoints in pixels.
        visible: visibility of the keypoints.
        cards: number of cards in the packet.
    """

    pictures: UInt8[np.ndarray, "n h w 3"]
    points: Float64[np.ndarray, "n 8 2"]
    visible: Bool[np.ndarray, "n 8"]
    cards: int


def shoot(seed: int, index: int, card: CardSize = CARD, focal: float | int = FOCAL) -> Shots:
    """Render VIEWS pictures of a random packet, some of them in portrait format.

    The same seed and index give the same bytes. Packet `index` has 1 + `index` % DECK cards.

    Args:
        card, focal: the deck and the camera, see `scenes.random_scene`.
    """
    rng = np.random.default_rng([seed, index])
    cards = 1 + index % DECK
    scene_seed, frames = int(rng.integers(2**31)), _APART * (VIEWS - 1) + 1
    portrait = rng.random() < ranges.PORTRAIT_PROBABILITY
    scene = random_scene(
        scene_seed,
        cards,
        frames,
        *((HEIGHT, WIDTH) if portrait else (WIDTH, HEIGHT)),
        card=card,
        focal=focal,
        cloth=draw_varied_table,
        back=draw_varied_back,
    )
    renderer = Renderer(_coloured_light(rng, scene))
    views = range(0, frames, _APART)
    pictures = [_sharpened(rng, renderer.frame(view)) for view in views]
    points, visible = zip(*map(renderer.keypoints, views), strict=True)
    return Shots(np.stack(pictures), np.stack(points), np.stack(visible), cards)


def _coloured_light(rng: np.random.Generator, scene: Scene) -> Scene:
    """Give a scene a warm or cold light of random brightness. Most lights are nearly white."""
    warm = ranges.WARM_LIGHT_PROBABILITY
    strength = rng.uniform(0, 1) ** 2 * rng.choice([-1, 1], p=[1 - warm, warm])
    gains = np.clip(1 - strength * np.array(ranges.WARMTH), 0, 1.1)
    return replace(scene, tone=scene.tone * (gains * rng.uniform(*ranges.LAMP_BRIGHTNESS)))


def _sharpened(
    rng: np.random.Generator, picture: UInt8[np.ndarray, "h w 3"]
) -> UInt8[np.ndarray, "h w 3"]:
    """Sharpen a picture by a random amount, as some cameras do."""
    unsharpened = ranges.UNSHARPENED_PROBABILITY
    strengths = [0.0, rng.uniform(*ranges.SHARPENING)]
    strength = rng.choice(strengths, p=[unsharpened, 1 - unsharpened])
    soft = cv2.GaussianBlur(picture, (0, 0), rng.uniform(*ranges.SHARPENING_BLUR))
    return cv2.addWeighted(picture, 1 + strength, soft, -strength, 0)


def render_shots(
    folder: str | PathLike[str],
    n: int,
    seed: int,
    card: CardSize = CARD,
    focal: float | int = FOCAL,
    jobs: int = -1,
) -> tuple[pd.DataFrame, Float64[np.ndarray, "{n} 8 2"], Bool[np.ndarray, "{n} 8"]]:
    """Render `n` pictures to JPEG files, VIEWS per packet.

    Args:
        folder: new folder for the files.
        n: number of pictures.
        seed, card, focal: see `shoot`.
        jobs: number of packets rendered in parallel; -1 for one per core.

    Returns:
        a table with one row per picture, as `labelled_frames.match_labels` returns it; places of
        the keypoints as fractions of width and height; their visibility. In the table, each packet
        is its own recording.
    """
    folder = Path(folder)
    folder.mkdir(parents=True)
    packets = -(-n // VIEWS)
    write = partial(_write_packet, folder=folder, seed=seed, card=card, focal=focal)
    written = list(
        tqdm(map_parallel(write, range(packets), jobs), "render", packets, unit="packet")
    )
    files, sizes, points, visible, cards = (
        np.concatenate(rows)[:n] for rows in zip(*written, strict=True)
    )
    recordings = [f"packet_{i // VIEWS:06}" for i in range(n)]
    frames = pd.DataFrame(
        {
            "frame": [frame_name(name, i % VIEWS) for i, name in enumerate(recordings)],
            "recording": recordings,
            "cards_counted": cards,
            "total_cards": DECK,
            "file": files,
            "width": sizes[:, 0],
            "height": sizes[:, 1],
        }
    )
    return frames, points / sizes[:, None], visible


def _write_packet(
    index: int, folder: Path, seed: int, card: CardSize, focal: float | int
) -> tuple[
    list[str],
    list[tuple[int, int]],
    Float64[np.ndarray, "n 8 2"],
    Bool[np.ndarray, "n 8"],
    list[int],
]:
    """Write the pictures of one packet.

    Return their names, sizes (width, height), points, visibility and counts.
    """
    cv2.setNumThreads(1)
    pictures, points, visible, cards = shoot(seed, index, card, focal)
    quality = int(np.random.default_rng([seed, index, 1]).uniform(*ranges.JPEG_QUALITY))
    names = [f"packet_{index:06}_{view}.jpg" for view in range(VIEWS)]
    for name, picture in zip(names, pictures, strict=True):
        code = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        try:
            (folder / name).write_bytes(code.tobytes())
        except OSError as error:
            raise InputError(f"{folder / name}: cannot be written ({error.strerror})") from None
    sizes = [picture.shape[1::-1] for picture in pictures]
    return names, sizes, points, visible, [cards] * VIEWS
