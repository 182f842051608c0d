"""Pictures of a scene: what the camera sees of the packet, with every corner's exact place.

The table is a textured plane, seen through a homography; the back is one, too, but for its bend.
The sides are drawn card by card from the bottom up, so that slipped cards stick out as real ones
do.
"""

import cv2
import numpy as np

from cardpose.geometry.card import CORNER_RADIUS, card_corners, card_outline, packet_keypoints
from cardpose.rendering.scenes import TABLE_SCALE, corner_radius_mask, rise
from cardpose.rendering.textures import BACK_SCALE

_SHIFT = 4  # cv2 draws polygons at 1/2**_SHIFT pixel
_BACK_SCALES = BACK_SCALE, 7.0, 5.0, 3.5, 2.5, 1.8  # pixels a mm
_MARGIN = 6  # pixels round the packet that its drawing may touch
_COARSE = 8  # of so many pixels a side, one is traced to the card it shows
_MEETINGS = 4  # steps to where a line of sight meets a bent card


class Renderer:
    """Draws the frames of one scene.

    The back is prepared at several sizes, so that a far card is not aliased.
    """

    def __init__(self, scene):
        self.scene = scene
        width, length, thickness = scene.card
        outline = card_outline(width=width, length=length)
        if any(scene.bend):
            outline = _finer(outline)
        levels = np.arange(scene.cards) * thickness
        slipped = outline[None] + scene.offsets[:, None]
        heights = levels[:, None] + rise(scene.bend, scene.card, *outline.T)
        self._outlines = np.concatenate([slipped, heights[..., None]], axis=2)
        self._facets = _side_facets(scene)
        self._backs = {}
        self._spot = _glare_spot()

    def keypoints(self, index):
        """(8, 2) places in pixels and (8,) visibility of the corners in frame `index`."""
        scene, corners = self.scene, card_corners(*self.scene.card[:2])
        bent = rise(scene.bend, scene.card, *corners.T)
        face = np.column_stack([corners + scene.offsets[0], bent])
        back = np.column_stack([corners + scene.offsets[-1], bent + scene.thickness])
        return packet_keypoints(scene.cameras[index], face, back)

    def frame(self, index):
        """(height, width, 3) uint8 BGR picture of frame `index`."""
        scene, camera = self.scene, self.scene.cameras[index]
        picture = self._table(camera)
        self._packet(camera, picture)
        picture = self._focus(camera, picture)
        picture = self._motion(index, picture)
        curve = np.arange(256)[:, None] / 255
        curve = 255 * np.clip(curve * scene.tone[index], 0, 1) ** scene.gamma
        picture = cv2.LUT(picture, np.round(curve).astype(np.uint8)[None])
        x, y = (index * 29) % 64, (index * 47) % 64
        noise = scene.noise[y : y + camera.height, x : x + camera.width]
        return cv2.add(picture, noise, dtype=cv2.CV_8U)

    def _table(self, camera):
        scale, middle = TABLE_SCALE / self.scene.size, len(self.scene.table) / 2
        texture = np.array([[scale, 0, middle], [0, scale, middle], [0, 0, 1]])
        to_picture = _pixels(camera.plane(0) @ np.linalg.inv(texture))
        size = camera.width, camera.height
        return cv2.warpPerspective(
            self.scene.table, to_picture, size, borderMode=cv2.BORDER_REFLECT
        )

    def _packet(self, camera, picture):
        """Draw the packet into `picture`, in the window that holds it."""
        scene = self.scene
        ends = np.concatenate([self._outlines[0], self._outlines[-1] + [0, 0, scene.card[2]]])
        seen = camera.project(ends)
        limits = [camera.width, camera.height]
        low = np.clip(np.floor(seen.min(axis=0)) - _MARGIN, 0, limits).astype(int)
        high = np.clip(np.ceil(seen.max(axis=0)) + _MARGIN, 0, limits).astype(int)
        if (high <= low).any():
            return
        window = picture[low[1] : high[1], low[0] : high[0]]
        side = np.empty_like(window)
        side[:] = scene.edge_colours.mean(axis=0)
        cover = np.zeros(window.shape[:2], np.uint8)
        polygons = _fixed_point(_inset(camera.project(self._outlines) - low))
        for polygon, colour in zip(polygons, scene.edge_colours.tolist(), strict=True):
            cv2.fillPoly(side, [polygon], colour, cv2.LINE_AA, _SHIFT)
            cv2.fillPoly(cover, [polygon], 255, cv2.LINE_AA, _SHIFT)
        shade = np.full(window.shape, 255, np.uint8)
        quads, normals, brightness = self._facets
        towards = ((camera.position[:2] - quads[:, 0, :2]) * normals).sum(axis=1) > 0
        polygons = _fixed_point(camera.project(quads[towards]) - low)
        for polygon, grey in zip(polygons, brightness[towards].tolist(), strict=True):
            cv2.fillConvexPoly(shade, polygon, (grey,) * 3, cv2.LINE_8, _SHIFT)
        side = cv2.multiply(side, shade, scale=1 / 255)
        back, back_cover = self._back(camera, low, (high - low).tolist())
        side = _over(side, back, back_cover)
        window[:] = _over(window, side, cv2.max(cover, back_cover))

    def _back(self, camera, low, size):
        """The packet's back in a window at `low`: BGR and coverage."""
        # Pixels a mm of the usual card.
        wanted = camera.focal / np.linalg.norm(camera.position) * self.scene.size
        texture, mask = self._back_at(min(_BACK_SCALES, key=lambda scale: abs(scale - wanted)))
        places = self._places(camera, low, size, mask.shape[::-1])
        back = cv2.remap(texture, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        cover = cv2.remap(mask, *places, cv2.INTER_LINEAR)
        if self.scene.glare:
            at = _mirror_point(camera.position, self.scene.glare_at, self.scene.thickness)
            spread = 60 / self._spot.shape[0]  # mm a pixel: the lamp's image is 60 mm wide
            to_mm = np.array([[spread, 0, at[0] - 30], [0, spread, at[1] - 30], [0, 0, 1]])
            plane = camera.plane(self.scene.thickness)
            plane = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]]) @ plane
            spot = cv2.warpPerspective(self._spot, _pixels(plane @ to_mm), size)
            back = cv2.add(back, cv2.multiply(spot, (self.scene.glare,) * 4))
        return back, cover

    def _places(self, camera, low, size, texture):
        """Where in a texture of so many pixels each pixel of the window looks, for cv2.remap: x
        and y (h, w) float32. Worked out for a few pixels, and interpolated."""
        scene, (width, length, _) = self.scene, self.scene.card
        (columns, rows), step = np.ceil(np.divide(size, _COARSE)).astype(int) + 2, _COARSE
        x = low[0] + (np.arange(columns) - 0.5) * step
        y = low[1] + (np.arange(rows) - 0.5) * step
        x, y = (x - camera.width / 2) / camera.focal, (y - camera.height / 2) / camera.focal
        right, down, forward = camera.rotation
        ray = x[None, :, None] * right + y[:, None, None] * down + forward
        ray = ray[..., :2] / np.minimum(ray[..., 2:], -1e-3)  # mm sideways for a mm upwards
        above, place = 0.0, None
        for _ in range(_MEETINGS if any(scene.bend) else 1):
            level = scene.thickness + above - camera.position[2]
            place = camera.position[:2] + level * ray - scene.offsets[-1]
            on_card = np.clip(place, [-width / 2, -length / 2], [width / 2, length / 2])
            above = rise(scene.bend, scene.card, *np.moveaxis(on_card, 2, 0))[..., None]
        place = (place / [width, length] + 0.5) * texture - 0.5
        fine = cv2.resize(place.astype(np.float32), (columns * step, rows * step))
        return cv2.split(fine[step : step + size[1], step : step + size[0]])

    def _back_at(self, scale):
        """The back and its coverage at so many pixels a mm of the usual card."""
        if scale not in self._backs:
            width, length, _ = self.scene.card
            here = scale / self.scene.size
            size = round(width * here), round(length * here)
            texture = cv2.resize(self.scene.back, size, interpolation=cv2.INTER_AREA)
            self._backs[scale] = texture, corner_radius_mask(here, width, length)
        return self._backs[scale]

    def _focus(self, camera, picture):
        """Blur what lies nearer or farther than the packet, as a lens does."""
        if self.scene.aperture < 1:
            return picture
        rows = np.arange(camera.height) + 0.5 - camera.height / 2
        # One over the depth of the table, seen along the middle of each row.
        down = camera.rotation[1, 2] * rows / camera.focal + camera.rotation[2, 2]
        inverse = np.maximum(-down / camera.position[2], 0)
        focus = 1 / np.linalg.norm(camera.position)
        blur = self.scene.aperture * abs(1 - inverse / focus)
        weight = np.clip(blur / 3, 0, 1).astype(np.float32)[:, None]
        weight = np.repeat(weight, camera.width, axis=1)
        soft = cv2.GaussianBlur(picture, (7, 7), 2)
        return cv2.blendLinear(soft, picture, weight, 1 - weight)

    def _motion(self, index, picture):
        """Smear by how far the packet moves while the shutter is open."""
        cameras = self.scene.cameras
        other = cameras[index - 1] if index else cameras[min(1, len(cameras) - 1)]
        middle = np.zeros(3)
        moved = (cameras[index].project(middle) - other.project(middle)) * self.scene.shutter
        length = np.hypot(*moved)
        if length < 0.7:
            return picture
        size = min(2 * int(np.ceil(length / 2)) + 1, 15)
        kernel = np.zeros((size, size), np.float32)
        step = moved / length * min(length, size - 1) / 2
        ends = _fixed_point(np.array([size / 2 - step, size / 2 + step]))
        cv2.line(kernel, ends[0].tolist(), ends[1].tolist(), 1.0, 1, cv2.LINE_AA, _SHIFT)
        kernel[size // 2, size // 2] = max(kernel[size // 2, size // 2], 0.5)
        return cv2.filter2D(picture, -1, kernel / kernel.sum())


def _pixels(homography):
    """A homography between continuous coordinates, for cv2, whose pixel centres are integers."""
    to_centre = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    return np.linalg.inv(to_centre) @ homography @ to_centre


def _fixed_point(points):
    """Continuous picture coordinates as cv2's fixed-point integers."""
    return np.round((points - 0.5) * (1 << _SHIFT)).astype(np.int32)


def _finer(outline, pieces=6):
    """The same closed outline (n, 2) with its long, straight pieces cut in many."""
    after = np.roll(outline, -1, axis=0)
    share = np.arange(pieces) / pieces
    long = np.hypot(*(after - outline).T) > 3 * CORNER_RADIUS
    parts = [
        a + (b - a) * share[:, None] if cut else a[None]
        for a, b, cut in zip(outline, after, long, strict=True)
    ]
    return np.concatenate(parts)


def _inset(polygons, by=0.5):
    """Convex polygons (n, k, 2) made smaller by half a pixel all round, which is what cv2's
    anti-aliased filling adds."""
    before = polygons - np.roll(polygons, 1, axis=1)
    after = np.roll(polygons, -1, axis=1) - polygons
    along = before / np.linalg.norm(before, axis=2, keepdims=True)
    along = along + after / np.linalg.norm(after, axis=2, keepdims=True)
    along /= np.linalg.norm(along, axis=2, keepdims=True)
    inwards = np.stack([along[..., 1], -along[..., 0]], axis=2)
    to_middle = polygons[:1].mean(axis=1) - polygons[0, :1]
    sign = np.sign((inwards[0, :1] * to_middle).sum())
    return polygons + sign * by * inwards


def _over(below, above, cover):
    """Lay `above` over `below` where `cover` (uint8) says."""
    weight = cover.astype(np.float32) * np.float32(1 / 255)
    return cv2.blendLinear(above, below, weight, 1 - weight)


def _side_facets(scene):
    """The packet's sides as upright strips: (n, 4, 3) corners, (n, 2) outward normals and (n,)
    brightness 0 to 255. They reach a little beyond the packet, to shade slipped cards, too.
    """
    a = card_outline(inset=-1.5, width=scene.card[0], length=scene.card[1])
    b = np.roll(a, -1, axis=0)
    edge = b - a
    normals = np.stack([edge[:, 1], -edge[:, 0]], axis=1) / np.hypot(*edge.T)[:, None]
    strips = np.stack([a - edge * 0.02, b + edge * 0.02] * 2, axis=1)[:, [0, 1, 3, 2]]
    top = scene.thickness + 3 + 2 * np.abs(scene.bend).sum()
    heights = np.array([-3, -3, top, top])
    heights = np.broadcast_to(heights[None, :, None], (*strips.shape[:2], 1))
    lit = scene.ambient + (1 - scene.ambient) * np.maximum(0, normals @ scene.light)
    return np.concatenate([strips, heights], axis=2), normals, np.round(255 * lit).astype(int)


def _mirror_point(eye, image, z):
    """(2,) where on the plane at height z a mirror shows the light whose mirror image is at
    `image`, below the plane, to an eye above it."""
    share = (eye[2] - z) / (eye[2] - image[2])
    return eye[:2] + share * (image[:2] - eye[:2])


def _glare_spot(size=128):
    """(size, size, 3) uint8 a soft round spot of white."""
    x = (np.arange(size) + 0.5) / size * 2 - 1
    radius = np.hypot(x[None], x[:, None])
    spot = np.clip(1 - radius, 0, 1) ** 2 * (3 - 2 * np.clip(1 - radius, 0, 1))
    return np.repeat(np.round(spot * 255).astype(np.uint8)[..., None], 3, axis=2)
