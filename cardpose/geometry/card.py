"""Outline of a card, and keypoints of a packet as a camera sees them.

World coordinates are in mm. The table is at z = 0, and z points up. The middle of the packet is
above the origin, and its short edges run along x. Picture coordinates are continuous: (0, 0) is the
outer corner of the top-left pixel, and pixel centres are at +0.5.
"""

import numpy as np
from jaxtyping import Bool, Float64

from cardpose.geometry.camera import Camera
from cardpose.geometry.keypoints import name_corners

CARD_WIDTH = 63.0  # mm, poker size
CARD_LENGTH = 88.0  # mm
CARD_THICKNESS = 0.30  # mm
THINNEST, THICKEST = 0.05, 5  # mm; no card is thinner or thicker
CARD = CARD_WIDTH, CARD_LENGTH, CARD_THICKNESS  # of the usual deck of cards
FOCAL = 1.06  # usual focal length, as a fraction of a picture's longer side
CORNER_RADIUS = 3.0  # mm
CORNER_INSET = float(CORNER_RADIUS * (1 - np.sqrt(0.5)))  # mm, from a corner to both sides


def card_outline(
    inset: float | int = 0.0,
    arc_points: int = 7,
    width: float | int = CARD_WIDTH,
    length: float | int = CARD_LENGTH,
) -> Float64[np.ndarray, "n 2"]:
    """Return the outline of a card with rounded corners, counter-clockwise, in mm.

    Args:
        inset: distance in mm to move the outline inwards.
        arc_points: number of points on each of the four rounded corners.
        width, length: of the card in mm.
    """
    radius = CORNER_RADIUS - inset
    angles = np.linspace(0, np.pi / 2, arc_points)
    corners = []
    for quarter, (sx, sy) in enumerate([(1, 1), (-1, 1), (-1, -1), (1, -1)]):
        centre = sx * (width / 2 - CORNER_RADIUS), sy * (length / 2 - CORNER_RADIUS)
        turned = angles + quarter * np.pi / 2
        arc = np.stack([np.cos(turned), np.sin(turned)], axis=1)
        corners.append(centre + radius * arc)
    return np.concatenate(corners)


def card_corners(
    width: float | int = CARD_WIDTH, length: float | int = CARD_LENGTH
) -> Float64[np.ndarray, "4 2"]:
    """Return the corners of a card in mm: the outermost points of its rounded outline.

    Corners 0 and 1 are the ends of one short edge, 2 and 3 those of the other.
    """
    x, y = width / 2 - CORNER_INSET, length / 2 - CORNER_INSET
    return np.array([[-x, y], [x, y], [-x, -y], [x, -y]])


def packet_keypoints(
    camera: Camera,
    face: Float64[np.ndarray, "4 3"],
    back: Float64[np.ndarray, "4 3"],
    overhang: Float64[np.ndarray, "2 2"] | None = None,
) -> tuple[Float64[np.ndarray, "8 2"], Bool[np.ndarray, "8"]]:
    """Return the places of a packet's keypoints in the picture, in pixels, and their visibility.

    A keypoint is visible if it lies in the picture and the packet does not hide it. The camera is
    above the back and sees all its corners. It sees a corner of the face if it sees at least one
    of the two sides that meet there. A side that overhangs the face can only be seen from farther
    out.

    Args:
        camera: a camera above the packet.
        face, back: world coordinates of the lower and the upper corners, in the order of
            `card_corners`.
        overhang: how far the sides stand out beyond the face, in mm per mm of height: those
            towards -x and -y, then those towards +x and +y. Sides that recede have negative values.
            By default, the packet leans evenly from the face to the back.

    Returns:
        Places and visibility, in the order of KEYPOINTS.
    """
    points = camera.project(np.concatenate([face, back]))
    middle = face.mean(axis=0)
    if overhang is None:
        lean = back.mean(axis=0) - middle
        overhang = np.array([[-1], [1]]) * lean[:2] / lean[2]
    eye = camera.position - middle
    # A side is visible if the camera is outside its plane.
    half = np.ptp(face[:, :2], axis=0) / 2 + CORNER_INSET
    seen = np.array([[-1], [1]]) * eye[:2] > half + overhang * eye[2]
    side = np.where(face[:, :2] < middle[:2], 0, 1)
    unhidden = np.concatenate([seen[side, [0, 1]].any(axis=1), np.ones(4, bool)])
    inside = ((points >= 0) & (points <= [camera.width, camera.height])).all(axis=1)
    order = name_corners(points[:4], points[4:])
    return points[order], (unhidden & inside)[order]
