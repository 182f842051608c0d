"""A pin-hole camera and where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Num


def intrinsic_matrix(
    focal: float | int, size: Sequence[float | int] | Num[np.ndarray, "2"]
) -> Float64[np.ndarray, "3 3"]:
    """Return the matrix from a camera's axes to homogeneous picture coordinates.

    Args:
        focal: focal length in pixels.
        size: (width, height) of the picture in pixels; the principal point is in its middle.
    """
    return np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1]])


@dataclass(frozen=True)
class Camera:
    """A pin-hole camera: `position` in mm; `rotation` rows are right, down and forward (3, 3);
    `focal` in pixels; `width` and `height` in pixels, the principal point in their middle."""

    position: np.ndarray
    rotation: np.ndarray
    focal: float | int
    width: int
    height: int

    @property
    def projection(self):
        """(3, 4) matrix from homogeneous world coordinates to homogeneous picture coordinates."""
        intrinsic = intrinsic_matrix(self.focal, (self.width, self.height))
        return intrinsic @ np.column_stack([self.rotation, -self.rotation @ self.position])

    def project(self, points):
        """Picture coordinates (..., 2) of world points (..., 3), all before the camera."""
        seen = points @ self.projection[:, :3].T + self.projection[:, 3]
        return seen[..., :2] / seen[..., 2:]

    def plane(self, z):
        """(3, 3) homography from (x, y) on the plane at height `z` to the picture."""
        p = self.projection
        return np.column_stack([p[:, 0], p[:, 1], p[:, 2] * z + p[:, 3]])


def orbit(azimuth, elevation, distance, target, aim, roll, focal, width, height):
    """A camera that looks at `target` from a direction and a distance.

    Args:
        azimuth, elevation, roll: radians; the elevation is above the table.
        distance: mm from `target` to the camera.
        target: (3,) world point in mm.
        aim: (2,) picture coordinates at which `target` appears (before the roll).
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


def axis_rotation(axis, angle):
    """(3, 3) rotation matrix about a coordinate axis, angle in radians."""
    c, s = np.cos(angle), np.sin(angle)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = c
    matrix[i, j], matrix[j, i] = -s, s
    return matrix
