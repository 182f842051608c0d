"""Draw cloths, tables and backs of cards."""

import cv2
import numpy as np

from cardpose.geometry.card import CARD

TABLE_SIZE = 1536  # cloth pixels along each side; the packet stands in the middle
BACK_SCALE = 10.0  # pixels a mm of a card's back
THICKEST = 0.6  # mm a card; of thicker ones a camera that is near would stand below a packet's top
TABLE = 640  # pixels along each side of a table
BACK = 6.0  # pixels a mm of a card's back


def card_size(card):
    """How many times as large as the usual card one of (width, length, thickness) mm is."""
    return max(float(np.hypot(*card[:2]) / np.hypot(*CARD[:2])), card[2] / THICKEST)


def smooth_noise(rng, size, cell):
    """(size, size) smooth random numbers, zero mean and unit spread, bumps `cell` pixels wide."""
    small = rng.standard_normal((max(2, round(size / cell)) + 1,) * 2, dtype=np.float32)
    field = cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC)
    return (field - field.mean()) / field.std()


def any_colour(rng, low, high, saturation):
    """(3,) BGR of a random hue, its brightness between `low` and `high`."""
    hsv = np.array([[[rng.uniform(0, 360), rng.uniform(*saturation), rng.uniform(low, high)]]])
    return cv2.cvtColor(hsv.astype(np.float32), cv2.COLOR_HSV2BGR)[0, 0] * 255


def draw_cloth(rng, size=TABLE_SIZE):
    """(size, size, 3) float32: felt, weave, stripes, checks, or grained wood."""
    base = any_colour(rng, 0.15, 0.9, (0.0, 0.95))
    other = np.clip(base * rng.uniform(0.5, 1.5, 3), 10, 245)
    fuzz = smooth_noise(rng, size, 2) * 0.6 + smooth_noise(rng, size, rng.uniform(4, 12)) * 0.7
    x, y = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32))
    angle = rng.uniform(0, np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    kind = rng.choice(["felt", "weave", "stripes", "checks", "wood"], p=[0.5, 0.2, 0.1, 0.1, 0.1])
    if kind == "felt":
        mix = smooth_noise(rng, size, rng.uniform(30, 150)) * 0.15
    elif kind == "weave":
        pitch = rng.uniform(4, 9)
        mix = 0.4 + 0.25 * (np.sin(along / pitch * 6.28) * np.sin(across / pitch * 6.28))
    elif kind == "stripes":
        mix = np.clip(3 * np.sin(along / rng.uniform(8, 60)), -0.5, 0.5) + 0.5
    elif kind == "checks":
        pitch = rng.uniform(15, 70)
        mix = 0.25 * ((np.sin(along / pitch) > 0).astype(np.float32) + (np.sin(across / pitch) > 0))
        mix *= 2
    else:
        rings = across / rng.uniform(6, 20) + 2.5 * smooth_noise(rng, size, 300)
        mix = 0.5 + 0.5 * np.sin(rings + 0.8 * smooth_noise(rng, size, 40))
    folds = smooth_noise(rng, size, rng.uniform(150, 400)) * rng.uniform(0, 10)
    grain = (fuzz * rng.uniform(2, 9) + folds)[..., None]
    return base + (other - base) * mix[..., None].astype(np.float32) + grain


def draw_back(rng, paper, card, border=None, detail=BACK_SCALE):
    """(h, w, 3) uint8 picture of a card's back: a white border, of so many mm or random, round a
    printed pattern."""
    width, length, _ = card
    scale = detail / card_size(card)
    h, w = round(length * scale), round(width * scale)
    ink = any_colour(rng, 0.25, 0.85, (0.35, 1.0))
    if rng.random() < 0.15:
        ink = np.full(3, rng.uniform(15, 80))
    light = ink + (paper - ink) * rng.uniform(0.5, 0.95)
    x, y = np.meshgrid(
        (np.arange(w, dtype=np.float32) + 0.5) / scale - width / 2,
        (np.arange(h, dtype=np.float32) + 0.5) / scale - length / 2,
    )
    border = rng.uniform(2.5, 7) if border is None else border
    # Distance in mm from the edge of the printed field, positive inside it.
    depth = np.minimum(width / 2 - border - abs(x), length / 2 - border - abs(y))
    pattern = _pattern(rng, x, y)
    frame = rng.uniform(0, 6)
    line = rng.uniform(0.4, 1.0)
    lines = (abs(depth - frame) < line / 2) | (abs(depth - frame - 2 * line) < line / 2)
    pattern = np.where(depth < frame, rng.choice([0.0, 1.0]), pattern)
    pattern = np.where(lines, 1 - rng.choice([0.0, 0.2]), pattern)[..., None]
    printed = ink + (light - ink) * pattern
    back = np.where(depth[..., None] > 0, printed, paper)
    return cv2.GaussianBlur(np.clip(back, 0, 255).astype(np.float32), (0, 0), 1).astype(np.uint8)


def _pattern(rng, x, y):
    """The share of light ink, 0 to 1, at (x, y) mm: symmetric under a turn by 180 degrees."""
    pitch = rng.uniform(2.0, 7.0)
    u, v = (x + y) / pitch * np.pi, (x - y) / pitch * np.pi
    kind = rng.choice(["diamonds", "rosettes", "dots", "waves", "rings", "plain"])
    if kind == "diamonds":
        wave = np.maximum(abs(np.sin(u)), abs(np.sin(v))) - 0.85
    elif kind == "rosettes":
        petals = np.cos(np.arctan2(np.sin(2 * u), np.sin(2 * v)) * 4)
        wave = np.cos(u) ** 2 * np.cos(v) ** 2 - 0.3 + 0.15 * petals
    elif kind == "dots":
        wave = np.cos(u) * np.cos(v) - 0.4
    elif kind == "waves":
        wave = np.sin(2 * np.pi * y / pitch + 1.5 * np.sin(2 * np.pi * x / pitch / 2))
        wave = np.where(y > 0, wave, wave[::-1, ::-1])
    elif kind == "rings":
        wave = np.sin(2 * np.pi * np.hypot(x, y) / pitch)
    else:
        return np.full_like(x, rng.uniform(0, 0.3))
    return np.clip(wave * rng.uniform(2, 8) + 0.3, 0, 1)


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
