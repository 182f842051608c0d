"""Effects of a camera on a picture: defocus, motion blur and tone curve."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from cardpose.geometry.camera import Camera
from cardpose.rendering.opencv import SHIFT, fixed_point

Picture = UInt8[np.ndarray, "h w 3"]
_SHORTEST_SMEAR, _LONGEST_SMEAR = 0.7, 15  # pixels


def defocus(picture: Picture, camera: Camera, aperture: float) -> Picture:
    """Blur rows of the picture where the table is nearer or farther than the packet.

    `aperture` is the blur in pixels of a point infinitely far away.
    """
    if aperture < 1:
        return picture
    rows = np.arange(camera.height) + 0.5 - camera.height / 2
    # Inverse depth of the table at the middle of each row.
    down = camera.rotation[1, 2] * rows / camera.focal + camera.rotation[2, 2]
    inverse = np.maximum(-down / camera.position[2], 0)
    focus = 1 / np.linalg.norm(camera.position)
    blur = aperture * abs(1 - inverse / focus)
    weight = np.clip(blur / 3, 0, 1).astype(np.float32)[:, None]
    weight = np.repeat(weight, camera.width, axis=1)
    soft = cv2.GaussianBlur(picture, (7, 7), 2)
    return cv2.blendLinear(soft, picture, weight, 1 - weight)


def motion_blur(picture: Picture, moved: Float[np.ndarray, "2"]) -> Picture:
    """Blur a picture along `moved`, the motion in pixels while the shutter is open."""
    length = np.hypot(*moved)
    if length < _SHORTEST_SMEAR:
        return picture
    size = min(2 * int(np.ceil(length / 2)) + 1, _LONGEST_SMEAR)
    kernel = np.zeros((size, size), np.float32)
    step = moved / length * min(length, size - 1) / 2
    ends = fixed_point(np.array([size / 2 - step, size / 2 + step]))
    cv2.line(kernel, ends[0].tolist(), ends[1].tolist(), 1.0, 1, cv2.LINE_AA, SHIFT)
    kernel[size // 2, size // 2] = max(kernel[size // 2, size // 2], 0.5)
    return cv2.filter2D(picture, -1, kernel / kernel.sum())


def apply_tone(picture: Picture, gains: Float[np.ndarray, "3"], gamma: float) -> Picture:
    """Multiply each channel by its gain, then raise it to the power `gamma`."""
    curve = np.arange(256)[:, None] / 255
    curve = 255 * np.clip(curve * gains, 0, 1) ** gamma
    return cv2.LUT(picture, np.round(curve).astype(np.uint8)[None])
