"""Fit a box that other pictures of the packet show to the keypoints of one picture.

The keypoints of one picture often confuse lean with thickness. With the box of all pictures, the
pose is surer, and the edges are nearer to the places where the network looks for them.

All operations are in double precision. They have no branches, so an ONNX file can hold them.
"""

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from cardpose.geometry.box_fit import BoxFitter
from cardpose.geometry.pose_prior import pose_prior, shared_box_prior
from cardpose.geometry.projection import BOX, Pose
from cardpose.geometry.shared_box import TURNED_BOX

_STEPS = 1  # the fit starts close to its end


def guide_pose(
    fitter: BoxFitter,
    pose: Pose,
    points: Float[Tensor, "n 8 2"],
    seen: Bool[Tensor, "n 8"] | Float[Tensor, "n 8"],
    boxes: Float64[Tensor, "n 4"],
    focal: Float[Tensor, " n"] | None = None,
) -> Pose:
    """Return the poses of given boxes. The deviation of their numbers is `SHARED_SPREAD`.

    A half turn changes the signs of the leans. The fit takes the turn with the lower cost.

    Args:
        fitter, pose, points, seen, focal: as in `BoxFitter.refine`.
        boxes: thickness, lean along the short and the long edge, and twist, in mm. A picture whose
            box has NaN keeps its `pose`.
    """
    is_given = boxes.sum(dim=1) > -torch.inf  # False for NaN
    boxes = torch.where(is_given[:, None], boxes, 0.0)
    given = torch.cat([boxes, boxes * boxes.new_tensor(TURNED_BOX)])
    rotation, numbers, points, seen = (
        torch.cat([part, part]) for part in (*pose, points.double(), seen)
    )
    start = torch.cat([numbers[:, : BOX.start], given, numbers[:, BOX.stop :]], dim=1)
    prior = pose_prior(fitter.box, seen, focal=None if focal is None else torch.cat([focal, focal]))
    found, cost = fitter.optimize(
        Pose(rotation, start), points, seen, None, shared_box_prior(prior, given), _STEPS
    )
    first, second = cost.chunk(2)
    a, b = is_given[:, None], (second < first)[:, None]
    return Pose(
        *(
            torch.where(_as(a, old), torch.where(_as(b, old), other, one), old)
            for old, (one, other) in zip(pose, (part.chunk(2) for part in found), strict=True)
        )
    )


def _as(condition: Bool[Tensor, "n 1"], numbers: Tensor) -> Tensor:
    """Return a condition of n pictures with as many axes as `numbers`."""
    return condition if numbers.ndim == 2 else condition[..., None]
