"""Fit pictures into a size without distortion, and convert coordinates.

There are four kinds of coordinates. x runs right, y runs down, and a pixel's centre lies at +0.5.

fractions
    Fractions of the picture's width and height, 0 to 1. Annotations use them.
original
    Pixels of the original picture.
fitted
    Pixels of the network's picture, which is the original scaled to fit, with grey margins.
unit
    Pixels of a picture with a longer side of UNIT[0] pixels and its middle at UNIT / 2. Boxes are
    fitted in these coordinates, so that the same focal length and tolerance suit every frame size.

Functions are named FROM_to_TO. Each takes points (..., k, 2) and sizes (..., 2), with k points and
one size per picture.
"""

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, Num, UInt8

DETAIL = 2  # side of the picture that close-ups are cut from, times that of the network's
GREY = 127  # brightness of the margins
UNIT = 640, 480  # width and height in pixels

# Width and height in pixels, of each picture or of a single one.
Sizes = Num[np.ndarray, "*n 2"] | Sequence[Sequence[int]] | Sequence[int]


def fit(
    size: Sequence[Any],
    target: Sequence[Any],
    smaller: Callable[[Any, Any], Any] = min,
    larger: Callable[[Any, Any], Any] = max,
) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Return the size and margin of a picture scaled to fit into the middle of `target`.

    The picture keeps its aspect ratio. Sizes are integers, or integer tensors during export of the
    network.

    Args:
        size, target: (width, height) in pixels.
        smaller, larger: functions for the minimum and maximum of two integers or tensors.

    Returns:
        (resized width, resized height), (left, top) margin in target pixels.
    """
    # Width at the target's height, and height at the target's width, rounded to whole pixels.
    scaled = [
        (2 * side * target[1 - axis] + size[1 - axis]) // (2 * size[1 - axis])
        for axis, side in enumerate(size)
    ]
    width, height = (larger(smaller(a, b), 1) for a, b in zip(scaled, target, strict=True))
    return (width, height), ((target[0] - width) // 2, (target[1] - height) // 2)


def resize_to_fit(
    picture: UInt8[np.ndarray, "h w 3"], target: Sequence[int], times: int = 1
) -> UInt8[np.ndarray, "fitted_h fitted_w 3"]:
    """Scale a picture to fit into `target` (width, height), with grey margins.

    The result, margins included, is `times` as wide and high as `target`.
    """
    height, width = picture.shape[:2]
    inner, margin = fit((width, height), target)
    (across, down), (left, top) = (
        [times * side for side in inner],
        [times * side for side in margin],
    )
    method = cv2.INTER_AREA if across <= width else cv2.INTER_LINEAR
    fitted = np.full((times * target[1], times * target[0], 3), GREY, np.uint8)
    small = cv2.resize(picture, (across, down), interpolation=method)
    fitted[top : top + down, left : left + across] = small
    return fitted


def fractions_to_fitted(
    fractions: Float[np.ndarray, "n k 2"], sizes: Sizes, target: Sequence[int]
) -> Float[np.ndarray, "n k 2"]:
    """Convert fractions of the originals to pixels of fitted pictures of size `target`."""
    scale, margin = _inner_and_margin(sizes, target)
    return fractions * scale + margin


def fitted_to_original(
    points: Float[np.ndarray, "n k 2"], sizes: Sizes, target: Sequence[int]
) -> Float[np.ndarray, "n k 2"]:
    """Convert pixels of fitted pictures of size `target` to pixels of the originals."""
    scale, margin = _inner_and_margin(sizes, target)
    return (points - margin) / scale * np.asarray(sizes)[:, None]


def _inner_and_margin(
    sizes: Sizes, target: Sequence[int]
) -> tuple[Float[np.ndarray, "n 1 2"], Float[np.ndarray, "n 1 2"]]:
    """Return the resized size and the left and top margin of each picture."""
    placed = [fit(tuple(size), tuple(target)) for size in np.asarray(sizes).tolist()]
    inner = np.array([p[0] for p in placed], float)[:, None]
    margin = np.array([p[1] for p in placed], float)[:, None]
    return inner, margin


def fractions_to_unit(
    fractions: Float[np.ndarray, "*n k 2"], sizes: Sizes
) -> Float[np.ndarray, "*n k 2"]:
    """Convert fractions of the originals to unit pixels."""
    return (fractions - 0.5) * unit_sizes(sizes) + np.array(UNIT) / 2


def unit_to_fractions(
    points: Float[np.ndarray, "*n k 2"], sizes: Sizes
) -> Float[np.ndarray, "*n k 2"]:
    """Convert unit pixels to fractions of the originals."""
    return (points - np.array(UNIT) / 2) / unit_sizes(sizes) + 0.5


def fitted_to_unit(
    points: Num[np.ndarray, "n k 2"], sizes: Num[np.ndarray, "n 2"], target: Sequence[int]
) -> Float[np.ndarray, "n k 2"]:
    """Convert pixels of fitted pictures of size `target` to unit pixels."""
    original = fitted_to_original(np.asarray(points, float), sizes, target)
    return fractions_to_unit(original / sizes[:, None], sizes)


def unit_sizes(sizes: Sizes) -> Float[np.ndarray, "*n 1 2"]:
    """Return the width and height of each picture in unit pixels."""
    sizes = np.asarray(sizes)
    return (sizes * (UNIT[0] / sizes.max(axis=-1, keepdims=True, initial=1)))[..., None, :]
