"""Boxes in PyTorch: their keypoints, their names and their edges in the picture.

`projection` has the equations. All operations are in double precision. They have no branches, so an
ONNX file can hold them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64, Num
from torch import Tensor, nn

from cardpose.geometry.card import CORNER_INSET, CORNER_RADIUS, card_corners
from cardpose.geometry.keypoints import BACK, CORNER, EDGES, TURNED
from cardpose.geometry.projection import (
    CROSS_PRODUCT,
    BoxPoints,
    Lens,
    Pose,
    camera_position,
    card_keypoints,
    project,
    project_with_slopes,
)

# Kinds of edges, in the order of the last axis of `BoxEdges.kinds`.
EDGE_KINDS = ("back above a visible side", "back above a hidden side", "face", "outline", "corner")
KINDS = len(EDGE_KINDS)
_THINNEST = 1.0  # mm
_LONG_EDGES = 8  # first in EDGES: edges of the back and the face; the upright ones follow


class BoxEdges(NamedTuple):
    """Twelve edges of each box in the picture, in the order of `keypoints.EDGES`.

    Upright edges are rounded. If both sides that meet there are visible, the edge appears as the
    corner itself. If one side is visible, it appears as the outline of the rounding.

    Attributes:
        starts, ends: in pixels.
        kinds: whether each edge is of each kind in EDGE_KINDS. Hidden edges are of no kind.
        points: starts, then ends, as points of the box.
    """

    starts: Float64[Tensor, "n 12 2"]
    ends: Float64[Tensor, "n 12 2"]
    kinds: Bool[Tensor, "n 12 5"]
    points: BoxPoints


class BoxModel(nn.Module):
    """Boxes with the width and length of a card, seen through the usual lens.

    The module has no trainable parameters.

    Args:
        image_size: (width, height) of the pictures in pixels.
        focal: usual focal length in picture widths.
        card: (width, length, thickness) of a card in mm.
        deck: largest number of cards in a packet.
    """

    inset: Float64[Tensor, "8 2"]  # keypoints on a card, in mm
    outward: Float64[Tensor, "8 2"]  # signs of x and y that point out of the card
    sharp: Float64[Tensor, "8 2"]  # corners of a card without rounding, in mm
    flat: Float64[Tensor, "1 8 3"]
    shifts: Float64[Tensor, "8 3 4"]
    back: Bool[Tensor, "8"]
    middle: Float64[Tensor, "2"]
    unit: Float64[Tensor, "3 3"]
    cross_product: Float64[Tensor, "3 9"]
    half_turn: Int64[Tensor, "8"]
    edge_ends: Int64[Tensor, "24"]  # indices of keypoints: starts, then ends

    def __init__(
        self, image_size: Sequence[int], focal: float | int, card: Sequence[float | int], deck: int
    ) -> None:
        super().__init__()
        self.size = image_size
        self.focal = focal * image_size[0]
        self.deck_thickness = card[2] * deck
        keypoints = card_keypoints(card)
        inset = card_corners(*card[:2])[CORNER]
        outward = np.sign(inset)
        self.radius = 0.8 * np.hypot(*inset[0])  # mm, typical spread of keypoints in a view
        arrays = {
            "inset": inset,
            "outward": outward,
            "sharp": inset + CORNER_INSET * outward,
            "flat": keypoints.flat,
            "shifts": keypoints.shifts,
            "back": BACK,
            "middle": np.array(image_size) / 2,
            "unit": np.eye(3),
            "cross_product": CROSS_PRODUCT,
            "half_turn": np.array(TURNED),
            "edge_ends": np.array(EDGES).T.reshape(-1),
        }
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(array), persistent=False)

    @property
    def lens(self) -> Lens:
        """Lens with the usual focal length."""
        return Lens(self.focal, self.middle, self.unit, self.cross_product)

    def focal_of(self, longer: Num[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Return usual focal lengths from the longer sides of pictures, both in pixels."""
        return self.focal / self.size[0] * longer

    def at_usual_focal(
        self, points: Float[Tensor, "n k 2"], focal: Float[Tensor, " n"] | None
    ) -> Float[Tensor, "n k 2"]:
        """Move points to their places in a picture taken with the usual focal length.

        Args:
            points: in pixels.
            focal: focal lengths of the given pictures in pixels; None for the usual one.
        """
        if focal is None:
            return points
        middle = self.middle.to(points.dtype)
        return middle + (points - middle) * (self.focal / focal)[:, None, None]

    def project(self, pose: Pose, points: BoxPoints) -> Float64[Tensor, "n k 2"]:
        """Project points of boxes into the picture, in pixels."""
        return project(self.lens, pose, points)

    def project_with_slopes(
        self, pose: Pose, points: BoxPoints
    ) -> tuple[Float64[Tensor, "n k 2"], Float64[Tensor, "n k 2 11"]]:
        """Project points of boxes into the picture, in pixels, and return derivatives as well.

        The derivatives are by a rotation vector about the camera's axes (3) and by the numbers of
        the pose (8).
        """
        at, slopes = project_with_slopes(self.lens, pose, points)
        return at, torch.cat([*slopes], dim=3)

    def keypoint_places(self) -> BoxPoints:
        """Return the eight keypoints as points of the box."""
        return BoxPoints(self.flat, self.shifts)

    def keypoints(self, pose: Pose) -> Float64[Tensor, "n 8 2"]:
        """Return the places of the keypoints in the picture, in pixels, hidden ones included."""
        return self.project(pose, self.keypoint_places())

    def names(self, pose: Pose) -> Int64[Tensor, "n 8"]:
        """Return the indices of the box's keypoints in the order of KEYPOINTS.

        The names follow the rule of `keypoints.name_corners`.
        """
        at = self.keypoints(pose)
        height = at[..., 1]
        turn = (height[:, 2:4] - height[:, 6:8]).sum(dim=1, keepdim=True) > 0
        order = torch.where(turn, self.half_turn, torch.arange(8, device=at.device))
        x = at[..., 0].gather(1, order).unflatten(1, (4, 2))
        crossed = x[..., :1] > x[..., 1:]
        pairs = order.unflatten(1, (4, 2))
        return torch.where(crossed, pairs.flip(2), pairs).flatten(1)

    def edges(self, pose: Pose) -> BoxEdges:
        """Return the places of edges in the picture, and their kinds."""
        eye = self._upright_camera(pose)[:, None]
        a, b = self.edge_ends[:12], self.edge_ends[12:]
        # For each corner: whether the camera sees the side that faces x, and the one that faces y.
        seen = eye * self.outward > (self.sharp * self.outward)
        upright = self._upright_edges(eye, seen)
        sharp = self.sharp.expand(eye.shape[0], 8, 2)
        flat = torch.cat(
            [torch.cat([sharp[:, e[:8]], upright[:, e[8:]]], dim=1) for e in (a, b)], dim=1
        )
        flat = torch.cat([flat, 0 * flat[..., :1]], dim=2)
        points = BoxPoints(flat, self.shifts[self.edge_ends])
        ends = self.project(pose, points)
        return BoxEdges(ends[:, :12], ends[:, 12:], self._kinds(seen), points)

    def _upright_camera(self, pose: Pose) -> Float64[Tensor, "n 2"]:
        """Return x and y of the camera, in mm, in axes in which the box does not lean.

        A shear makes the box upright and keeps lines of sight straight, so the camera sees the same
        sides. Boxes thinner than _THINNEST are sheared as if they had that thickness.
        """
        eye = camera_position(pose)
        rise = eye[:, 2] / pose.thickness.clamp(min=_THINNEST)
        return eye[:, :2] - pose.lean * (1 - rise)[:, None]

    def _upright_edges(
        self, eye: Float64[Tensor, "n 1 2"], seen: Bool[Tensor, "n 8 2"]
    ) -> Float64[Tensor, "n 8 2"]:
        """Return the apparent places of the upright edges, as points on a card, in mm."""
        centre = self.sharp - CORNER_RADIUS * self.outward
        ray = centre - eye
        across = torch.stack([-ray[..., 1], ray[..., 0]], dim=-1)
        across = across / across.square().sum(dim=-1, keepdim=True).clamp(min=1e-6).sqrt()
        away = (across * centre).sum(dim=-1, keepdim=True)
        outline = centre + CORNER_RADIUS * torch.where(away < 0, -across, across)
        both = seen.all(dim=2)
        return torch.where(both[..., None], self.inset.expand_as(outline), outline)

    def _kinds(self, seen: Bool[Tensor, "n 8 2"]) -> Bool[Tensor, "n 12 5"]:
        a, b = self.edge_ends[:12], self.edge_ends[12:]
        both, one = seen.all(dim=2), seen.any(dim=2)
        # A side is visible if the camera sees it at both of its corners.
        side = (seen[:, a] & seen[:, b] & (self.outward[a] == self.outward[b])).any(dim=2)
        back, long = self.back[a], torch.arange(12, device=a.device) < _LONG_EDGES
        kinds = [
            long & back & side,
            long & back & ~side,
            long & ~back & side,
            ~long & (one & ~both)[:, a],
            ~long & both[:, a],
        ]
        return torch.stack(kinds, dim=-1)
