"""Paths of a hand-held camera around a packet."""

import numpy as np
from jaxtyping import Float
from scipy.interpolate import PchipInterpolator

from cardpose.geometry.camera import Camera, orbit
from cardpose.geometry.card import FOCAL
from cardpose.rendering import ranges
from cardpose.rendering.deck import CardSize, size_ratio
from cardpose.rendering.ranges import Range

_SHORTEST_FOCAL = 0.6  # times the usual focal length; shorter ones do not bring the camera nearer
_HORIZON = 660  # focal length in pixels that limits how low the camera may go


def wander(
    rng: np.random.Generator, frames: int, between: Range, pace: int = 80
) -> Float[np.ndarray, " frames"]:
    """Draw a smooth random curve within a range, with a new random value every `pace` frames."""
    knots = rng.uniform(*between, frames // pace + 3)
    at = (np.arange(len(knots)) - rng.uniform(0, 1)) * pace
    return PchipInterpolator(at, knots)(np.arange(frames))


def walk_round(
    rng: np.random.Generator,
    frames: int,
    cards: int,
    card: CardSize,
    focal: float | int,
    width: int,
    height: int,
) -> list[Camera]:
    """Draw one camera per frame on a path around the packet.

    The camera varies its distance and may cut the packet off at the picture's edge.

    Args:
        focal: focal length as a share of the picture's longer side; recordings deviate slightly.
        width, height: size of the picture in pixels.
    """
    size, zoom, enlargement = size_ratio(card), focal / FOCAL, max(width, height) / 640
    lowest, highest = _elevation_range(_HORIZON * zoom * enlargement, height)
    speed = rng.uniform(*np.radians(ranges.ANGULAR_SPEED)) / 100  # radians per frame
    azimuth = rng.uniform(0, 2 * np.pi) + rng.choice([-1, 1]) * speed * np.arange(frames)
    azimuth = azimuth + wander(rng, frames, ranges.AZIMUTH_SWAY)
    elevation = np.radians(wander(rng, frames, (lowest, highest)))
    tall = max(height / width, 1) ** ranges.PORTRAIT_DISTANCE
    usual_distance = rng.uniform(*ranges.DISTANCE) * size * max(zoom, _SHORTEST_FOCAL) * tall
    distance = usual_distance * np.exp(wander(rng, frames, ranges.DISTANCE_SWAY))
    focal_length = rng.uniform(*ranges.FOCAL_LENGTH) * zoom * enlargement  # pixels
    # Limit how far the packet strays from the middle, roughly to where the edge cuts it off.
    span = focal_length * 105 * size / distance
    stray = rng.uniform(*ranges.STRAY)
    room_x = np.maximum(0.5 - 0.5 * span / width, 0.02) * stray
    room_y = np.maximum(0.5 - 0.5 * span * np.sin(elevation) / height, 0.02) * stray
    x = width * (0.5 + room_x * wander(rng, frames, (-1, 1)))
    # Move the packet below the middle only if the camera is high. A low camera would show the
    # horizon.
    rise = (elevation - np.radians(lowest)) / np.radians(highest - lowest)
    below = np.minimum(room_y, 0.25 * rise)
    y = height * (0.5 - room_y + (below + room_y) * wander(rng, frames, (0, 1)))
    roll = np.radians(wander(rng, frames, ranges.ROLL))
    target = np.array([0, 0, cards * card[2] / 2])
    return [
        orbit(a, e, d, target, (u, v), r, focal_length, width, height)
        for a, e, d, u, v, r in zip(azimuth, elevation, distance, x, y, roll, strict=True)
    ]


def _elevation_range(focal_length: float, height: int) -> Range:
    """Return the lowest and the highest elevation in degrees.

    A camera with a wide view stays higher, so that the horizon is out of view.
    """
    horizon = np.degrees(np.arctan2(height / 2, focal_length))
    lowest = max(ranges.LOWEST_ELEVATION, horizon)
    return lowest, max(ranges.HIGHEST_ELEVATION, lowest + ranges.ELEVATION_SPAN)
