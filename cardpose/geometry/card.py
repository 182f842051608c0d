"""A packet of cards as a box on a table, and the pin-hole camera that looks at it.

World coordinates are millimetres: the table is z = 0, z points up, the packet's middle stands at
the origin with its short edges along x. Picture coordinates are continuous: (0, 0) is the outer
corner of the top-left pixel and a pixel's centre is at +0.5.
"""

import numpy as np

from cardpose.geometry.keypoints import name_corners

CARD_WIDTH = 63.0  # mm, poker size
CARD_LENGTH = 88.0  # mm
CARD_THICKNESS = 0.30  # mm
CARD = CARD_WIDTH, CARD_LENGTH, CARD_THICKNESS  # the usual deck
FOCAL = 1.06  # the usual camera's focal length, as a share of a picture's longer side
CORNER_RADIUS = 3.0  # mm
CORNER_INSET = CORNER_RADIUS * (1 - np.sqrt(0.5))  # mm, from a rounded corner to both sides


def card_outline(inset=0.0, arc_points=7, width=CARD_WIDTH, length=CARD_LENGTH):
    """(4 * arc_points, 2) outline of a card in mm, its corners rounded, counter-clockwise."""
    radius = CORNER_RADIUS - inset
    angles = np.linspace(0, np.pi / 2, arc_points)
    corners = []
    for quarter, (sx, sy) in enumerate([(1, 1), (-1, 1), (-1, -1), (1, -1)]):
        centre = sx * (width / 2 - CORNER_RADIUS), sy * (length / 2 - CORNER_RADIUS)
        turned = angles + quarter * np.pi / 2
        arc = np.stack([np.cos(turned), np.sin(turned)], axis=1)
        corners.append(centre + radius * arc)
    return np.concatenate(corners)


def card_corners(width=CARD_WIDTH, length=CARD_LENGTH):
    """(4, 2) corners of a card in mm: where the rounded outline reaches furthest out.

    Corners 0-1 and 2-3 are the short edges.
    """
    x, y = width / 2 - CORNER_INSET, length / 2 - CORNER_INSET
    return np.array([[-x, y], [x, y], [-x, -y], [x, -y]])


def packet_keypoints(camera, face, back):
    """The eight keypoints of a packet as a camera sees them.

    A keypoint is visible if it lies in the picture and the packet does not hide it: the camera,
    above the back, sees every corner of the back, and a corner of the face if it sees one of the
    two sides that meet there.

    Args:
        face, back: (4, 3) world coordinates of the bottom and the top corners, as in
            `card_corners`.

    Returns:
        (8, 2) picture coordinates in pixels and (8,) visibility, in the order of KEYPOINTS.
    """
    points = camera.project(np.concatenate([face, back]))
    middle = face[:, :2].mean(axis=0)
    # A side is seen when the camera stands outside its plane.
    half = np.ptp(face[:, :2], axis=0) / 2 + CORNER_INSET
    outwards = np.abs(camera.position[:2] - middle) > half
    side = np.sign(face[:, :2] - middle) == np.sign(camera.position[:2] - middle)
    unhidden = np.concatenate([(side & outwards).any(axis=1), np.ones(4, bool)])
    inside = ((points >= 0) & (points <= [camera.width, camera.height])).all(axis=1)
    order = name_corners(points[:4], points[4:])
    return points[order], (unhidden & inside)[order]
