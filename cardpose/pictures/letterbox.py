"""Fitting a picture of any size into the network's, and coordinates along with it."""

import cv2
import numpy as np

DETAIL = 2  # how many times larger than the network's picture is what it looks closer at
GREY = 127  # of the margins
UNIT = 640, 480  # pixels; the longer side is what counts


def fit(size, target, smaller=min, larger=max):
    """How a picture of `size` fits into `target` whole, undistorted, in the middle.

    Args:
        size, target: (width, height) in pixels.
        smaller, larger: of two whole numbers, where sizes are tensors.

    Returns:
        (resized width, resized height), (left, top) margin in target pixels.
    """
    # As wide as `target`, or as high, whichever is the smaller; rounded to whole pixels.
    scaled = [
        (2 * side * target[1 - axis] + size[1 - axis]) // (2 * size[1 - axis])
        for axis, side in enumerate(size)
    ]
    inner = [larger(smaller(a, b), 1) for a, b in zip(scaled, target, strict=True)]
    margin = [(outer - side) // 2 for outer, side in zip(target, inner, strict=True)]
    return tuple(inner), tuple(margin)


def resize_to_fit(picture, target, times=1):
    """A (height, width, 3) picture scaled into `target` (width, height), its rest grey; all of it
    so many `times` larger."""
    height, width = picture.shape[:2]
    inner, margin = fit((width, height), target)
    inner, (left, top) = [times * side for side in inner], [times * side for side in margin]
    method = cv2.INTER_AREA if inner[0] <= width else cv2.INTER_LINEAR
    fitted = np.full((times * target[1], times * target[0], 3), GREY, np.uint8)
    small = cv2.resize(picture, inner, interpolation=method)
    fitted[top : top + inner[1], left : left + inner[0]] = small
    return fitted


def to_fitted(fractions, sizes, target):
    """Places in fitted pictures, in pixels, from places in the originals as fractions.

    Args:
        fractions: (n, k, 2) x as a fraction of the width, y of the height.
        sizes: (n, 2) width and height of the originals in pixels.
        target: (width, height) of the fitted pictures.

    Returns:
        (n, k, 2) continuous picture coordinates.
    """
    scale, margin = _placing(sizes, target)
    return fractions * scale + margin


def to_original(points, sizes, target):
    """Places in the originals, in their pixels, from places in fitted pictures (n, k, 2)."""
    scale, margin = _placing(sizes, target)
    return (points - margin) / scale * np.asarray(sizes)[:, None]


def _placing(sizes, target):
    """(n, 1, 2) fitted size and margin, of each picture."""
    placed = [fit(tuple(size), tuple(target)) for size in np.asarray(sizes).tolist()]
    inner = np.array([p[0] for p in placed], float)[:, None]
    margin = np.array([p[1] for p in placed], float)[:, None]
    return inner, margin


def to_unit(points, sizes):
    """Places (n, 8, 2) in pixels of UNIT, from fractions of pictures of `sizes` (n, 2)."""
    scale = sizes * (UNIT[0] / sizes.max(axis=1, keepdims=True, initial=1))
    return (points - 0.5) * scale[:, None] + np.array(UNIT) / 2


def unit_to_fractions(points, size):
    """Fractions of a picture of a `size`, from places (..., 2) in pixels of UNIT."""
    return (points - np.array(UNIT) / 2) / (np.array(size) * (UNIT[0] / max(size))) + 0.5


def to_fractions(points, sizes):
    """Places (n, 8, 2) as fractions of pictures of `sizes` (n, 2)."""
    return (points - np.array(UNIT) / 2) / unit_size(sizes) + 0.5


def fitted_to_unit(points, sizes, image_size):
    places = to_original(np.asarray(points, float), sizes, image_size) / sizes[:, None]
    return (places - 0.5) * unit_size(sizes) + np.array(UNIT) / 2


def unit_size(sizes):
    """(n, 1, 2) pixels that pictures have once their longer sides have UNIT[0]."""
    return (sizes * (UNIT[0] / sizes.max(axis=1, keepdims=True)))[:, None]
