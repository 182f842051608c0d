"""Initial pose for the fit of a box, from the keypoints alone."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from cardpose.geometry.box import BoxModel
from cardpose.geometry.projection import THICKNESS, ZOOM, Pose

_TYPICAL_ELEVATION = np.radians(35)  # of the camera above the table
_FORESHORTENED = np.sin(_TYPICAL_ELEVATION)
# Rotation from a box's axes to a camera at that elevation, looking along the long edges.
FROM_ABOVE = np.array(
    [
        [1, 0, 0],
        [0, -_FORESHORTENED, -np.cos(_TYPICAL_ELEVATION)],
        [0, np.cos(_TYPICAL_ELEVATION), -_FORESHORTENED],
    ]
)


def initial_pose(
    box: BoxModel,
    from_above: Float64[Tensor, "3 3"],
    points: Float64[Tensor, "n 8 2"],
    seen: Bool[Tensor, "n 8"] | Float[Tensor, "n 8"],
    usual: Float64[Tensor, "n 8"],
) -> Pose:
    """Return an initial pose with a typical elevation of the camera.

    The packet's turn on the table follows from the directions of the keypoints. Its distance
    follows from their spread.

    Args:
        box: model of the boxes.
        from_above: FROM_ABOVE on the device of the points.
        points: keypoints in pixels.
        seen: weight of each keypoint, 0 to 1.
        usual: expected numbers of the pose, as in `pose_prior.PosePrior`.
    """
    weight = seen.double()[..., None]
    total = weight.sum(dim=1).clamp(min=1)
    middle = (points * weight).sum(dim=1) / total
    offset = (points - middle[:, None]) * weight
    spread = (offset.square().sum(dim=(1, 2)) / total[:, 0]).sqrt()
    focal = box.focal * (1 + usual[:, ZOOM:])
    distance = box.radius * focal / spread.clamp(min=box.size[0] / 100)[:, None]
    place = torch.cat([(middle - box.middle) / focal * distance, distance], dim=1)
    # Directions of the card's axes in the picture. The vertical component is foreshortened.
    right = (offset * box.inset[:, :1]).sum(dim=1)
    up = -(offset * box.inset[:, 1:]).sum(dim=1)
    cosine = right[:, 0] + up[:, 1] / _FORESHORTENED
    sine = up[:, 0] - right[:, 1] / _FORESHORTENED
    length = (cosine.square() + sine.square()).sqrt()
    turned = length > 1e-6
    cosine = torch.where(turned, cosine / length.clamp(min=1e-6), 1.0)
    sine = torch.where(turned, sine / length.clamp(min=1e-6), 0.0)
    zero, one = torch.zeros_like(sine), torch.ones_like(sine)
    turn = torch.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one], dim=1)
    rotation = from_above @ turn.unflatten(1, (3, 3))
    return Pose(rotation, torch.cat([place, usual[:, THICKNESS:]], dim=1))
