"""Fit the cameras of frames to labels by plain least squares.

`box_fit.BoxFitter` is not used here, because strain and degrees of freedom are defined only without
robust losses and priors. Both use the projection and the derivatives of `projection`.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

from cardpose.geometry.projection import Pose

UNKNOWNS = 6  # per camera: a rotation vector and a place
_STEPS = 15  # steps of a camera's fit
_DAMPING = 1e-3  # damping of the first step
_HELD = 0.02  # added to the share of a label that others determine; keeps the strain finite


def levenberg_marquardt(
    residuals: Callable[[Pose], tuple[np.ndarray, ...]], pose: Pose
) -> tuple[Pose, Float64[np.ndarray, " n"]]:
    """Fit rotation and place of poses by the Levenberg-Marquardt method, all in one batch.

    Args:
        residuals: returns the offsets (n, 8, 2) of poses, and their derivatives (n, 8, 2, 6) by a
            rotation about the camera's axes and by the place.
        pose: poses to start from.

    Returns:
        the fitted poses, and the sum of the squared offsets of each.
    """
    n = len(pose.numbers)
    damping = np.full(n, _DAMPING)
    offset, slopes, *_ = residuals(pose)
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
        tried_offset, tried_slopes, *_ = residuals(tried)
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


def strain_and_information(
    offset: Float64[np.ndarray, "n 8 2"],
    by_camera: Float64[np.ndarray, "n 8 2 6"],
    by_box: Float64[np.ndarray, "n 8 2 4"],
) -> dict[str, np.ndarray]:
    """Compute `strain` (n, 8) and `information` (n, 4, 4) of a `LabelFit`.

    Args:
        offset: pixels from each label to its corner of the box; 0 where not visible.
        by_camera, by_box: derivatives of `offset`.
    """
    n = len(offset)
    jacobian = by_camera.reshape(n, 16, UNKNOWNS)
    inverse = np.linalg.inv(jacobian.transpose(0, 2, 1) @ jacobian + 1e-6 * np.eye(UNKNOWNS))
    # Share of each label that the fit does not follow: the identity less the hat matrix.
    rest = np.eye(16) - jacobian @ inverse @ jacobian.transpose(0, 2, 1)
    corners = np.arange(8)
    own = rest.reshape(n, 8, 2, 8, 2)[:, corners, :, corners].transpose(1, 0, 2, 3)
    held = np.linalg.inv(own + _HELD * np.eye(2))
    strain = np.einsum("nki,nkij,nkj->nk", offset, held, offset)
    box = by_box.reshape(n, 16, 4)
    return {"strain": strain, "information": box.transpose(0, 2, 1) @ rest @ box}
