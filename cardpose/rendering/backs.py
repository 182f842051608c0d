"""Draw the backs of cards."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from cardpose.geometry.card import CORNER_RADIUS
from cardpose.rendering import ranges
from cardpose.rendering.deck import CardSize, size_ratio
from cardpose.rendering.textures import random_colour, scatter_shapes

BACK_SCALE = 10.0  # pixels per mm of the usual deck, in recordings
VARIED_BACK_SCALE = 6.0  # pixels per mm of the usual deck, in pictures for pretraining


def draw_back(
    rng: np.random.Generator,
    paper: Float[np.ndarray, "3"],
    card: CardSize,
    border: float | None = None,
    scale: float = BACK_SCALE,
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw the back of a card: a pattern inside a frame, with a border around both.

    Args:
        paper: BGR colour, 0 to 255.
        border: width of the border in mm; random by default.
        scale: pixels per mm of the usual deck.
    """
    width, length, _ = card
    scale = scale / size_ratio(card)
    h, w = round(length * scale), round(width * scale)
    ink = random_colour(rng, ranges.INK_BRIGHTNESS, ranges.INK_SATURATION)
    if rng.random() < ranges.BLACK_INK_PROBABILITY:
        ink = np.full(3, rng.uniform(*ranges.BLACK_INK))
    light = ink + (paper - ink) * rng.uniform(*ranges.LIGHT_INK)
    x, y = np.meshgrid(
        (np.arange(w, dtype=np.float32) + 0.5) / scale - width / 2,
        (np.arange(h, dtype=np.float32) + 0.5) / scale - length / 2,
    )
    border = rng.uniform(*ranges.BORDER) if border is None else border
    # Distance in mm from the edge of the printed field, positive inside it.
    depth = np.minimum(width / 2 - border - abs(x), length / 2 - border - abs(y))
    share = _framed(rng, depth, _back_pattern(rng, x, y))
    printed = ink + (light - ink) * share[..., None]
    back = np.where(depth[..., None] > 0, printed, paper)
    return _softened(back)


def _framed(
    rng: np.random.Generator, depth: Float[np.ndarray, "h w"], pattern: Float[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w"]:
    """Draw a double line around the pattern, and a plain ground between line and border.

    Args:
        depth: distance from the border in mm.
        pattern: share of light ink, 0 to 1.

    Returns:
        share of light ink, 0 to 1.
    """
    frame = rng.uniform(*ranges.FRAME)
    line = rng.uniform(*ranges.FRAME_LINE)
    lines = (abs(depth - frame) < line / 2) | (abs(depth - frame - 2 * line) < line / 2)
    pattern = np.where(depth < frame, rng.choice(ranges.FRAME_GROUND), pattern)
    return np.where(lines, 1 - rng.choice(ranges.FRAME_INK), pattern)


def _back_pattern(
    rng: np.random.Generator, x: Float[np.ndarray, "h w"], y: Float[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w"]:
    """Draw a pattern, as the share of light ink (0 to 1) at (x, y) mm.

    Turning the pattern by 180 degrees does not change it.
    """
    pitch = rng.uniform(*ranges.PATTERN_PITCH)
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
        return np.full_like(x, rng.uniform(*ranges.PLAIN_INK))
    return np.clip(wave * rng.uniform(*ranges.PATTERN_CONTRAST) + 0.3, 0, 1)


def draw_varied_back(
    rng: np.random.Generator, paper: Float[np.ndarray, "3"], card: CardSize
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw the back of a card, with or without a border, with a pattern or a picture."""
    borderless = ranges.BORDERLESS_PROBABILITY
    widths = [0.0, rng.uniform(*ranges.WIDE_BORDER)]
    border = rng.choice(widths, p=[borderless, 1 - borderless])
    back = draw_back(rng, paper, card, border, VARIED_BACK_SCALE)
    if rng.random() < ranges.BACK_PICTURE_PROBABILITY:
        back = _with_picture(rng, back, card)
    return back


def _with_picture(
    rng: np.random.Generator, back: UInt8[np.ndarray, "h w 3"], card: CardSize
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw random shapes on a back. Most results look the same upside down."""
    drawn = back.astype(np.float32)
    h, w = drawn.shape[:2]
    margin = rng.choice([0, rng.uniform(*ranges.BACK_PICTURE_MARGIN)])
    margin = int(margin * VARIED_BACK_SCALE / size_ratio(card))  # pixels
    field = drawn[margin : h - margin, margin : w - margin]
    scatter_shapes(rng, field, rng.uniform(*ranges.LITTER_SPREAD) * w, ranges.BACK_LITTER)
    if rng.random() < ranges.SYMMETRIC_PICTURE_PROBABILITY:
        half = len(field) // 2
        field[-half:] = field[:half][::-1, ::-1]
    return _softened(drawn)


def _softened(back: Float[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Blur a drawing slightly, as print does, and convert it to 8 bits."""
    return cv2.GaussianBlur(np.clip(back, 0, 255).astype(np.float32), (0, 0), 1).astype(np.uint8)


def rounded_corner_mask(
    scale: float, width: float | int, length: float | int
) -> UInt8[np.ndarray, "h w"]:
    """Return the coverage (0 to 255) of a card with rounded corners, at `scale` pixels per mm."""
    h, w = round(length * scale), round(width * scale)
    x = abs(np.arange(w) + 0.5 - w / 2) / scale - (width / 2 - CORNER_RADIUS)
    y = abs(np.arange(h) + 0.5 - h / 2) / scale - (length / 2 - CORNER_RADIUS)
    corner = np.hypot(np.maximum(x[None], 0), np.maximum(y[:, None], 0))
    return np.round(np.clip((CORNER_RADIUS - corner) * scale + 0.5, 0, 1) * 255).astype(np.uint8)
