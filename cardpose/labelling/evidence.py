"""Weigh what the network sees against the fitted box."""

from typing import NamedTuple

import cv2
import numpy as np
from scipy.special import expit

from cardpose.geometry.bundle import fit_box
from cardpose.geometry.keypoints import BACK, CORNER, name_corners
from cardpose.pictures.letterbox import UNIT, fitted_to_unit

_TOGETHER = 50  # frames of a recording that one box is fitted to
_ASTRAY = 8.0  # pixels; a box further off most of what the network sees is of no use
# What confidence follows from, by logistic regression on rendered recordings that the network has
# not seen (`python -m benchmarks.proposals --calibrate 1001`): see `Evidence`.
VISIBLE_COEFFICIENTS = (0.919, 1.854, 1.387, 1.827), -1.052
PLACE_COEFFICIENTS = (-1.258, 3.539), 0.424


class Evidence(NamedTuple):
    """What is known of each corner of n frames.

    `points` (n, 8, 2) is where it is proposed; `shown` (n, 8, 4) tells whether it is visible: what
    the network says (logit), how far it stands out of the box's outline, how far inside the
    picture, and whether it is one of the back, which no packet hides; `placed` (n, 8, 2) tells how
    good the place is: how far apart the three views are, and how high the heatmap's peak. `apart`
    (n,) is how far off the box is from most corners of the frame, in pixels.
    """

    points: np.ndarray
    shown: np.ndarray
    placed: np.ndarray
    apart: np.ndarray

    def proposed(self, shown=VISIBLE_COEFFICIENTS, placed=PLACE_COEFFICIENTS):
        """(n, 8) bool whether each is visible, and (n, 8) the confidence, see `proposals`."""
        visible, place = (
            expit(values @ np.array(slopes) + start)
            for values, (slopes, start) in ((self.shown, shown), (self.placed, placed))
        )
        return visible > 0.5, np.where(visible > 0.5, visible * place, 1 - visible)


def weigh(view, sizes, image_size, thickness, focal, card):
    """Hold what a network sees in a recording's frames against a box: `Evidence`.

    Args:
        view: a `View` of n frames, in the order they were taken.
        sizes: (n, 2) width and height of their pictures.
        image_size: (width, height) of the network's picture.
        thickness: of the packet in mm, about.
        focal, card: as `params.yaml` has them below `geometry`.
    """
    given, alone, traced = (
        fitted_to_unit(places, sizes, image_size)
        for places in (view.points, view.alone, view.traced)
    )
    box = _in_all_frames(view, given, alone, thickness, focal, card)
    order = np.array([_named(places) for places in box])
    rows = np.arange(len(order))[:, None]
    names = view.names[rows, order]
    seen, box, traced = given[rows, names], box[rows, order], traced[rows, order]
    visible = view.logits[rows, names] > 0
    off = np.where(visible, np.linalg.norm(seen - box, axis=2), np.nan)
    some = visible.any(axis=1)
    apart = np.full(len(off), 2.0 * UNIT[0])
    apart[some] = np.nanmedian(off[some], axis=1)
    astray = apart >= _ASTRAY
    # Without a box, what the network says, by the names that it says.
    names = np.where(astray[:, None], np.arange(8), names)
    views = np.stack([seen, box, traced])
    middle = np.median(views, axis=0)
    spread = np.linalg.norm(views - middle, axis=3).mean(axis=0)
    points = np.where(astray[:, None, None], given, middle)
    holds = ~astray[:, None]
    half = sizes * (UNIT[0] / 2 / sizes.max(axis=1, keepdims=True))
    inside = (half[:, None] - abs(box - np.array(UNIT) / 2)).min(axis=2)
    shown = [
        view.logits[rows, names].clip(-6, 6),
        holds * ~BACK * np.tanh(np.array([_stands_out(places) for places in box]) / 4),
        holds * np.tanh(inside / 6),
        np.broadcast_to(BACK, off.shape),
    ]
    placed = [np.log1p(spread), view.peaks[rows, names].clip(0, 1)]
    return Evidence(points, np.stack(shown, axis=-1), np.stack(placed, axis=-1), apart)


def _in_all_frames(view, points, alone, thickness, focal, card):
    """(n, 8, 2) where the box of all frames together has its keypoints, `alone` where it cannot
    tell. Long recordings give several boxes, of frames between each other."""
    n, box = len(points), alone.copy()
    every = -(-n // _TOGETHER)
    for first in range(every):
        rows = np.arange(first, n, every)
        names, poses = view.names[rows], (view.rotation[rows], view.numbers[rows])
        fitted = fit_box(
            points[rows], view.sure[rows], poses, names, UNIT, focal, card, known=thickness
        )
        if fitted is not None:
            at = fitted.points[np.arange(len(rows))[:, None], names]
            box[rows] = np.where(np.isfinite(at), at, alone[rows])
    return box


def _named(box):
    """(8,) which of a box's keypoints (8, 2) is which by the rule of `keypoints.name_corners`."""
    layers = [np.flatnonzero(layer)[np.argsort(CORNER[layer])] for layer in (~BACK, BACK)]
    return np.concatenate(layers)[name_corners(*(box[layer] for layer in layers))]


def _stands_out(box):
    """(8,) pixels, how far each keypoint (8, 2) of a box lies outside the outline of the others:
    one of the face that lies inside is hidden."""
    box = box.astype(np.float32)
    return np.array(
        [
            -cv2.pointPolygonTest(cv2.convexHull(np.delete(box, k, axis=0)), box[k].tolist(), True)
            for k in range(len(box))
        ]
    )
