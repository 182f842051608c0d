"""Draw the surfaces of tables: cloth or wood, with or without shapes on them."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, Float32

from cardpose.rendering import ranges
from cardpose.rendering.opencv import SHIFT
from cardpose.rendering.ranges import Range

TABLE_SIZE = 1536  # side of a recording's table in pixels; the packet is in the middle
VARIED_TABLE_SIZE = 640  # side of a pretraining picture's table in pixels
_SHAPES = ["chip", "disc", "bar", "ring", "stroke", "sheet"]


def smooth_noise(
    rng: np.random.Generator, size: int, cell: float | int
) -> Float32[np.ndarray, "size size"]:
    """Draw smooth noise with mean 0, standard deviation 1, and bumps `cell` pixels wide."""
    small = rng.standard_normal((max(2, round(size / cell)) + 1,) * 2, dtype=np.float32)
    field = cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC)
    return (field - field.mean()) / field.std()


def random_colour(
    rng: np.random.Generator, brightness: Range, saturation: Range
) -> Float32[np.ndarray, "3"]:
    """Draw a BGR colour (0 to 255) of random hue."""
    hsv = np.array([[[rng.uniform(0, 360), rng.uniform(*saturation), rng.uniform(*brightness)]]])
    return cv2.cvtColor(hsv.astype(np.float32), cv2.COLOR_HSV2BGR)[0, 0] * 255


def draw_cloth(
    rng: np.random.Generator, size: int = TABLE_SIZE
) -> Float[np.ndarray, "{size} {size} 3"]:
    """Draw felt, a weave, stripes, checks or wood in BGR. Values may slightly leave 0 to 255."""
    first = random_colour(rng, ranges.CLOTH_BRIGHTNESS, ranges.CLOTH_SATURATION)
    second = np.clip(first * rng.uniform(*ranges.CLOTH_SECOND_COLOUR, 3), 10, 245)
    bumps = smooth_noise(rng, size, 2) * 0.6
    bumps = bumps + smooth_noise(rng, size, rng.uniform(*ranges.FUZZ)) * 0.7
    share = _cloth_pattern(rng, size)
    folds = smooth_noise(rng, size, rng.uniform(*ranges.FOLD)) * rng.uniform(*ranges.FOLD_DEPTH)
    relief = (bumps * rng.uniform(*ranges.GRAIN) + folds)[..., None]
    return first + (second - first) * share[..., None].astype(np.float32) + relief


def _cloth_pattern(rng: np.random.Generator, size: int) -> Float[np.ndarray, "{size} {size}"]:
    """Draw each pixel's share of the second colour, approximately 0 to 1."""
    x, y = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32))
    angle = rng.uniform(0, np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    kind = rng.choice(list(ranges.CLOTH_KINDS), p=list(ranges.CLOTH_KINDS.values()))
    if kind == "felt":
        return smooth_noise(rng, size, rng.uniform(*ranges.FELT_PATCH)) * 0.15
    if kind == "weave":
        pitch = rng.uniform(*ranges.WEAVE_PITCH)
        return 0.4 + 0.25 * (np.sin(along / pitch * 6.28) * np.sin(across / pitch * 6.28))
    if kind == "stripes":
        return np.clip(3 * np.sin(along / rng.uniform(*ranges.STRIPE_PITCH)), -0.5, 0.5) + 0.5
    if kind == "checks":
        pitch = rng.uniform(*ranges.CHECK_PITCH)
        odd_column, odd_row = np.sin(along / pitch) > 0, np.sin(across / pitch) > 0
        return 0.5 * (odd_column.astype(np.float32) + odd_row)
    rings = across / rng.uniform(*ranges.WOOD_PITCH) + 2.5 * smooth_noise(rng, size, 300)
    return 0.5 + 0.5 * np.sin(rings + 0.8 * smooth_noise(rng, size, 40))


def draw_varied_table(rng: np.random.Generator) -> Float[np.ndarray, "size size 3"]:
    """Draw a table in BGR, usually with random shapes on it. Values may slightly leave 0 to 255."""
    table = draw_cloth(rng, VARIED_TABLE_SIZE)
    if rng.random() < ranges.LITTERED_TABLE_PROBABILITY:
        spread = rng.uniform(*ranges.LITTER_SPREAD) * VARIED_TABLE_SIZE
        scatter_shapes(rng, table, spread, ranges.TABLE_LITTER)
    return table


def scatter_shapes(
    rng: np.random.Generator, canvas: Float[np.ndarray, "h w 3"], spread: float, number: Range
) -> None:
    """Draw shapes of a few colours and one or two kinds, anywhere on `canvas`.

    Args:
        spread: size of a single shape in pixels. Shapes get smaller as their number grows, so
            that the covered area stays similar.
        number: range of the number of shapes, whose logarithm is uniform.
    """
    h, w = canvas.shape[:2]
    fewest, most = number
    n = int(np.exp(rng.uniform(np.log(fewest), np.log(most))))
    size = spread / np.sqrt(n) * rng.uniform(*ranges.LITTER_SIZE)
    colours = [
        random_colour(rng, ranges.LITTER_BRIGHTNESS, ranges.LITTER_SATURATION)
        for _ in range(rng.integers(*ranges.LITTER_COLOURS))
    ]
    kinds = rng.choice(_SHAPES, 2)
    drawn = canvas.copy()
    for _ in range(n):
        colour = colours[rng.integers(len(colours))] * rng.uniform(*ranges.LITTER_SHADE)
        middle = rng.uniform(0, 1, 2) * [w, h]
        reach = size * np.exp(rng.normal(0, ranges.LITTER_SIZE_DEVIATION))
        _draw_shape(rng, drawn, rng.choice(kinds), colour.tolist(), middle, reach)
    opacity = rng.uniform(*ranges.LITTER_OPACITY)
    canvas[:] = canvas + opacity * (drawn - canvas)


def _draw_shape(
    rng: np.random.Generator,
    canvas: Float[np.ndarray, "h w 3"],
    kind: str,
    colour: Sequence[float],
    middle: Float[np.ndarray, "2"],
    reach: float,
) -> None:
    """Draw one of _SHAPES with a radius of approximately `reach` pixels."""
    if kind == "ring":
        centre, radius = middle.astype(int).tolist(), max(1, int(reach))
        cv2.circle(canvas, centre, radius, colour, max(1, int(reach * 0.2)), cv2.LINE_AA)
    elif kind == "stroke":
        steps = rng.normal(rng.normal(0, 0.2, 2), 0.15, (24, 2)) * reach
        line = np.round((middle + np.cumsum(steps, axis=0)) * (1 << SHIFT)).astype(np.int32)
        thick = max(1, int(reach * rng.uniform(*ranges.STROKE_WIDTH)))
        cv2.polylines(canvas, [line], False, colour, thick, cv2.LINE_AA, SHIFT)
    else:
        places = (middle + reach * _outline(rng, kind)) * (1 << SHIFT)
        outline = cv2.convexHull(np.round(places).astype(np.int32))
        cv2.fillConvexPoly(canvas, outline, colour, cv2.LINE_AA, SHIFT)


def _outline(rng: np.random.Generator, kind: str) -> Float[np.ndarray, "n 2"]:
    """Draw the outline of a filled shape, each axis from -1 to 1 before a turn."""
    if kind == "chip":
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(*ranges.CHIP_CORNERS)))
        circle = np.column_stack([np.cos(angles), np.sin(angles)])
        return circle * rng.uniform(*ranges.CHIP_SQUASH, (1, 2))
    if kind == "disc":
        angles = np.linspace(0, 2 * np.pi, 24)
        squash = rng.uniform(*ranges.DISC_SQUASH)
        return np.column_stack([np.cos(angles), np.sin(angles) * squash])
    half = rng.uniform(*(ranges.BAR_WIDTH if kind == "bar" else ranges.SHEET_WIDTH))
    turn = rng.uniform(0, np.pi)
    c, s = np.cos(turn), np.sin(turn)
    return np.array([[-1, -half], [1, -half], [1, half], [-1, half]]) @ [[c, s], [-s, c]]
