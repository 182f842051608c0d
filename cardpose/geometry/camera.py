"""Pin-hole camera: its projection and its position."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Num


def intrinsic_matrix(
    focal: float | int, size: Sequence[float | int] | Num[np.ndarray, "2"]
) -> Float64[np.ndarray, "3 3"]:
    """Return the matrix from camera coordinates to homogeneous picture coordinates.

    Args:
        focal: focal length in pixels.
        size: (width, height) of the picture in pixels. The principal point is its middle.
    """
    return np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1]])


@dataclass(frozen=True)
class Camera:
    """Pin-hole camera with its principal point in the middle of the picture.

    Attributes:
        position: world coordinates in mm.
        rotation: matrix from world axes to camera axes. Its rows point right, down and forward.
        focal: focal length in pixels.
        width, height: of the picture in pixels.
    """

    position: Float[np.ndarray, "3"]
    rotation: Float[np.ndarray, "3 3"]
    focal: float | int
    width: int
    height: int

    @property
    def projection(self) -> Float64[np.ndarray, "3 4"]:
        """Matrix from homogeneous world coordinates to homogeneous picture coordinates."""
        intrinsic = intrinsic_matrix(self.focal, (self.width, self.height))
        return intrinsic @ np.column_stack([self.rotation, -self.rotation @ self.position])

    def project(self, points: Num[np.ndarray, "*batch 3"]) -> Float64[np.ndarray, "*batch 2"]:
        """Project world points into the picture. They have to be in front of the camera."""
        homogeneous = points @ self.projection[:, :3].T + self.projection[:, 3]
        return homogeneous[..., :2] / homogeneous[..., 2:]

    def plane(self, z: float | int) -> Float64[np.ndarray, "3 3"]:
        """Return the homography from points (x, y) at height z, in mm, to the picture."""
        p = self.projection
        return np.column_stack([p[:, 0], p[:, 1], p[:, 2] * z + p[:, 3]])


def orbit(
    azimuth: float | int,
    elevation: float | int,
    distance: float | int,
    target: Sequence[float | int] | Num[np.ndarray, "3"],
    aim: Sequence[float | int] | Num[np.ndarray, "2"],
    roll: float | int,
    focal: float | int,
    width: int,
    height: int,
) -> Camera:
    """Return a camera at a given direction and distance from a target.

    Args:
        azimuth: direction from the target to the camera in the table's plane, in radians from x.
        elevation: angle of that direction above the table, in radians.
        distance: mm from the target to the camera.
        target: world coordinates in mm.
        aim: place of the target in the picture before the roll, in pixels.
        roll: rotation of the picture about its middle, clockwise, in radians.
        focal, width, height: as in `Camera`.
    """
    outward = np.array(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ]
    )
    forward = -outward
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    yaw = np.arctan2(aim[0] - width / 2, focal)
    pitch = np.arctan2(aim[1] - height / 2, np.hypot(focal, aim[0] - width / 2))
    rotation = axis_rotation(2, roll) @ axis_rotation(1, yaw) @ axis_rotation(0, -pitch) @ rotation
    return Camera(np.asarray(target) + distance * outward, rotation, focal, width, height)


def axis_rotation(axis: int, angle: float | int) -> Float64[np.ndarray, "3 3"]:
    """Return the matrix of a rotation about a coordinate axis, by an angle in radians."""
    c, s = np.cos(angle), np.sin(angle)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = c
    matrix[i, j], matrix[j, i] = -s, s
    return matrix
