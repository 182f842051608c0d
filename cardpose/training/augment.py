"""Augmentation: move, turn, scale, mirror and recolour a training picture and its keypoints.

No augmentation scales one axis alone, because that would change a packet's apparent thickness and
so its count.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, UInt8

from cardpose.geometry.keypoints import FLIP, rename

MAX_TURN = 8.0  # degrees
SCALE = (0.85, 1.2)
MAX_SHIFT = 0.06  # share of the picture


def augment(
    picture: UInt8[np.ndarray, "height width 3"],
    points: Float[np.ndarray, "8 2"],
    visible: Bool[np.ndarray, "8"],
    rng: np.random.Generator,
) -> tuple[UInt8[np.ndarray, "height width 3"], Float32[np.ndarray, "8 2"], Bool[np.ndarray, "8"]]:
    """Return one random variation of a picture and its keypoints.

    Keypoints that leave the picture become invisible. Keypoints are renamed to suit the new
    picture, see `keypoints.rename`.

    Args:
        picture: RGB.
        points: keypoints in pixels; NaN stays NaN.
        visible: which keypoints are visible.
        rng: source of the random numbers.
    """
    height, width = picture.shape[:2]
    matrix = _similarity(rng, width, height)
    flip = rng.random() < 0.5
    if flip:
        matrix = matrix @ np.array([[-1, 0, width], [0, 1, 0], [0, 0, 1.0]])
    points = points @ matrix[:2, :2].T + matrix[:2, 2]
    if flip:
        points, visible = points[list(FLIP)], visible[list(FLIP)]
    inside = ((points >= 0) & (points <= [width, height])).all(axis=1)
    points, visible = rename(points, visible & inside)
    # In cv2 the first pixel's centre lies at 0, here at 0.5.
    to_centre = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    matrix = (np.linalg.inv(to_centre) @ matrix @ to_centre)[:2]
    mean = cv2.mean(picture)[:3]  # fills the margins
    picture = cv2.warpAffine(picture, matrix, (width, height), borderValue=mean)
    return recolour(picture, rng), points.astype(np.float32), visible


def _similarity(rng: np.random.Generator, width: int, height: int) -> Float64[np.ndarray, "3 3"]:
    """Return the matrix of a random rotation and scale around the centre, and a random shift."""
    angle = np.radians(rng.uniform(-MAX_TURN, MAX_TURN))
    scale = np.exp(rng.uniform(*np.log(SCALE)))
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    middle = np.array([width / 2, height / 2])
    turn = np.array([[c, -s], [s, c]])
    shift = rng.uniform(-MAX_SHIFT, MAX_SHIFT, 2) * [width, height]
    matrix = np.eye(3)
    matrix[:2, :2] = turn
    matrix[:2, 2] = middle - turn @ middle + shift
    return matrix


def recolour(
    picture: UInt8[np.ndarray, "height width 3"], rng: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    """Apply a random affine map to the colours. Blur one picture in five; add noise to 30 %."""
    grey = np.full((3, 3), 1 / 3)
    hue = _hue_turn(rng.normal(0, 0.3))
    saturation = rng.uniform(0.6, 1.3)
    colour = (grey + (hue - grey) * saturation) * rng.uniform(0.7, 1.3)
    colour = colour * rng.uniform(0.9, 1.1, (3, 1))
    offset = 127 * (1 - colour.sum(axis=1)) * rng.uniform(0, 1) + rng.uniform(-20, 20)
    picture = cv2.transform(picture, np.column_stack([colour, offset]))
    if rng.random() < 0.2:
        picture = cv2.GaussianBlur(picture, (3, 3), rng.uniform(0.3, 0.9))
    if rng.random() < 0.3:
        seed = int(rng.integers(2**31))
        noise = np.empty(picture.shape, np.int16)
        cv2.setRNGSeed(seed)
        cv2.randn(noise, 0, rng.uniform(1, 8))  # type: ignore[call-overload]
        picture = cv2.add(picture, noise, dtype=cv2.CV_8U)
    return picture


def _hue_turn(angle: float) -> Float64[np.ndarray, "3 3"]:
    """Return the rotation of RGB by `angle` radians around the grey axis (Rodrigues' formula)."""
    axis = np.full(3, 1 / np.sqrt(3))
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    return (
        np.cos(angle) * np.eye(3)
        + np.sin(angle) * cross
        + (1 - np.cos(angle)) * np.outer(axis, axis)
    )
