"""Light and colour of the table and the packet, sensor noise, and exposure."""

import cv2
import numpy as np
from jaxtyping import Float, Int16, UInt8

from cardpose.geometry.card import card_outline
from cardpose.rendering import ranges
from cardpose.rendering.camera_path import wander
from cardpose.rendering.deck import CardSize, size_ratio
from cardpose.rendering.opencv import SHIFT

TABLE_SCALE = 2.0  # cloth pixels per mm of the usual deck
NOISE_MARGIN = 64  # pixels by which the noise exceeds a frame in width and height


def light_table(
    rng: np.random.Generator,
    table: Float[np.ndarray, "n n 3"],
    shifts: Float[np.ndarray, "cards 2"],
    card: CardSize,
    light: Float[np.ndarray, "2"],
) -> UInt8[np.ndarray, "n n 3"]:
    """Light a table: one side brighter, with the packet's soft shadow and a dark line at its foot.

    Args:
        shifts: shift of each card from the packet's middle in mm, from the lowest card up.
        light: horizontal unit vector towards the light.
    """
    size, scale = len(table), TABLE_SCALE / size_ratio(card)
    x, y = np.meshgrid(*[(np.arange(256, dtype=np.float32) - 128) / 128] * 2)
    slope, vignette = rng.uniform(*ranges.LIGHT_SLOPE), rng.uniform(*ranges.LIGHT_VIGNETTE)
    bright = 1 + slope * (x * light[0] + y * light[1]) - vignette * (x**2 + y**2)
    bright = cv2.resize(bright.astype(np.float32), (size, size))
    outline = card_outline(width=card[0], length=card[1]) * scale
    reach = len(shifts) * card[2] * rng.uniform(*ranges.SHADOW_LENGTH) * scale
    dark = np.zeros((size, size), np.float32)
    # A box's shadow is the area its outline sweeps, from its foot to the shadow of its top. An
    # overhanging top darkens the table below it as well.
    foot, top = outline + shifts[0] * scale, outline + shifts[-1] * scale
    swept = np.concatenate([foot, top, top - light * reach]) + size / 2
    hull = cv2.convexHull(np.round(swept * (1 << SHIFT)).astype(np.int32))
    cv2.fillConvexPoly(dark, hull, 1.0, cv2.LINE_AA, SHIFT)
    shadow = cv2.GaussianBlur(dark, (0, 0), 1 + reach * rng.uniform(*ranges.SHADOW_BLUR))
    contact = cv2.GaussianBlur(dark, (0, 0), scale * rng.uniform(*ranges.CONTACT_BLUR))
    strength = rng.uniform(*ranges.SHADOW_SHADE)
    shade = 1 - strength * np.maximum(shadow, rng.uniform(*ranges.CONTACT_SHADE) * contact)
    return np.clip(table * (bright * shade)[..., None], 0, 255).astype(np.uint8)


def paper_colour(rng: np.random.Generator) -> Float[np.ndarray, "3"]:
    """Draw the BGR colour (0 to 255) of a deck's paper, from white to slightly yellow."""
    paper = np.array([1.0, 1.0, 1.0]) * rng.uniform(*ranges.PAPER_BRIGHTNESS)
    return paper - [rng.uniform(*ranges.PAPER_YELLOW), ranges.PAPER_GREEN_LOSS, 0]


def edge_colours(
    rng: np.random.Generator,
    tint_rng: np.random.Generator,
    paper: Float[np.ndarray, "3"],
    table: UInt8[np.ndarray, "n n 3"],
    cards: int,
    card: CardSize,
) -> Float[np.ndarray, "{cards} 3"]:
    """Draw the BGR colour (0 to 255) of each card's edge, from the lowest card up."""
    edges = paper * rng.uniform(*ranges.SIDE_BRIGHTNESS)
    # Edges differ in brightness. Gaps between cards show as dark lines.
    shade = rng.normal(1, rng.uniform(*ranges.SIDE_STREAKS), cards)
    gaps = rng.random(cards) < rng.uniform(*ranges.GAP_PROBABILITY)
    shade[gaps] *= rng.uniform(*ranges.GAP_BRIGHTNESS)
    # Edges near the table take on a darkened table colour.
    level = np.arange(cards)[:, None] * card[2] / size_ratio(card)
    tint = tint_rng.uniform(*ranges.TABLE_TINT)
    tint = tint * np.exp(-level / np.exp(tint_rng.uniform(*ranges.TABLE_TINT_HEIGHT)))
    table_colour = table[::16, ::16].mean(axis=(0, 1))
    table_colour = table_colour * tint_rng.uniform(*ranges.TABLE_TINT_BRIGHTNESS)
    return np.clip(edges * shade[:, None] * (1 - tint) + table_colour * tint, 30, 255)


def sensor_noise(
    rng: np.random.Generator, width: int, height: int
) -> Int16[np.ndarray, "{height}+64 {width}+64 3"]:
    """Draw slightly smoothed sensor noise in grey levels.

    The noise is larger than a frame by NOISE_MARGIN, so that frames can use different parts of it.
    """
    shape = (height + NOISE_MARGIN, width + NOISE_MARGIN, 3)
    grain = rng.standard_normal(shape, dtype=np.float32)
    smooth = cv2.GaussianBlur(grain, (0, 0), rng.uniform(*ranges.NOISE_BLUR))
    return np.round(smooth / smooth.std() * rng.uniform(*ranges.NOISE)).astype(np.int16)


def channel_gains(rng: np.random.Generator, frames: int) -> Float[np.ndarray, "{frames} 3"]:
    """Draw each channel's gain in each frame, with drifting exposure and white balance."""
    exposure = wander(rng, frames, ranges.EXPOSURE, pace=150)
    balance = rng.uniform(*ranges.WHITE_BALANCE, 3)
    drift = [wander(rng, frames, ranges.WHITE_BALANCE_DRIFT, pace=150) for _ in range(3)]
    return exposure[:, None] * balance * np.stack(drift, axis=1)
