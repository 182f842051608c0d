"""Render the pictures of a scene, with the exact place of every corner of the packet.

The table is a textured plane, drawn with a homography. The back is textured, too, and may be bent.
The sides are drawn card by card from the bottom up, so that slipped cards stick out.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int, UInt8

from cardpose.geometry.camera import Camera
from cardpose.geometry.card import card_corners, packet_keypoints
from cardpose.rendering.backs import BACK_SCALE, rounded_corner_mask
from cardpose.rendering.lighting import NOISE_MARGIN, TABLE_SCALE
from cardpose.rendering.opencv import SHIFT, fixed_point, pixel_homography
from cardpose.rendering.optics import Picture, apply_tone, defocus, motion_blur
from cardpose.rendering.packet_shape import rise, turn_points
from cardpose.rendering.scenes import Scene
from cardpose.rendering.sides import card_outlines, overhang, packet_sides, shrink_polygons

_BACK_SCALES = BACK_SCALE, 7.0, 5.0, 3.5, 2.5, 1.8  # pixels per mm of the usual deck
_MARGIN = 6  # pixels around the packet that are redrawn with it
_COARSE = 8  # side in pixels of the squares that one line of sight is traced for
_MEETINGS = 4  # iterations of the search for where a line of sight meets a bent card
_GLARE_WIDTH = 60  # width of the lamp's reflection in mm

Mask = UInt8[np.ndarray, "h w"]  # coverage, 0 to 255


class Renderer:
    """Renderer of the frames of one scene.

    It scales the back to several sizes, to avoid aliasing of distant cards.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._outlines = card_outlines(scene)
        self._sides = packet_sides(scene)
        self._backs: dict[float, tuple[Picture, Mask]] = {}
        self._spot = _glare_spot()

    def keypoints(self, index: int) -> tuple[Float64[np.ndarray, "8 2"], Bool[np.ndarray, "8"]]:
        """Return the places in pixels and the visibility of the corners in frame `index`."""
        scene, corners = self.scene, card_corners(*self.scene.card[:2])
        height = rise(scene.bend, scene.card, *corners.T)
        face = np.column_stack([turn_points(corners, scene.turns[0]) + scene.shifts[0], height])
        back = np.column_stack([corners + scene.shifts[-1], height + scene.thickness])
        return packet_keypoints(scene.cameras[index], face, back, overhang(scene))

    def frame(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
        """Render the BGR picture of frame `index`."""
        scene, camera = self.scene, self.scene.cameras[index]
        picture = _draw_table(scene, camera)
        self._draw_packet(camera, picture)
        picture = defocus(picture, camera, scene.aperture)
        picture = motion_blur(picture, _motion(scene, index))
        picture = apply_tone(picture, scene.tone[index], scene.gamma)
        x, y = (index * 29) % NOISE_MARGIN, (index * 47) % NOISE_MARGIN
        noise = scene.noise[y : y + camera.height, x : x + camera.width]
        return cv2.add(picture, noise, dtype=cv2.CV_8U)

    def _draw_packet(self, camera: Camera, picture: Picture) -> None:
        """Draw the packet into `picture`, within the packet's bounding window."""
        thickness = self.scene.card[2]
        ends = np.concatenate([self._outlines[0], self._outlines[-1] + [0, 0, thickness]])
        places = camera.project(ends)
        limits = [camera.width, camera.height]
        low = np.clip(np.floor(places.min(axis=0)) - _MARGIN, 0, limits).astype(int)
        high = np.clip(np.ceil(places.max(axis=0)) + _MARGIN, 0, limits).astype(int)
        if (high <= low).any():
            return
        window = picture[low[1] : high[1], low[0] : high[0]]
        side, cover = self._side(camera, low, window.shape)
        back, back_cover = self._back(camera, low, (high - low).tolist())
        side = _overlay(side, back, back_cover)
        window[:] = _overlay(window, side, cv2.max(cover, back_cover))

    def _side(
        self, camera: Camera, low: Int[np.ndarray, "2"], shape: Sequence[int]
    ) -> tuple[Picture, Mask]:
        """Draw and light the edges of all cards in a window of `shape` that starts at `low`.

        The returned mask covers the cards.
        """
        colours = self.scene.edge_colours
        side = np.empty(shape, np.uint8)
        side[:] = colours.mean(axis=0)
        cover = np.zeros(shape[:2], np.uint8)
        polygons = fixed_point(shrink_polygons(camera.project(self._outlines) - low))
        for polygon, colour in zip(polygons, colours.tolist(), strict=True):
            cv2.fillPoly(side, [polygon], colour, cv2.LINE_AA, SHIFT)
            cv2.fillPoly(cover, [polygon], 255, cv2.LINE_AA, SHIFT)
        light = np.full(shape, 255, np.uint8)
        strips, normals, brightness = self._sides
        towards = ((camera.position[:2] - strips[:, 0, :2]) * normals).sum(axis=1) > 0
        polygons = fixed_point(camera.project(strips[towards]) - low)
        for polygon, grey in zip(polygons, brightness[towards].tolist(), strict=True):
            cv2.fillConvexPoly(light, polygon, (grey,) * 3, cv2.LINE_8, SHIFT)
        return cv2.multiply(side, light, scale=1 / 255), cover

    def _back(
        self, camera: Camera, low: Int[np.ndarray, "2"], size: Sequence[int]
    ) -> tuple[Picture, Mask]:
        """Draw the packet's back in a window of `size` (width, height) that starts at `low`."""
        wanted = camera.focal / np.linalg.norm(camera.position) * self.scene.size_ratio
        texture, mask = self._back_at(min(_BACK_SCALES, key=lambda scale: abs(scale - wanted)))
        x, y = _card_places(self.scene, camera, low, size, mask.shape[::-1])
        back = cv2.remap(texture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        cover = cv2.remap(mask, x, y, cv2.INTER_LINEAR)
        if self.scene.glare:
            spot = self._glare(camera, low, size)
            strength = (self.scene.glare,) * 4
            back = cv2.add(back, cv2.multiply(spot, strength))  # type: ignore[call-overload]
        return back, cover

    def _back_at(self, scale: float) -> tuple[Picture, Mask]:
        """Return the back and its coverage at `scale` pixels per mm of the usual deck."""
        if scale not in self._backs:
            width, length, _ = self.scene.card
            own_scale = scale / self.scene.size_ratio  # pixels per mm of this deck
            size = round(width * own_scale), round(length * own_scale)
            texture = cv2.resize(self.scene.back, size, interpolation=cv2.INTER_AREA)
            self._backs[scale] = texture, rounded_corner_mask(own_scale, width, length)
        return self._backs[scale]

    def _glare(self, camera: Camera, low: Int[np.ndarray, "2"], size: Sequence[int]) -> Picture:
        """Draw the lamp's reflection in a window of `size` (width, height) that starts at `low`."""
        thickness = self.scene.thickness
        at = _mirror_point(camera.position, self.scene.glare_at, thickness)
        spread = _GLARE_WIDTH / self._spot.shape[0]  # mm per pixel of the spot
        corner = at - _GLARE_WIDTH / 2
        to_mm = np.array([[spread, 0, corner[0]], [0, spread, corner[1]], [0, 0, 1]])
        to_window = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]])
        homography = to_window @ camera.plane(thickness) @ to_mm
        return cv2.warpPerspective(self._spot, pixel_homography(homography), size)


