"""Outlines and sides of a packet as polygons."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from cardpose.geometry.card import CORNER_RADIUS, card_outline
from cardpose.rendering.packet_shape import rise, turn_points
from cardpose.rendering.scenes import Scene

_BEYOND = 3  # mm by which the sides extend below the table and above the packet
_UNNOTICED = 0.25  # mm by which a card may stand out without hiding those below
_LEVELS = 12  # most levels of a side
_PIECES = 6  # pieces per straight edge of a bent card


class Sides(NamedTuple):
    """Sides of a packet as vertical strips.

    Attributes:
        strips: corners in mm.
        normals: horizontal unit vectors that point outwards.
        brightness: 0 to 255.
    """

    strips: Float[np.ndarray, "n 4 3"]
    normals: Float[np.ndarray, "n 2"]
    brightness: Int[np.ndarray, " n"]


def card_outlines(scene: Scene) -> Float[np.ndarray, "cards n 3"]:
    """Return the outlines in mm of the slipped and bent cards, from the lowest card up."""
    width, length, thickness = scene.card
    outline = card_outline(width=width, length=length)
    if any(scene.bend):
        outline = _subdivide(outline)
    levels = np.arange(scene.cards) * thickness
    slipped = turn_points(outline, scene.turns[:, None]) + scene.shifts[:, None]
    heights = levels[:, None] + rise(scene.bend, scene.card, *outline.T)
    return np.concatenate([slipped, heights[..., None]], axis=2)


def _subdivide(outline: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "m 2"]:
    """Cut each straight edge of a closed outline into _PIECES."""
    after = np.roll(outline, -1, axis=0)
    share = np.arange(_PIECES) / _PIECES
    long = np.hypot(*(after - outline).T) > 3 * CORNER_RADIUS
    parts = [
        a + (b - a) * share[:, None] if cut else a[None]
        for a, b, cut in zip(outline, after, long, strict=True)
    ]
    return np.concatenate(parts)


def packet_sides(scene: Scene) -> Sides:
    """Return the sides of a packet, slightly enlarged so that they also shade slipped cards.

    Each side is cut into levels. A level below an overhang sees less of the sky and of the lamp;
    one that recedes upwards sees more.
    """
    a = card_outline(inset=-1.5, width=scene.card[0], length=scene.card[1])
    b = np.roll(a, -1, axis=0)
    edge = b - a
    normals = np.stack([edge[:, 1], -edge[:, 0]], axis=1) / np.hypot(*edge.T)[:, None]
    strips = np.stack([a - edge * 0.02, b + edge * 0.02] * 2, axis=1)[:, [0, 1, 3, 2]]
    limits = np.unique(np.linspace(0, scene.cards, _LEVELS + 1).round().astype(int))
    shifts = np.add.reduceat(scene.shifts, limits[:-1]) / np.diff(limits)[:, None]
    heights = limits * float(scene.card[2])
    lit = scene.ambient + (1 - scene.ambient) * np.maximum(0, normals @ scene.light)
    slope = _steepness(shifts, (heights[:-1] + heights[1:]) / 2, normals)
    sine = slope / np.hypot(1, slope)
    lit = np.where(sine > 0, lit * (1 - scene.overhang_shade * sine), lit - (1 - lit) * sine)
    heights[0] -= _BEYOND
    heights[-1] += _BEYOND + 2 * np.abs(scene.bend).sum()
    corners = np.empty((len(shifts), *strips.shape[:2], 3))
    corners[..., :2] = strips + shifts[:, None, None]
    corners[..., :2, 2], corners[..., 2:, 2] = heights[:-1, None, None], heights[1:, None, None]
    brightness = np.round(255 * lit).astype(int)
    return Sides(
        corners.reshape(-1, 4, 3), np.tile(normals, (len(shifts), 1)), brightness.reshape(-1)
    )


def _steepness(
    shifts: Float[np.ndarray, "levels 2"],
    heights: Float[np.ndarray, " levels"],
    normals: Float[np.ndarray, "n 2"],
) -> Float[np.ndarray, "levels n"]:
    """Return how far the levels above stand out beyond each level, in mm per mm of height.

    The value is that of the level above that hides most of the sky; 0 at the highest level.
    """
    out = shifts @ normals.T
    rise = heights[None] - heights[:, None]
    above = rise > 0
    steepness = (out[None] - out[:, None]) / np.where(above, rise, 1)[..., None]
    largest = np.where(above[..., None], steepness, -np.inf).max(axis=1)
    return np.where(above.any(axis=1)[:, None], largest, 0.0)


def overhang(scene: Scene) -> Float[np.ndarray, "2 2"]:
    """Return how far the cards stand out beyond the lowest one, in mm per mm of height.

    Rows and columns are as in `card.packet_keypoints`. Cards that stand out by less than
    _UNNOTICED count as straight.
    """
    if scene.cards == 1:
        return np.zeros((2, 2))
    out = np.array([[[-1.0]], [[1.0]]]) * (scene.shifts[1:] - scene.shifts[0])
    height = np.arange(1, scene.cards)[:, None] * scene.card[2]
    return ((out - _UNNOTICED) / height).max(axis=1)


def shrink_polygons(
    polygons: Float[np.ndarray, "n k 2"], by: float = 0.5
) -> Float[np.ndarray, "n k 2"]:
    """Move the edges of convex polygons inwards by `by` pixels.

    OpenCV's anti-aliased filling enlarges polygons by half a pixel.
    """
    before = polygons - np.roll(polygons, 1, axis=1)
    after = np.roll(polygons, -1, axis=1) - polygons
    along = before / np.linalg.norm(before, axis=2, keepdims=True)
    along = along + after / np.linalg.norm(after, axis=2, keepdims=True)
    along /= np.linalg.norm(along, axis=2, keepdims=True)
    inwards = np.stack([along[..., 1], -along[..., 0]], axis=2)
    to_middle = polygons[:1].mean(axis=1) - polygons[0, :1]
    sign = np.sign((inwards[0, :1] * to_middle).sum())
    return polygons + sign * by * inwards
