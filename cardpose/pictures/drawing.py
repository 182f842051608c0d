"""Draw packets and text into pictures, and arrange pictures in sheets."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float, Num, Shaped, UInt8

from cardpose.geometry.keypoints import EDGES, KEYPOINTS

BACK_COLOUR, FACE_COLOUR, EDGE_COLOUR = (80, 220, 80), (0, 190, 255), (255, 255, 255)  # BGR
_WHITE, _GROUND = (255, 255, 255), 30
_FONT = cv2.FONT_HERSHEY_DUPLEX
_SHIFT = 4  # cv2 draws lines and circles to 1/2**_SHIFT pixel
_SAME, _CROSSED = range(8), [0, 1, 2, 3, 5, 4, 7, 6]  # keypoint at each corner of a box


def draw_packet(
    picture: UInt8[np.ndarray, "h w 3"],
    points: Num[np.ndarray, "8 2"],
    visible: Bool[np.ndarray, " 8"],
    corners: Sequence[int] | Shaped[np.ndarray, " 8"] | None = None,
) -> None:
    """Draw the visible corners and the edges between them into a BGR picture.

    Corners of the back are green. Corners of the face are yellow.

    Args:
        points: keypoints in pixels.
        visible: visibility of the keypoints.
        corners: index of the keypoint at each corner of a fitted box. By default, edges join left
            keypoints to left ones and right keypoints to right ones. If these edges cross on the
            back, left keypoints are joined to right ones.
    """
    points, visible = np.asarray(points), np.asarray(visible)
    unit = max(1, round(picture.shape[1] / 400))
    places = np.round((points - 0.5) * (1 << _SHIFT)).astype(int)
    if corners is None:
        corners = _CROSSED if _long_edges_cross(points, visible) else _SAME
    for a, b in EDGES:
        a, b = corners[a], corners[b]
        if visible[a] and visible[b]:
            cv2.line(picture, places[a], places[b], EDGE_COLOUR, unit, cv2.LINE_AA, _SHIFT)
    for name, place, is_visible in zip(KEYPOINTS, places, visible, strict=True):
        if is_visible:
            colour = BACK_COLOUR if name.endswith("back") else FACE_COLOUR
            cv2.circle(picture, place, (3 * unit) << _SHIFT, colour, unit, cv2.LINE_AA, _SHIFT)


def _long_edges_cross(points: Num[np.ndarray, "8 2"], visible: Bool[np.ndarray, " 8"]) -> bool:
    """Return whether the long edges of the back cross if left corners are joined to left ones.

    In a view straight from one side, the short edges of the back are steep in the picture. The left
    corner of one edge may then belong to the right corner of the other.
    """
    if not visible[[2, 3, 6, 7]].all():
        return False
    a, b, c, d = points[[2, 6, 3, 7]]

    def side(p, q, r):
        return np.sign((q - p)[0] * (r - p)[1] - (q - p)[1] * (r - p)[0])

    return bool(side(a, b, c) != side(a, b, d) and side(c, d, a) != side(c, d, b))


def draw_count(picture: UInt8[np.ndarray, "h w 3"], large: str, small: str = "") -> None:
    """Write a large and a small line of text into the upper left corner of a picture.

    The background of the text is darkened.
    """
    unit = max(0.5, min(picture.shape[:2]) / 480)
    pad, bottom, right = round(10 * unit), 0, 0
    lines = []
    for text, size in ((large, 1.1), (small, 0.6)):
        if not text:
            continue
        scale, thick = size * unit, max(1, round(1.5 * size * unit))
        (width, height), _ = cv2.getTextSize(text, _FONT, scale, thick)
        bottom, right = bottom + pad + height, max(right, pad + width)
        lines.append((text, (pad, bottom), scale, thick))
    ground = picture[: bottom + pad, : right + pad]
    ground //= 4
    for text, place, scale, thick in lines:
        cv2.putText(picture, text, place, _FONT, scale, _WHITE, thick, cv2.LINE_AA)


def captioned(
    picture: UInt8[np.ndarray, "h w 3"], text: str, width: int = 480
) -> UInt8[np.ndarray, "new_h {width} 3"]:
    """Scale a picture to `width` pixels and add a line of text below it."""
    height = round(picture.shape[0] * width / picture.shape[1])
    picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    strip = np.full((30, width, 3), _GROUND, np.uint8)
    cv2.putText(strip, text, (8, 20), _FONT, 0.5, (235, 235, 235), 1, cv2.LINE_AA)
    return np.concatenate([picture, strip])


def sheet(cells: Sequence[np.ndarray], columns: int = 3) -> UInt8[np.ndarray, "h w 3"]:
    """Arrange pictures in a grid of `columns` columns. Every cell fits the largest picture."""
    height = max(cell.shape[0] for cell in cells)
    width = max(cell.shape[1] for cell in cells)
    rows = -(-len(cells) // columns)
    canvas = np.full((rows * height, min(columns, len(cells)) * width, 3), _GROUND, np.uint8)
    for i, cell in enumerate(cells):
        y, x = i // columns * height, i % columns * width
        canvas[y : y + cell.shape[0], x : x + cell.shape[1]] = cell
    return canvas


def heatmap_rows(
    picture: UInt8[np.ndarray, "h w 3"],
    predicted: Float[np.ndarray, "8 map_h map_w"],
    true: Float[np.ndarray, "8 map_h map_w"],
    mask: Sequence[bool] | Bool[np.ndarray, " 8"] = (True,) * 8,
    width: int = 160,
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Draw the predicted heatmaps in one row and the true ones below, one cell per keypoint.

    Args:
        picture: background of every cell, in BGR.
        predicted, true: heatmaps, 0 to 1.
        mask: which keypoints are labelled.
        width: width of a cell in pixels.
    """
    height = round(picture.shape[0] * width / picture.shape[1])
    grey = cv2.cvtColor(cv2.resize(picture, (width, height)), cv2.COLOR_BGR2GRAY)
    rows = []
    for heatmaps, label in ((predicted, "predicted"), (true, "true")):
        cells = []
        for name, heatmap, labelled in zip(KEYPOINTS, heatmaps, mask, strict=True):
            glow = cv2.resize(heatmap.astype(np.float32), (width, height)).clip(0, 1)[..., None]
            cell = np.repeat(grey[..., None] * 0.5, 3, axis=2)
            cell = (cell * (1 - glow) + np.array([40, 200, 255]) * glow).astype(np.uint8)
            kind = label if labelled or label == "predicted" else "no label"
            text = f"{name.replace('_', ' ')}: {kind}"
            cv2.putText(cell, text, (3, 11), _FONT, 0.28, _WHITE, 1, cv2.LINE_AA)
            cells.append(cell)
        rows.append(np.concatenate(cells, axis=1))
    return np.concatenate(rows)