def _draw_table(scene: Scene, camera: Camera) -> Picture:
    """Draw the table, which fills the picture."""
    scale, middle = TABLE_SCALE / scene.size_ratio, len(scene.table) / 2
    texture = np.array([[scale, 0, middle], [0, scale, middle], [0, 0, 1]])
    to_picture = pixel_homography(camera.plane(0) @ np.linalg.inv(texture))
    size = camera.width, camera.height
    return cv2.warpPerspective(scene.table, to_picture, size, borderMode=cv2.BORDER_REFLECT)


def _motion(scene: Scene, index: int) -> Float[np.ndarray, "2"]:
    """Return the motion of the packet in pixels while the shutter is open."""
    cameras = scene.cameras
    other = cameras[index - 1] if index else cameras[min(1, len(cameras) - 1)]
    middle = np.zeros(3)
    return (cameras[index].project(middle) - other.project(middle)) * scene.shutter


def _card_places(
    scene: Scene,
    camera: Camera,
    low: Int[np.ndarray, "2"],
    size: Sequence[int],
    texture: Sequence[int],
) -> Sequence[Float32[np.ndarray, "h w"]]:
    """Return the x and y in the back's texture that each pixel of a window shows.

    Both are computed on a coarse grid and interpolated.

    Args:
        low: upper left corner of the window in pixels.
        size: (width, height) of the window in pixels.
        texture: (width, height) of the texture in pixels.
    """
    width, length, _ = scene.card
    (columns, rows), step = np.ceil(np.divide(size, _COARSE)).astype(int) + 2, _COARSE
    x = low[0] + (np.arange(columns) - 0.5) * step
    y = low[1] + (np.arange(rows) - 0.5) * step
    x, y = (x - camera.width / 2) / camera.focal, (y - camera.height / 2) / camera.focal
    right, down, forward = camera.rotation
    ray = x[None, :, None] * right + y[:, None, None] * down + forward
    ray = ray[..., :2] / np.minimum(ray[..., 2:], -1e-3)  # mm sideways per mm upwards
    above = np.zeros(())
    for _ in range(_MEETINGS if any(scene.bend) else 1):
        level = scene.thickness + above - camera.position[2]
        place = camera.position[:2] + level * ray - scene.shifts[-1]
        on_card = np.clip(place, [-width / 2, -length / 2], [width / 2, length / 2])
        above = rise(scene.bend, scene.card, *np.moveaxis(on_card, 2, 0))[..., None]
    place = (place / [width, length] + 0.5) * texture - 0.5
    fine = cv2.resize(place.astype(np.float32), (columns * step, rows * step))
    return cv2.split(fine[step : step + size[1], step : step + size[0]])


def _mirror_point(
    eye: Float[np.ndarray, "3"], image: Float[np.ndarray, "3"], z: float | int
) -> Float[np.ndarray, "2"]:
    """Return the point of the plane at height `z` in which an eye sees a lamp reflected.

    `image` is the lamp's mirror image below the plane. All coordinates are in mm.
    """
    share = (eye[2] - z) / (eye[2] - image[2])
    return eye[:2] + share * (image[:2] - eye[:2])


def _glare_spot(size: int = 128) -> UInt8[np.ndarray, "{size} {size} 3"]:
    """Draw a soft, round, white spot."""
    x = (np.arange(size) + 0.5) / size * 2 - 1
    radius = np.hypot(x[None], x[:, None])
    spot = np.clip(1 - radius, 0, 1) ** 2 * (3 - 2 * np.clip(1 - radius, 0, 1))
    return np.repeat(np.round(spot * 255).astype(np.uint8)[..., None], 3, axis=2)


def _overlay(below: Picture, above: Picture, cover: Mask) -> Picture:
    """Blend `above` over `below`, with `cover` / 255 as the weight of `above`."""
    weight = cover.astype(np.float32) * np.float32(1 / 255)
    return cv2.blendLinear(above, below, weight, 1 - weight)
