"""Pictures for people: the packet's corners and edges, and sheets of many pictures."""

import cv2
import numpy as np

from cardpose.geometry.keypoints import EDGES, KEYPOINTS

BACK, FACE, EDGE = (80, 220, 80), (0, 190, 255), (255, 255, 255)  # BGR
_FONT = cv2.FONT_HERSHEY_DUPLEX
_SHIFT = 4
_AS_NAMED, _CROSSED = range(8), [0, 1, 2, 3, 5, 4, 7, 6]  # corners of a box by their names


def draw_packet(picture, points, visible, corners=None):
    """Draw the visible corners, and the edges between them, into a BGR picture.

    Corners of the back are green, of the face yellow.

    Args:
        points, visible: (8, 2) pixels of the picture, (8,) bool.
        corners: (8,) for each corner of a box that was fitted, which of the points it is. Without
            one, what is left of the upper short edge is joined to what is left of the lower one,
            unless that crosses the back.
    """
    points, visible = np.asarray(points), np.asarray(visible)
    unit = max(1, round(picture.shape[1] / 400))
    places = np.round((points - 0.5) * (1 << _SHIFT)).astype(int)
    if corners is None:
        corners = _CROSSED if _crossed(points, visible) else _AS_NAMED
    for a, b in EDGES:
        a, b = corners[a], corners[b]
        if visible[a] and visible[b]:
            cv2.line(picture, places[a], places[b], EDGE, unit, cv2.LINE_AA, _SHIFT)
    for name, place, shown in zip(KEYPOINTS, places, visible, strict=True):
        if shown:
            colour = BACK if name.endswith("back") else FACE
            cv2.circle(picture, place, (3 * unit) << _SHIFT, colour, unit, cv2.LINE_AA, _SHIFT)


def _crossed(points, visible):
    """Whether a back's long edges cross: seen straight from one side, its short edges lie far from
    level, and what is left of one may belong to what is right of the other."""
    if not visible[[2, 3, 6, 7]].all():
        return False
    a, b, c, d = points[[2, 6, 3, 7]]

    def side(p, q, r):
        return np.sign((q - p)[0] * (r - p)[1] - (q - p)[1] * (r - p)[0])

    return side(a, b, c) != side(a, b, d) and side(c, d, a) != side(c, d, b)


def draw_count(picture, large, small=""):
    """Write a line of text, and a smaller one, into the upper left corner of a BGR picture, on a
    darkened ground."""
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
        cv2.putText(picture, text, place, _FONT, scale, (255, 255, 255), thick, cv2.LINE_AA)


def captioned(picture, text, width=480):
    """The picture at a width in pixels, with a line of text below it."""
    height = round(picture.shape[0] * width / picture.shape[1])
    picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    strip = np.full((30, width, 3), 30, np.uint8)
    cv2.putText(strip, text, (8, 20), _FONT, 0.5, (235, 235, 235), 1, cv2.LINE_AA)
    return np.concatenate([picture, strip])


def sheet(cells, columns=3):
    """Pictures in rows of `columns`, each in a place as large as the largest of them."""
    height = max(cell.shape[0] for cell in cells)
    width = max(cell.shape[1] for cell in cells)
    rows = -(-len(cells) // columns)
    canvas = np.full((rows * height, min(columns, len(cells)) * width, 3), 30, np.uint8)
    for i, cell in enumerate(cells):
        y, x = i // columns * height, i % columns * width
        canvas[y : y + cell.shape[0], x : x + cell.shape[1]] = cell
    return canvas


def heatmap_rows(picture, predicted, true, mask=(True,) * 8, width=160):
    """Two rows of pictures, one a keypoint: predicted heatmaps above the true ones.

    Args:
        picture: (height, width, 3) uint8 BGR.
        predicted, true: (8, h, w) heatmaps, 0 to 1.
        mask: (8,) bool, which of the true ones somebody has labelled.
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
            said = label if labelled or label == "predicted" else "no label"
            text = f"{name.replace('_', ' ')}: {said}"
            cv2.putText(cell, text, (3, 11), _FONT, 0.28, (255, 255, 255), 1, cv2.LINE_AA)
            cells.append(cell)
        rows.append(np.concatenate(cells, axis=1))
    return np.concatenate(rows)
