"""Fit one box to all frames of a recording.

In one picture, a packet that leans looks like a thicker or thinner packet. Thickness, lean and
twist are the same in every frame of a recording, so frames from several sides tell them apart. The
method is bundle adjustment (B. Triggs et al., "Bundle Adjustment: A Modern Synthesis", 1999).

This module does not import torch, because recordings are also counted with ONNX Runtime alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Integer, Num
from scipy.optimize import least_squares
from scipy.sparse import lil_matrix
from scipy.spatial.transform import Rotation

from cardpose.geometry.camera import intrinsic_matrix
from cardpose.geometry.keypoints import TURNED
from cardpose.geometry.priors import LEAN_PRIOR, RECORDING_PRIORS
from cardpose.geometry.projection import (
    NEAREST,
    PLACE,
    THICKNESS,
    BoxPoints,
    Pose,
    camera_position,
    card_keypoints,
    points_in_box,
)

_FRAMES = 50  # most frames of a recording that are used, evenly spread
_CORNERS = 5  # fewest visible keypoints in a frame that is used
_THINNEST = 0.3  # mm, least thickness that the fit starts from
_ROUNDS = 80  # most evaluations of the residuals in a fit, besides those for derivatives
# Typical changes of the parameters: rotation in radians and place in mm of a frame; box in mm.
_POSE_SCALES, _BOX_SCALES = [0.1, 0.1, 0.1, 10, 10, 10], [1, 1, 1, 1]
_BOX = slice(-4, None)  # the last four parameters; before them, each frame has six


@dataclass(frozen=True)
class Box:
    """Box fitted to a recording.

    Attributes:
        thickness: in mm.
        lean: shift of the face against the back along the short and the long edge, in mm.
        twist: height by which corners of a card rise or fall, in mm.
        points: keypoints of the box in each frame, in pixels, in the order of the given points;
            NaN in frames that were not used.
    """

    thickness: float
    lean: Float64[np.ndarray, "2"]
    twist: float
    points: Float64[np.ndarray, "n 8 2"]


def count_recording(
    points: Float[np.ndarray, "n 8 2"],
    visible: Bool[np.ndarray, "n 8"] | Float[np.ndarray, "n 8"],
    poses: Sequence[Num[np.ndarray, "n ..."]],
    corners: Integer[np.ndarray, "n 8"],
    image_size: Sequence[int] | Integer[np.ndarray, "2"],
    metadata: Mapping[str, Any],
) -> float | None:
    """Count the cards of a recording from the thickness of the box fitted to all frames.

    Args:
        points, visible, poses, corners, image_size: as in `fit_box`.
        metadata: of the network; uses "focal", "card" and "deck".

    Returns:
        Number of cards, not rounded; None if no frame shows enough keypoints for `fit_box`.
    """
    focal, card = metadata["focal"], metadata["card"]
    box = fit_box(points, visible, poses, corners, image_size, focal, card)
    if not box:
        return None
    return float(np.clip(box.thickness / card[2], 0, metadata["deck"]))


def fit_box(
    points: Float[np.ndarray, "n 8 2"],
    visible: Bool[np.ndarray, "n 8"] | Float[np.ndarray, "n 8"],
    poses: Sequence[Num[np.ndarray, "n ..."]],
    corners: Integer[np.ndarray, "n 8"],
    image_size: Sequence[int] | Integer[np.ndarray, "2"],
    focal: float | int,
    card: Sequence[float | int],
    thickness: float | int | None = None,
) -> Box | None:
    """Fit one box to the keypoints of all frames of a recording.

    Args:
        points: in pixels, with the frames in the order they were taken.
        visible: whether each keypoint is visible; or its weight, from 0 (hidden) to 1.
        poses: rotations (n, 3, 3) and numbers (n, 8) of the `Pose` fitted to each frame alone. The
            fit starts from them.
        corners: for each keypoint of that box, the index of the point that it is.
        image_size: (width, height) of the frames in pixels.
        focal: focal length as a fraction of the frames' longer side.
        card: (width, length, thickness) of a card in mm.
        thickness: of the packet in mm; None if its count is not given. A given thickness fixes the
            box well enough to identify outliers, so the fit gives them little weight.

    Returns:
        Box, or None if no frame shows enough keypoints.
    """
    usable = np.flatnonzero((visible > 0).sum(axis=1) >= _CORNERS)
    if not len(usable):
        return None
    usable = usable[np.unique(np.linspace(0, len(usable) - 1, _FRAMES).round().astype(int))]
    alone = Pose(*(np.asarray(part, float)[usable] for part in poses))
    orders, rotation = _align(alone, corners[usable])
    rows = usable[:, None], orders
    weight, target = visible[rows], points[rows]
    seen = weight > 0
    camera = intrinsic_matrix(focal * max(image_size), image_size)
    keypoints = card_keypoints(card)
    blur = RECORDING_PRIORS.blur * max(image_size)

    def residuals(x: Float64[np.ndarray, " p"]) -> Float64[np.ndarray, " m"]:
        off = (_project(x, keypoints, camera) - target)[seen] / blur
        off = off * weight[seen][:, None]
        return np.concatenate([off.reshape(-1), _unusual(x[_BOX], thickness)])

    x = _start(alone, rotation, thickness)
    # "cauchy" gives outliers little weight, but converges only from a start near the solution.
    for loss in ("soft_l1",) if thickness is None else ("soft_l1", "cauchy"):
        x = least_squares(
            residuals,
            x,
            loss=loss,
            x_scale=np.concatenate([np.tile(_POSE_SCALES, len(usable)), _BOX_SCALES]),
            jac_sparsity=_sparsity(seen, len(_unusual(x[_BOX], thickness))),
            max_nfev=_ROUNDS,
        ).x
    found = np.full(points.shape, np.nan)
    found[rows] = _project(x, keypoints, camera)
    height, *lean, twist = x[_BOX]
    return Box(float(height), np.array(lean), float(twist), found)


def _align(
    alone: Pose, corners: Integer[np.ndarray, "n 8"]
) -> tuple[Integer[np.ndarray, "n 8"], Float64[np.ndarray, "n 3 3"]]:
    """Reorder the keypoints so that each index means the same corner in every frame.

    Names depend on the picture. As the camera moves round the packet, upper corners become lower
    ones, and for a moment the names at one edge are swapped.

    Returns:
        For each keypoint of the box, the index of the frame's point that it is. Then the
        rotations of the box.
    """
    orders, rotation = corners.copy(), alone.rotation.copy()
    last = None
    for i, eye in enumerate(camera_position(alone)[:, :2]):
        if last is not None and eye @ last < 0:
            orders[i] = orders[i, list(TURNED)]
            rotation[i] = rotation[i] @ np.diag([-1, -1, 1])
            eye = -eye
        last = eye
    return orders, rotation


def _start(
    alone: Pose, rotation: Float64[np.ndarray, "n 3 3"], thickness: float | int | None
) -> Float64[np.ndarray, " p"]:
    """Return the initial parameters of the fit.

    They are a rotation vector and a place in mm for each frame, then the numbers BOX of a pose.
    """
    if thickness is None:
        thickness = float(np.clip(np.median(alone.numbers[:, THICKNESS]), _THINNEST, None))
    poses = np.column_stack([Rotation.from_matrix(rotation).as_rotvec(), alone.numbers[:, PLACE]])
    return np.concatenate([poses.reshape(-1), [thickness, 0, 0, 0]])


def _project(
    x: Float64[np.ndarray, " p"], keypoints: BoxPoints, camera: Float64[np.ndarray, "3 3"]
) -> Float64[np.ndarray, "n 8 2"]:
    """Project keypoints into all frames, in pixels. `x` is ordered as in `_start`.

    This is `projection.project` in another order of operations. The results differ in the last
    bit, and numerical derivatives amplify the difference. With `projection.project`, counts of
    recordings would change by 2e-6 cards.
    """
    poses = x[: _BOX.start].reshape(-1, 6)
    (world,) = points_in_box(keypoints, x[None, _BOX])
    rotation = Rotation.from_rotvec(poses[:, :3]).as_matrix()
    at = (np.einsum("nij,kj->nki", rotation, world) + poses[:, None, 3:]) @ camera.T
    return at[..., :2] / np.maximum(at[..., 2:], NEAREST)


def _unusual(
    box: Float64[np.ndarray, "4"], thickness: float | int | None
) -> Float64[np.ndarray, " k"]:
    """Return the residuals of the priors on lean, twist and, if given in mm, thickness."""
    lean = LEAN_PRIOR.deviation_of(max(box[0] if thickness is None else thickness, 0))
    unusual = box[1:] / [lean, lean, RECORDING_PRIORS.twist]
    if thickness is None:
        return unusual
    return np.append(unusual, (box[0] - thickness) / RECORDING_PRIORS.unevenness_of(thickness))


def _sparsity(seen: Bool[np.ndarray, "n 8"], priors: int) -> lil_matrix:
    """Return the sparsity pattern of the Jacobian: 1 where a residual depends on a parameter.

    Residuals of a frame depend on its pose and on the box. Residuals of the priors depend on the
    box alone.
    """
    n, rows = len(seen), 2 * seen.sum(axis=1)
    pattern = lil_matrix((rows.sum() + priors, 6 * n + 4), dtype=np.int8)
    for i, end in enumerate(np.cumsum(rows)):
        pattern[end - rows[i] : end, 6 * i : 6 * i + 6] = 1
    pattern[:, _BOX] = 1
    return pattern
