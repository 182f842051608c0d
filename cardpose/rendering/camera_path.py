"""Paths of a hand-held camera round a packet."""

import numpy as np
from scipy.interpolate import PchipInterpolator

from cardpose.geometry.camera import orbit
from cardpose.geometry.card import FOCAL
from cardpose.rendering.textures import card_size

WIDEST = 0.6  # of the usual focal length: with a shorter one nobody goes nearer to fill the picture


def wander(rng, frames, low, high, pace=80):
    """(frames,) a smooth walk between `low` and `high`, about one turn every `pace` frames."""
    knots = rng.uniform(low, high, frames // pace + 3)
    at = (np.arange(len(knots)) - rng.uniform(0, 1)) * pace
    return PchipInterpolator(at, knots)(np.arange(frames))


def walk_round(rng, frames, cards, card, focal, width, height):
    """Cameras that go round the packet, nearer and farther, sometimes cutting it off."""
    size, zoom, longer = card_size(card), focal / FOCAL, max(width, height) / 640
    # A camera that sees much at once stays higher up, so as not to see the horizon.
    lowest = max(20.0, np.degrees(np.arctan2(height / 2, 660 * zoom * longer)))
    highest = max(55.0, lowest + 20)
    pace = rng.uniform(np.radians(30), np.radians(75)) / 100  # rad a frame
    azimuth = rng.uniform(0, 2 * np.pi) + rng.choice([-1, 1]) * pace * np.arange(frames)
    azimuth = azimuth + wander(rng, frames, -0.4, 0.4)
    elevation = np.radians(wander(rng, frames, lowest, highest))
    usual = rng.uniform(140, 215) * size * max(zoom, WIDEST)
    distance = usual * np.exp(wander(rng, frames, -0.26, 0.2))  # usually within 105 to 265 mm
    pixels = rng.uniform(660, 700) * zoom * longer  # the focal length
    # How far the packet may stray from the middle before the picture's edge cuts it, about.
    span = pixels * 105 * size / distance
    stray = rng.uniform(0.3, 1.0)
    room_x = np.maximum(0.5 - 0.45 * span / width, 0.02) * stray
    room_y = np.maximum(0.5 - 0.45 * span * np.sin(elevation) / height, 0.02) * stray
    x = width * (0.5 + room_x * wander(rng, frames, -1, 1))
    # Below the middle only from high up: a low camera that looks up sees the horizon.
    rise = (elevation - np.radians(lowest)) / np.radians(highest - lowest)
    below = np.minimum(room_y, 0.25 * rise)
    y = height * (0.5 - room_y + (below + room_y) * wander(rng, frames, 0, 1))
    roll = np.radians(wander(rng, frames, -7, 7))
    target = np.array([0, 0, cards * card[2] / 2])
    return [
        orbit(a, e, d, target, (u, v), r, pixels, width, height)
        for a, e, d, u, v, r in zip(azimuth, elevation, distance, x, y, roll, strict=True)
    ]
