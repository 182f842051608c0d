"""Convert continuous picture coordinates to OpenCV's.

A pixel's centre lies at +0.5 in continuous coordinates and at an integer in OpenCV.
"""

import numpy as np
from jaxtyping import Float, Int32

SHIFT = 4  # OpenCV draws polygons to 1/2**SHIFT pixel


def pixel_homography(homography: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3 3"]:
    """Convert a homography between continuous coordinates to OpenCV's."""
    to_continuous = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    return np.linalg.inv(to_continuous) @ homography @ to_continuous


def fixed_point(points: Float[np.ndarray, "*n 2"]) -> Int32[np.ndarray, "*n 2"]:
    """Convert continuous picture coordinates to OpenCV's integers in units of 1/2**SHIFT pixel."""
    return np.round((points - 0.5) * (1 << SHIFT)).astype(np.int32)
