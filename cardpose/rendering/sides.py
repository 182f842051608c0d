"""Outlines and sides of a packet as polygons."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from cardpose.geometry.card import CORNER_RADIUS, card_outline
from cardpose.rendering.packet_shape import rise
from cardpose.rendering.scenes import Scene

_BEYOND = 3  # mm by which the sides extend below the table and above the packet
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
    slipped = outline[None] + scene.slips[:, None]
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
    """Return the sides of a packet, slightly enlarged so that they also shade slipped cards."""
    a = card_outline(inset=-1.5, width=scene.card[0], length=scene.card[1])
    b = np.roll(a, -1, axis=0)
    edge = b - a
    normals = np.stack([edge[:, 1], -edge[:, 0]], axis=1) / np.hypot(*edge.T)[:, None]
    strips = np.stack([a - edge * 0.02, b + edge * 0.02] * 2, axis=1)[:, [0, 1, 3, 2]]
    top = scene.thickness + _BEYOND + 2 * np.abs(scene.bend).sum()
    heights = np.array([-_BEYOND, -_BEYOND, top, top])
    heights = np.broadcast_to(heights[None, :, None], (*strips.shape[:2], 1))
    lit = scene.ambient + (1 - scene.ambient) * np.maximum(0, normals @ scene.light)
    brightness = np.round(255 * lit).astype(int)
    return Sides(np.concatenate([strips, heights], axis=2), normals, brightness)


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
