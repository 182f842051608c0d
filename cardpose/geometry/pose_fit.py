"""Fit the rotation and the place of boxes whose thickness, lean and twist are given.

`box_fit.BoxFitter` fits single pictures with priors on these numbers. The fits here follow it, once
the box that all pictures of a packet share is estimated. Both use the projection and the
derivatives of `projection`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy.spatial.transform import Rotation

from cardpose.geometry.priors import RECORDING_PRIORS
from cardpose.geometry.projection import (
    BOX,
    ZOOM,
    BoxPoints,
    Lens,
    Pose,
    project,
    project_with_slopes,
)
from cardpose.geometry.shared_box import TURNED_BOX

UNKNOWNS = 6  # of a pose: a rotation vector and a place
_STEPS = 15  # steps of a fit
_DAMPING = 1e-3  # damping of the first step
_ROUNDS = 3  # of reweighting
_SCALE = 2.0  # blurs; points much further off get little weight


class Offsets(NamedTuple):
    """Weighted offsets from given points to the keypoints of boxes, and their derivatives.

    Attributes:
        values: in pixels.
        by_view: derivatives by a rotation vector about the camera's axes and by the place.
        by_box: derivatives by the numbers BOX.
    """

    values: Float64[np.ndarray, "n 8 2"]
    by_view: Float64[np.ndarray, "n 8 2 6"]
    by_box: Float64[np.ndarray, "n 8 2 4"]


def calculate_offsets(
    lens: Lens,
    keypoints: BoxPoints,
    pose: Pose,
    points: Float[np.ndarray, "n 8 2"],
    weight: Bool[np.ndarray, "n 8"] | Float[np.ndarray, "n 8"],
) -> Offsets:
    """Return the offsets from points to the keypoints of boxes, multiplied by `weight`.

    Args:
        lens, keypoints: see `numpy_lens` and `card_keypoints`.
        points: in pixels, in the order of the boxes' keypoints.
        weight: of each point, or whether to use it.
    """
    at, slopes = project_with_slopes(lens, pose, keypoints)
    factor = weight[..., None]
    by_view = np.concatenate([slopes.turn, slopes.place], axis=-1)
    return Offsets(
        (at - points) * factor, by_view * factor[..., None], slopes.box * factor[..., None]
    )


def fit_views(
    lens: Lens,
    keypoints: BoxPoints,
    pose: Pose,
    points: Float[np.ndarray, "n 8 2"],
    weight: Bool[np.ndarray, "n 8"] | Float[np.ndarray, "n 8"],
) -> tuple[Pose, Float64[np.ndarray, " n"]]:
    """Fit rotation and place of poses by the Levenberg-Marquardt method, all in one batch.

    Args:
        pose: poses to start from.
        lens, keypoints, points, weight: as in `calculate_offsets`.

    Returns:
        the fitted poses, and the sum of the squared weighted offsets of each.
    """
    n = len(pose.numbers)
    damping = np.full(n, _DAMPING)
    offset, slopes, _ = calculate_offsets(lens, keypoints, pose, points, weight)
    squares = (offset**2).sum(axis=(1, 2))
    for _ in range(_STEPS):
        jacobian = slopes.reshape(n, 16, UNKNOWNS)
        hessian = jacobian.transpose(0, 2, 1) @ jacobian
        gradient = (jacobian.transpose(0, 2, 1) @ offset.reshape(n, 16, 1))[..., 0]
        damped = hessian * np.eye(UNKNOWNS) * damping[:, None, None] + 1e-9 * np.eye(UNKNOWNS)
        step = -np.linalg.solve(hessian + damped, gradient[..., None])[..., 0]
        turn = Rotation.from_rotvec(step[:, :3]).as_matrix()
        move = np.column_stack([step[:, 3:], np.zeros((n, 5))])
        tried = Pose(turn @ pose.rotation, pose.numbers + move)
        tried_offset, tried_slopes, _ = calculate_offsets(lens, keypoints, tried, points, weight)
        tried_squares = (tried_offset**2).sum(axis=(1, 2))
        better = tried_squares < squares
        b = better[:, None, None]
        pose = Pose(
            np.where(b, tried.rotation, pose.rotation),
            np.where(better[:, None], tried.numbers, pose.numbers),
        )
        offset = np.where(b, tried_offset, offset)
        slopes = np.where(b[..., None], tried_slopes, slopes)
        squares = np.where(better, tried_squares, squares)
        damping = np.where(better, damping / 5, damping * 5)
    return pose, squares


def fit_shared_box(
    lens: Lens,
    keypoints: BoxPoints,
    alone: Pose,
    box: Float64[np.ndarray, "4"],
    points: Float[np.ndarray, "n 8 2"],
    weight: Float[np.ndarray, "n 8"],
) -> Pose:
    """Fit the pose of a shared box in each picture, with the usual focal length.

    The loss is A. Cauchy's, see `robust_losses`, by iteratively reweighted least squares.

    Args:
        lens, keypoints, points, weight: as in `calculate_offsets`.
        alone: boxes fitted to each picture alone.
        box: numbers BOX of the shared box, in mm. Each picture shows it in the given axes or after
            half a turn. The turn with the lower loss is chosen.
    """
    reach = _SCALE * RECORDING_PRIORS.blur * 2 * lens.middle.max()
    poses, losses = [], []
    for given in (box, box * TURNED_BOX):
        pose = Pose(alone.rotation, alone.numbers.copy())
        pose.numbers[:, BOX], pose.numbers[:, ZOOM] = given, 0
        squares = _squares(lens, keypoints, pose, points, weight / reach)
        for _ in range(_ROUNDS):
            trusted = weight / np.sqrt(1 + squares)
            pose, _ = fit_views(lens, keypoints, pose, points, trusted)
            squares = _squares(lens, keypoints, pose, points, weight / reach)
        poses.append(pose)
        losses.append(np.log1p(squares).sum(axis=1))
    stay = losses[0] <= losses[1]
    return Pose(
        np.where(stay[:, None, None], poses[0].rotation, poses[1].rotation),
        np.where(stay[:, None], poses[0].numbers, poses[1].numbers),
    )


def _squares(
    lens: Lens,
    keypoints: BoxPoints,
    pose: Pose,
    points: Float[np.ndarray, "n 8 2"],
    weight: Float[np.ndarray, "n 8"],
) -> Float64[np.ndarray, "n 8"]:
    """Return the squared weighted distances from points to the keypoints of boxes."""
    return ((project(lens, pose, keypoints) - points) ** 2).sum(axis=2) * weight**2
