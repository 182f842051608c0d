"""Measure whether the labels of a picture are mirrored left to right."""

from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from cardpose.geometry.keypoints import EDGES, FLIP
from cardpose.pictures.letterbox import UNIT

_LEAST_SHIFT = 8.0  # unit pixels by which mirroring has to move a label to be noticeable
_WIDTH = UNIT[0] // 2  # longer side in pixels to which pictures are resized
_SIDE = 2.5  # pixels from an edge to the two places that are compared
_SAMPLES = 48  # places along an edge


def mirror_contrast(
    picture: UInt8[np.ndarray, "h w 3"],
    points: Float[np.ndarray, "8 2"],
    visible: Bool[np.ndarray, "8"],
) -> float:
    """Return the contrast along mirrored edges divided by that along labelled edges.

    Args:
        points: fractions of the picture.

    Returns:
        a ratio, or 0 if no edge is visible or mirroring moves the labels too little.
    """
    edges = [edge for edge in EDGES[:8] if visible[list(edge)].all()]
    size = np.array(picture.shape[1::-1]) * (_WIDTH / max(picture.shape[:2]))
    places = np.stack([points, points * [-1, 1] + [1, 0]]) * size  # labelled, mirrored
    both = visible & visible[list(FLIP)]
    shift = np.linalg.norm(places[1][list(FLIP)] - places[0], axis=1)[both].max(initial=0)
    if not edges or (both.any() and shift * (UNIT[0] / _WIDTH) < _LEAST_SHIFT):
        return 0.0
    small = cv2.resize(picture, size.round().astype(int), interpolation=cv2.INTER_AREA)
    small = cv2.blur(small, (3, 3)).astype(np.float32)
    labelled, mirrored = _contrast(
        small, places[:, [a for a, _ in edges]], places[:, [b for _, b in edges]]
    )
    return float(mirrored / max(labelled, 1e-6))


def _contrast(
    picture: Float[np.ndarray, "h w 3"],
    starts: Float[np.ndarray, "ways edges 2"],
    ends: Float[np.ndarray, "ways edges 2"],
) -> Float[np.ndarray, " ways"]:
    """Return the mean difference in colour between the two sides of the edges."""
    along = ends - starts
    across = np.stack([-along[..., 1], along[..., 0]], axis=-1)
    across /= np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-6)
    share = (np.arange(_SAMPLES) + 0.5)[:, None, None, None] / _SAMPLES
    at = starts + share * along
    left, right = (_sampled(picture, at + side * across) for side in (-_SIDE, _SIDE))
    difference = abs(left - right).sum(axis=(1, 2))
    return difference.reshape(_SAMPLES, len(starts), -1).mean(axis=(0, 2))


def _sampled(
    picture: Float[np.ndarray, "h w 3"], places: Float[np.ndarray, "samples ways edges 2"]
) -> Float[np.ndarray, "samples*ways*edges 1 3"]:
    """Return the interpolated colours at places of a picture."""
    pixels = (places - 0.5).reshape(-1, 1, 2).astype(np.float32)
    no_map: Any = None  # the first map has both x and y
    return cv2.remap(picture, pixels, no_map, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
