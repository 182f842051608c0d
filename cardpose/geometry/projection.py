"""The projection of a box into a picture: one formula for every fit.

The box is a stack of cards of known width and length. Its own axes, in mm: x runs along the short
edges, y along the long edges, z from the face up to the back. The origin is the middle of the face,
before it leans.

A point at (x, y) of a card lies in the box at

    X = (x + f lean_x,  y + f lean_y,  b thickness + s twist)

with b = 1, f = 0 on the back, b = 0, f = 1 on the face, and s = 1 or -1 where the card's corner
rises or falls. A pose, a rotation R and a place t, takes it to the camera's axes (right, down,
forward), and a pin-hole camera to the picture, in pixels:

    C = R X + t
    u = middle + focal (1 + zoom) (C_x, C_y) / max(C_z, 1 mm)

The functions use only what NumPy's arrays and PyTorch's tensors have in common, and no branch. So
the same lines serve least squares in NumPy, batches on a GPU and the exported ONNX file. All
arguments of a call are arrays of one kind, in double precision.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from cardpose.geometry.card import card_corners
from cardpose.geometry.keypoints import BACK, CORNER

NEAREST = 1.0  # mm, nothing is nearer to the camera
# Where the numbers of a pose stand, see `Pose`. BOX are those that all pictures of a recording
# share.
PLACE, BOX, THICKNESS, LEAN, TWIST, ZOOM = slice(0, 3), slice(3, 7), 3, slice(4, 6), 6, 7
TWIST_SIGNS = np.array([-1.0, 1.0, 1.0, -1.0])  # by corners of a card, which rise and which fall
# With a vector before it the matrix of its vector product, row after row.
CROSS_PRODUCT = np.cross(np.eye(3), np.eye(3)[:, None]).reshape(3, 9)


class Pose(NamedTuple):
    """Boxes, and where they are in front of the camera.

    Attributes:
        rotation: from the box's axes to the camera's (right, down, forward).
        numbers: the place before the camera in mm (x, y, z), the thickness in mm, the lean of the
            face below the back along the short and the long edge in mm, the twist in mm, and the
            relative deviation of the focal length from the usual one. See PLACE, BOX, THICKNESS,
            LEAN, TWIST, ZOOM.
    """

    rotation: Float64[Any, "n 3 3"]
    numbers: Float64[Any, "n 8"]

    @property
    def place(self) -> Float64[Any, "n 3"]:
        """Place of the box's origin before the camera, in mm."""
        return self.numbers[:, PLACE]

    @property
    def thickness(self) -> Float64[Any, " n"]:
        """Thickness of the box in mm."""
        return self.numbers[:, THICKNESS]

    @property
    def lean(self) -> Float64[Any, "n 2"]:
        """Lean of the face below the back along the short and the long edge, in mm."""
        return self.numbers[:, LEAN]


class BoxPoints(NamedTuple):
    """Points of boxes.

    Attributes:
        flat: places on a straight card at z = 0, in mm; of one box that stands for all, or of each.
        shifts: what one mm of thickness, lean_x, lean_y and twist adds to a place, by its x, y, z.
    """

    flat: Float64[Any, "#n k 3"]
    shifts: Float64[Any, "k 3 4"]


class Lens(NamedTuple):
    """What the projection needs of a camera, and two constants of the same kind of array.

    Attributes:
        focal: the usual focal length in pixels.
        middle: the principal point in pixels.
        unit: the unit matrix.
        cross_product: CROSS_PRODUCT.
    """

    focal: float | int
    middle: Float64[Any, "2"]
    unit: Float64[Any, "3 3"]
    cross_product: Float64[Any, "3 9"]


class Slopes(NamedTuple):
    """Derivatives of projected points (x and y in pixels).

    Attributes:
        turn: by a rotation vector about the camera's axes, in radians.
        place: by the place before the camera, in mm.
        box: by the numbers BOX of the pose, in mm.
        zoom: by the number ZOOM of the pose.
    """

    turn: Float64[Any, "n k 2 3"]
    place: Float64[Any, "n k 2 3"]
    box: Float64[Any, "n k 2 4"]
    zoom: Float64[Any, "n k 2 1"]


def numpy_lens(image_size: Sequence[int], focal: float | int) -> Lens:
    """Return the lens of pictures of (width, height) pixels and a focal length in pixels."""
    return Lens(focal, np.array(image_size) / 2, np.eye(3), CROSS_PRODUCT)


def card_keypoints(card: Sequence[float | int]) -> BoxPoints:
    """Return the keypoints of a box of cards of (width, length, ...) in mm, in NumPy's arrays."""
    flat = np.column_stack([card_corners(*card[:2])[CORNER], np.zeros(8)])
    back, rises = BACK.astype(float), TWIST_SIGNS[CORNER]
    zero, face = np.zeros(8), 1 - back
    x, y, z = (zero, face, zero, zero), (zero, zero, face, zero), (back, zero, zero, rises)
    shifts = np.stack([np.stack(axis, axis=1) for axis in (x, y, z)], axis=1)
    return BoxPoints(flat[None], shifts)


def points_in_box(points: BoxPoints, box: Float64[Any, "n 4"]) -> Float64[Any, "n k 3"]:
    """Return where points of boxes are, in the box's axes, from the numbers BOX of their poses."""
    return points.flat + (points.shifts @ box[:, None, :, None])[..., 0]


def project(lens: Lens, pose: Pose, points: BoxPoints) -> Float64[Any, "n k 2"]:
    """Project points of boxes into the picture, in pixels."""
    return _project(lens, pose, points).offset + lens.middle


def project_with_slopes(
    lens: Lens, pose: Pose, points: BoxPoints
) -> tuple[Float64[Any, "n k 2"], Slopes]:
    """Project points of boxes into the picture, in pixels, and derive by all numbers of a pose."""
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
    """Return where the camera is, in the box's axes, in mm."""
    return -(pose.rotation * pose.numbers[:, PLACE, None]).sum(1)


class _Projected(NamedTuple):
    """Steps of the projection: places in the camera's axes, in mm, before and after moving them to
    the box's place; one over their depth; pixels per mm; pixels from the principal point."""

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
