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

from cardpose.errors import InputError
from cardpose.geometry import CARD, FOCAL
from cardpose.parallel import side_by_side
from cardpose.recordings import frame_name
from cardpose.renderer import Renderer
from cardpose.scenes import any_colour, card_size, draw_back, draw_cloth, random_scene
from cardpose.synthetic import DECK, HEIGHT, WIDTH

VIEWS, APART = 2, 100  # pictures of each packet, so many frames apart
TABLE = 640  # pixels along each side of a table
BACK = 6.0  # pixels a mm of a card's back


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
    made = side_by_side(work, range(packets), jobs)
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


def any_table(rng):
    """(TABLE, TABLE, 3) float32: a cloth, and often something printed or lying on it."""
    table = draw_cloth(rng, TABLE)
    if rng.random() < 0.65:
        scatter(rng, table, rng.uniform(0.2, 0.9) * TABLE)
    return table


def any_back(rng, paper, card):
    """A card's back, as `scenes.draw_back` returns it: with a border or printed to the very edge,
    patterned, or with a picture."""
    border = rng.choice([0.0, rng.uniform(0.5, 7)], p=[0.45, 0.55])
    back = draw_back(rng, paper, card, border, BACK)
    if rng.random() < 0.5:
        # What is printed is the same upside down, mostly.
        drawn = back.astype(np.float32)
        h, w = drawn.shape[:2]
        margin = int(rng.choice([0, rng.uniform(1, 8)]) * BACK / card_size(card))
        field = drawn[margin : h - margin, margin : w - margin]
        scatter(rng, field, rng.uniform(0.2, 0.9) * w, few=True)
        if rng.random() < 0.7:
            half = len(field) // 2
            field[-half:] = field[:half][::-1, ::-1]
        back = cv2.GaussianBlur(np.clip(drawn, 0, 255), (0, 0), 1).astype(np.uint8)
    return back


def scatter(rng, canvas, spread, few=False):
    """Draw things all over `canvas` (h, w, 3) float32: from a few large ones to a great many small
    ones; of a few colours and one or two kinds."""
    h, w = canvas.shape[:2]
    n = int(np.exp(rng.uniform(np.log(3), np.log(60 if few else 1200))))
    size = spread / np.sqrt(n) * rng.uniform(0.3, 1.0)
    colours = [any_colour(rng, 0.1, 1.0, (0.0, 0.9)) for _ in range(rng.integers(1, 6))]
    kinds = rng.choice(["chip", "disc", "bar", "ring", "stroke", "sheet"], 2)
    drawn = canvas.copy()
    for _ in range(n):
        colour = (colours[rng.integers(len(colours))] * rng.uniform(0.85, 1.1)).tolist()
        middle = rng.uniform(0, 1, 2) * [w, h]
        reach = size * np.exp(rng.normal(0, 0.4))
        _draw(rng, drawn, rng.choice(kinds), colour, middle, reach)
    share = rng.uniform(0.3, 1)
    canvas[:] = canvas + share * (drawn - canvas)


def _draw(rng, canvas, kind, colour, middle, reach):
    if kind == "ring":
        centre, radius = middle.astype(int).tolist(), max(1, int(reach))
        cv2.circle(canvas, centre, radius, colour, max(1, int(reach * 0.2)), cv2.LINE_AA)
        return
    if kind == "stroke":
        steps = rng.normal(rng.normal(0, 0.2, 2), 0.15, (24, 2)) * reach
        line = np.round((middle + np.cumsum(steps, axis=0)) * 16).astype(np.int32)
        thick = max(1, int(reach * rng.uniform(0.02, 0.2)))
        cv2.polylines(canvas, [line], False, colour, thick, cv2.LINE_AA, 4)
        return
    if kind == "chip":
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
        shape = np.column_stack([np.cos(angles), np.sin(angles)]) * rng.uniform(0.6, 1, (1, 2))
    elif kind == "disc":
        angles = np.linspace(0, 2 * np.pi, 24)
        shape = np.column_stack([np.cos(angles), np.sin(angles) * rng.uniform(0.5, 1)])
    else:
        slim = rng.uniform(0.03, 0.2) if kind == "bar" else rng.uniform(0.5, 1)
        turn = rng.uniform(0, np.pi)
        c, s = np.cos(turn), np.sin(turn)
        shape = np.array([[-1, -slim], [1, -slim], [1, slim], [-1, slim]]) @ [[c, s], [-s, c]]
    outline = cv2.convexHull(np.round((middle + reach * shape) * 16).astype(np.int32))
    cv2.fillConvexPoly(canvas, outline, colour, cv2.LINE_AA, 4)
