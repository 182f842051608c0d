"""Combine the network's predictions of a recording with boxes fitted to it.

Each corner has three estimates with different errors:

- the network's own, from close-ups of the frame;
- the corner of the box that all frames of the recording share, fitted to the frame's corners;
- the corner of a box fitted to the edges traced in the frame.

The count of the recording is given. It determines the thickness of both boxes to within a few per
cent. The proposed place is the median of the three estimates. The box determines the corner's name
and helps to decide whether it is visible. A frame that no box fits keeps the network's own
estimates.

Places are in unit pixels, see `letterbox`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, Num
from scipy.special import expit

from cardpose.geometry.keypoints import BACK, CORNER, name_corners
from cardpose.geometry.pose_fit import fit_shared_box
from cardpose.geometry.projection import Pose, card_keypoints, numpy_lens, project
from cardpose.geometry.recording_count import contributions
from cardpose.geometry.sweep import share_box
from cardpose.labelling.views import View
from cardpose.pictures.letterbox import UNIT, fitted_to_unit

_CORNERS = 5  # fewest visible keypoints in a frame that the recording's box is fitted to
_ASTRAY = 8.0  # pixels; no box fits a frame whose `box_error` is at least this
# Scales at which the features of `Evidence` saturate.
_MOST_LOGIT, _OUTLINE, _BORDER = 6.0, 4.0, 6.0  # the last two in pixels


class VisibilityModel(NamedTuple):
    """Logistic regression of whether a corner is visible: one coefficient per feature.

    Attributes:
        logit: for the network's logit.
        outside_outline: for the distance of a face's corner outside the outline of the box,
            scaled to -1 to 1.
        inside_picture: for the corner's distance inside the picture's border, scaled to -1 to 1.
        on_back: for corners of the back, which the packet never hides.
        bias: added to the sum.
    """

    logit: float
    outside_outline: float
    inside_picture: float
    on_back: float
    bias: float


class PlaceModel(NamedTuple):
    """Logistic regression of whether a visible corner's place is right: within 5 pixels.

    Attributes:
        spread: for the log of 1 + the mean distance in pixels from the estimates to their median.
        peak: for the height of the heatmap's peak, 0 to 1.
        bias: added to the sum.
    """

    spread: float
    peak: float
    bias: float


# Fitted to rendered recordings that the network had not seen, by
# `python -m benchmarks.proposals --calibrate 1001`.
VISIBILITY_MODEL = VisibilityModel(
    logit=0.919, outside_outline=1.854, inside_picture=1.387, on_back=1.827, bias=-1.052
)
PLACE_MODEL = PlaceModel(spread=-1.258, peak=3.539, bias=0.424)


class Evidence(NamedTuple):
    """Proposed places of the corners of n frames, and the features that give their confidence.

    Attributes:
        points: proposed places in unit pixels.
        visibility_features: in the order of `VisibilityModel`.
        place_features: in the order of `PlaceModel`.
        box_error: median distance in pixels from the box to the corners that the network sees;
            2 UNIT[0] where it sees none.
    """

    points: Float[np.ndarray, "n 8 2"]
    visibility_features: Float[np.ndarray, "n 8 4"]
    place_features: Float[np.ndarray, "n 8 2"]
    box_error: Float[np.ndarray, " n"]

    def judge(self) -> tuple[Bool[np.ndarray, "n 8"], Float[np.ndarray, "n 8"]]:
        """Return whether each corner is visible, and the confidence of its proposal.

        The confidence is the probability that the visibility is right and, for a visible corner,
        that its place is right too.
        """
        visibility = _probability(VISIBILITY_MODEL, self.visibility_features)
        place = _probability(PLACE_MODEL, self.place_features)
        visible = visibility > 0.5
        return visible, np.where(visible, visibility * place, 1 - visibility)


def weigh(
    view: View,
    sizes: Num[np.ndarray, "n 2"],
    image_size: Sequence[int],
    thickness: float,
    focal: float,
    card: Sequence[float],
) -> Evidence:
    """Combine the network's predictions of a recording with the boxes that fit it.

    Args:
        view: predictions of n frames, in the order they were taken.
        sizes: width and height of their pictures in pixels.
        image_size: (width, height) of the network's picture.
        thickness: thickness of the packet in mm, from its count.
        focal: focal length as a share of a picture's longer side.
        card: (width, length, thickness) of a card in mm.
    """
    points, corner_box, edge_box = (
        fitted_to_unit(places, sizes, image_size)
        for places in (view.points, view.corner_box, view.edge_box)
    )
    box = _recording_box(view, points, corner_box, thickness, focal, card)
    order = np.array([_picture_order(keypoints) for keypoints in box])
    rows = np.arange(len(order))[:, None]
    names = view.names[rows, order]
    box = box[rows, order]
    estimates = np.stack([points[rows, names], box, edge_box[rows, order]])
    box_error = _box_error(estimates[0], box, view.logits[rows, names] > 0)
    fits = (box_error < _ASTRAY)[:, None]
    names = np.where(fits, names, np.arange(8))
    median = np.median(estimates, axis=0)
    spread = np.linalg.norm(estimates - median, axis=3).mean(axis=0)
    outside = np.array([_outside_outline(keypoints) for keypoints in box])
    visibility_features = [
        view.logits[rows, names].clip(-_MOST_LOGIT, _MOST_LOGIT),
        fits * ~BACK * np.tanh(outside / _OUTLINE),
        fits * np.tanh(_inside_picture(box, sizes) / _BORDER),
        np.broadcast_to(BACK, spread.shape),
    ]
    place_features = [np.log1p(spread), view.peaks[rows, names].clip(0, 1)]
    return Evidence(
        np.where(fits[..., None], median, points),
        np.stack(visibility_features, axis=-1),
        np.stack(place_features, axis=-1),
        box_error,
    )


def _probability(
    model: VisibilityModel | PlaceModel, features: Float[np.ndarray, "n 8 k"]
) -> Float[np.ndarray, "n 8"]:
    *coefficients, bias = model
    return expit(features @ np.array(coefficients) + bias)


def _recording_box(
    view: View,
    points: Float[np.ndarray, "n 8 2"],
    corner_box: Float[np.ndarray, "n 8 2"],
    thickness: float,
    focal: float,
    card: Sequence[float],
) -> Float[np.ndarray, "n 8 2"]:
    """Return the keypoints of the box that all frames share.

    Frames with fewer than _CORNERS visible keypoints keep those of `corner_box`.
    """
    alone, seen = Pose(view.rotation, view.numbers), view.weight > 0
    pictures = contributions(view.information, view.vector, seen, alone)
    shared = share_box(pictures, thickness)
    if shared is None:
        return corner_box
    lens, keypoints = numpy_lens(UNIT, focal * UNIT[0]), card_keypoints(card)
    rows = np.arange(len(points))[:, None]
    target, weight = points[rows, view.names], view.weight[rows, view.names]
    pose = fit_shared_box(lens, keypoints, alone, shared.numbers, target, weight)
    enough = seen.sum(axis=1) >= _CORNERS
    return np.where(enough[:, None, None], project(lens, pose, keypoints), corner_box)


def _picture_order(box: Float[np.ndarray, "8 2"]) -> Int[np.ndarray, "8"]:
    """Return the index into `box` of each of KEYPOINTS, by the rule of `name_corners`."""
    layers = [np.flatnonzero(layer)[np.argsort(CORNER[layer])] for layer in (~BACK, BACK)]
    return np.concatenate(layers)[name_corners(*(box[layer] for layer in layers))]


def _box_error(
    points: Float[np.ndarray, "n 8 2"],
    box: Float[np.ndarray, "n 8 2"],
    visible: Bool[np.ndarray, "n 8"],
) -> Float[np.ndarray, " n"]:
    distance = np.where(visible, np.linalg.norm(points - box, axis=2), np.nan)
    error = np.full(len(points), 2.0 * UNIT[0])
    seen = visible.any(axis=1)
    error[seen] = np.nanmedian(distance[seen], axis=1)
    return error


def _inside_picture(
    box: Float[np.ndarray, "n 8 2"], sizes: Num[np.ndarray, "n 2"]
) -> Float[np.ndarray, "n 8"]:
    """Return how many pixels each keypoint lies inside the picture; negative outside."""
    half = sizes * (UNIT[0] / 2 / sizes.max(axis=1, keepdims=True))
    return (half[:, None] - abs(box - np.array(UNIT) / 2)).min(axis=2)


def _outside_outline(box: Float[np.ndarray, "8 2"]) -> Float[np.ndarray, "8"]:
    """Return how many pixels each keypoint lies outside the outline of the other seven.

    A corner of the face that lies inside that outline (a negative number) is hidden.
    """
    corners = box.astype(np.float32)
    outlines = [cv2.convexHull(np.delete(corners, k, axis=0)) for k in range(len(corners))]
    return np.array(
        [
            -cv2.pointPolygonTest(outline, corner.tolist(), True)
            for outline, corner in zip(outlines, corners, strict=True)
        ]
    )
