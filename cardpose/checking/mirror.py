"""Detect recordings whose labels are mirrored left to right."""

import cv2
import numpy as np

from cardpose.geometry.keypoints import EDGES, FLIP
from cardpose.pictures.letterbox import UNIT

_APART = 8.0  # pixels of 640, by which a flip has to move the labels to be seen
_ASIDE = 2.5  # pixels of 320 at both sides of an edge, between which its contrast is measured


def mirror_contrast(picture, points, visible):
    """How many times the contrast along the labelled edges is that along their mirror image; 0
    where there are no edges, or the flip moves the labels too little to tell."""
    edges = [edge for edge in EDGES[:8] if visible[list(edge)].all()]
    size = np.array(picture.shape[1::-1]) * (UNIT[0] / 2 / max(picture.shape[:2]))
    places = np.stack([points, points * [-1, 1] + [1, 0]]) * size
    both = visible & visible[list(FLIP)]
    apart = np.linalg.norm(places[1][list(FLIP)] - places[0], axis=1)[both].max(initial=0)
    if not edges or (both.any() and 2 * apart < _APART):
        return 0.0
    small = cv2.resize(picture, size.round().astype(int), interpolation=cv2.INTER_AREA)
    small = cv2.blur(small, (3, 3)).astype(np.float32)
    a, b = places[:, [a for a, _ in edges]], places[:, [b for _, b in edges]]
    along = b - a
    across = np.stack([-along[..., 1], along[..., 0]], axis=-1)
    across /= np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-6)
    share = (np.arange(48) + 0.5)[:, None, None, None] / 48
    at = a + share * along
    sides = [(at + side * across - 0.5).reshape(-1, 1, 2) for side in (-_ASIDE, _ASIDE)]
    here, there = (
        cv2.remap(
            small, s.astype(np.float32), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        for s in sides
    )
    contrast = abs(here - there).sum(axis=(1, 2)).reshape(48, 2, -1).mean(axis=(0, 2))
    return float(contrast[1] / max(contrast[0], 1e-6))
