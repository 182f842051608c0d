"""Render packets whose camera, lean and bend are given."""

from dataclasses import replace

import numpy as np
from jaxtyping import UInt8

from cardpose.geometry.camera import Camera, orbit
from cardpose.rendering.renderer import Renderer
from cardpose.rendering.scenes import Scene, random_scene

FOCAL = 1.7  # focal length in picture widths: a phone's picture, cut to the packet


def straight_packet(seed: int, cards: int, lean: tuple[float, float] = (0.0, 0.0)) -> Scene:
    """Return a scene with flat cards that lie exactly on each other, or lean evenly.

    Args:
        seed: of the table, the deck and the light.
        lean: shift of the face against the back along the short and the long edge, in mm.
    """
    scene = random_scene(seed, cards, frames=1)
    shifts = np.linspace(np.array(lean), np.zeros(2), cards)
    return replace(
        scene,
        shifts=shifts,
        turns=np.zeros(cards),
        bend=(0.0, 0.0, 0.0),
        glare=0.0,
        tone=np.ones((1, 3)),
    )


def view(
    scene: Scene,
    azimuth: float,
    elevation: float,
    distance: float,
    size: tuple[int, int],
    aim: tuple[float, float] = (0.5, 0.5),
) -> Camera:
    """Return a camera that looks at a packet.

    Args:
        azimuth, elevation: direction from the packet to the camera, in degrees.
        distance: from the packet to the camera, in mm.
        size: (width, height) of the picture in pixels.
        aim: place of the packet's middle in the picture, as fractions of width and height.
    """
    width, height = size
    target, middle = np.array([0, 0, scene.thickness / 2]), np.array(aim) * size
    turn, rise = np.radians(azimuth), np.radians(elevation)
    return orbit(turn, rise, distance, target, middle, 0.0, FOCAL * width, width, height)


def render(scene: Scene, camera: Camera) -> tuple[UInt8[np.ndarray, "h w 3"], Renderer]:
    """Render the packet as the camera sees it, in RGB without noise. Return its renderer too."""
    noise = np.zeros((camera.height + 64, camera.width + 64, 3), np.int16)
    renderer = Renderer(replace(scene, cameras=[camera], noise=noise, shutter=0.0))
    return renderer.frame(0)[..., ::-1], renderer
