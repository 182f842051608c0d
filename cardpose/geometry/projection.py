"""Project a box into a picture, with one formula for every fit.

The box is a stack of cards of a given width and length. Its axes are in mm: x runs along the short
edges, y along the long edges, z from the face up to the back. The origin is the middle of the face
of a straight box.

A point at (x, y) of a card lies in the box at

    X = (x + f lean_x,  y + f lean_y,  b thickness + s twist)

On the back, b = 1 and f = 0. On the face, b = 0 and f = 1. At a corner that rises, s = 1; at one
that falls, s = -1. A pose with rotation R and place t maps X to the camera's axes (right, down,
forward). A pin-hole camera maps C to the picture, in pixels:

    C = R X + t
    u = middle + focal (1 + zoom) (C_x, C_y) / max(C_z, 1 mm)

The functions have no branches, and use only operations that NumPy and PyTorch share. The same code
serves least squares in NumPy, batches on a GPU and the exported ONNX file. All arrays of a call are
of one kind, in double precision.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from cardpose.geometry.card import card_corners
from cardpose.geometry.keypoints import BACK, CORNER

NEAREST = 1.0  # mm, least depth of a point in front of the camera
# Indices of the numbers of a `Pose`. All frames of a recording share the numbers BOX.
PLACE, BOX, THICKNESS, LEAN, TWIST, ZOOM = slice(0, 3), slice(3, 7), 3, slice(4, 6), 6, 7
TWIST_SIGNS = np.array([-1.0, 1.0, 1.0, -1.0])  # of the corners of a card: 1 rises, -1 falls
# `vector @ CROSS_PRODUCT` is the matrix of the cross product with `vector`, row by row.
CROSS_PRODUCT = np.cross(np.eye(3), np.eye(3)[:, None]).reshape(3, 9)


class Pose(NamedTuple):
    """Boxes and their poses in front of the camera.

    Attributes:
        rotation: from the box's axes to the camera's (right, down, forward).
        numbers: in mm: place in the camera's axes (x, y, z), thickness, lean along the short and
            the long edge, twist. Then zoom: relative deviation of the focal length from the usual
            one. PLACE, BOX, THICKNESS, LEAN, TWIST and ZOOM are their indices.
    """

    rotation: Float64[Any, "n 3 3"]
    numbers: Float64[Any, "n 8"]

    @property
    def place(self) -> Float64[Any, "n 3"]:
        """Place of the box's origin in the camera's axes, in mm."""
        return self.numbers[:, PLACE]

    @property
    def thickness(self) -> Float64[Any, " n"]:
        """Thickness of the box in mm."""
        return self.numbers[:, THICKNESS]

    @property
    def lean(self) -> Float64[Any, "n 2"]:
        """Shift of the face against the back along the short and the long edge, in mm."""
        return self.numbers[:, LEAN]


class BoxPoints(NamedTuple):
    """Points of boxes. Their places are linear in thickness, lean and twist.

    Attributes:
        flat: places in mm at zero thickness, lean and twist; for each box, or once for all boxes.
        shifts: change of each place (x, y, z) per mm of thickness, lean_x, lean_y and twist.
    """

    flat: Float64[Any, "#n k 3"]
    shifts: Float64[Any, "k 3 4"]


class Lens(NamedTuple):
    """Camera parameters for the projection, and two constants as arrays of the same kind.

    Attributes:
        focal: usual focal length in pixels.
        middle: principal point in pixels.
        unit: identity matrix.
        cross_product: CROSS_PRODUCT.
    """

    focal: float | int
    middle: Float64[Any, "2"]
    unit: Float64[Any, "3 3"]
    cross_product: Float64[Any, "3 9"]


class Slopes(NamedTuple):
    """Derivatives of projected points, x and y in pixels.

    Attributes:
        turn: by a rotation vector about the camera's axes, in radians.
        place: by the place in the camera's axes, in mm.
        box: by the numbers BOX of the pose, in mm.
        zoom: by the number ZOOM of the pose.
    """

    turn: Float64[Any, "n k 2 3"]
    place: Float64[Any, "n k 2 3"]
    box: Float64[Any, "n k 2 4"]
    zoom: Float64[Any, "n k 2 1"]


def numpy_lens(image_size: Sequence[int], focal: float | int) -> Lens:
    """Return a lens in NumPy arrays, from (width, height) and focal length in pixels."""
    return Lens(focal, np.array(image_size) / 2, np.eye(3), CROSS_PRODUCT)


def card_keypoints(card: Sequence[float | int]) -> BoxPoints:
    """Return the keypoints of a box in NumPy arrays, from (width, length, ...) of a card in mm."""
    flat = np.column_stack([card_corners(*card[:2])[CORNER], np.zeros(8)])
    back, rises = BACK.astype(float), TWIST_SIGNS[CORNER]
    zero, face = np.zeros(8), 1 - back
    x, y, z = (zero, face, zero, zero), (zero, zero, face, zero), (back, zero, zero, rises)
    shifts = np.stack([np.stack(axis, axis=1) for axis in (x, y, z)], axis=1)
    return BoxPoints(flat[None], shifts)


def points_in_box(points: BoxPoints, box: Float64[Any, "n 4"]) -> Float64[Any, "n k 3"]:
    """Return points in the box's axes, in mm, from the numbers BOX of the poses."""
    return points.flat + (points.shifts @ box[:, None, :, None])[..., 0]


def project(lens: Lens, pose: Pose, points: BoxPoints) -> Float64[Any, "n k 2"]:
    """Project points of boxes into the picture, in pixels."""
    return _project(lens, pose, points).offset + lens.middle


def project_with_slopes(
    lens: Lens, pose: Pose, points: BoxPoints
) -> tuple[Float64[Any, "n k 2"], Slopes]:
    """Project points of boxes into the picture, in pixels, and return derivatives as well."""
    at, unit = _project(lens, pose, points), lens.unit
    direction = (at.camera[..., :2] * at.nearness)[..., None]
    place = at.scale[..., None] * (unit[:2] - direction * unit[2])
    cross = (at.turned @ -lens.cross_product).reshape(*at.turned.shape, 3)
    slopes = Slopes(
        turn=place @ cross,
        place=place,
        box=(place @ pose.rotation[:, None]) @ points.shifts,
        zoom=(at.offset / (1 + pose.numbers[:, None, ZOOM:]))[..., None],
    )
    return at.offset + lens.middle, slopes


def camera_position(pose: Pose) -> Float64[Any, "n 3"]:
    """Return the position of the camera in the box's axes, in mm."""
    return -(pose.rotation * pose.numbers[:, PLACE, None]).sum(1)


class _Projected(NamedTuple):
    """Intermediate results of the projection.

    Attributes:
        turned: offsets from the box's origin along the camera's axes, in mm.
        camera: places in the camera's axes, in mm.
        nearness: one over the depth in mm.
        scale: pixels per mm.
        offset: offsets from the principal point, in pixels.
    """

    turned: Any
    camera: Any
    nearness: Any
    scale: Any
    offset: Any


def _project(lens: Lens, pose: Pose, points: BoxPoints) -> _Projected:
    numbers = pose.numbers
    turned = points_in_box(points, numbers[:, BOX]) @ pose.rotation.swapaxes(1, 2)
    camera = turned + numbers[:, None, PLACE]
    nearness = 1 / camera[..., 2:].clip(min=NEAREST)
    scale = lens.focal * (1 + numbers[:, None, ZOOM:]) * nearness
    return _Projected(turned, camera, nearness, scale, scale * camera[..., :2])
