"""Prior on the numbers of a `Pose`, in the fit of a box to one picture.

All operations are in double precision. They have no branches, so an ONNX file can hold them.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from cardpose.geometry.box import BoxModel
from cardpose.geometry.priors import LEAN_PRIOR, PICTURE_PRIORS, SHARED_SPREAD, ZOOM_SPREAD
from cardpose.geometry.projection import BOX, LEAN, Pose


class PosePrior(NamedTuple):
    """Prior on the numbers of a `Pose`.

    Without a firmness for the lean, the lean has a normal distribution with mean 0 and the
    deviation of `priors.LEAN_PRIOR`.

    Numbers within `slack` of `usual` cost nothing. Beyond, the cost is the square of the excess
    in standard deviations.

    Attributes:
        usual: expected numbers, or middles of intervals in which all numbers are as likely.
        slack: halves of these intervals; 0 for numbers with a normal distribution.
        firmness: one over the standard deviations; 0 for numbers without a prior.
    """

    usual: Float64[Tensor, "n 8"]
    slack: Float64[Tensor, "n 8"]
    firmness: Float64[Tensor, "n 8"]


def pose_prior(
    box: BoxModel,
    seen: Bool[Tensor, "n 8"] | Float[Tensor, "n 8"],
    thickness: Float[Tensor, " n"] | None = None,
    focal: Float[Tensor, " n"] | None = None,
) -> PosePrior:
    """Return the prior of a fit. Arguments other than `box` are as in `BoxFitter.fit`.

    All thicknesses of a deck's cards are as likely if `thickness` is None.
    """
    zero = 0 * seen[:, 0].double()
    half_deck = zero + box.deck_thickness / 2
    middle, slack = (half_deck, half_deck) if thickness is None else (thickness.double(), zero)
    firm = 1 / PICTURE_PRIORS.unevenness_of(middle)
    zoom = zero if focal is None else focal.double() / box.focal - 1
    twist = zero + 1 / PICTURE_PRIORS.twist
    return PosePrior(
        torch.stack([zero, zero, zero, middle, zero, zero, zero, zoom], dim=1),
        torch.stack([zero, zero, zero, slack, zero, zero, zero, zero], dim=1),
        torch.stack(
            [zero, zero, zero, firm, zero, zero, twist, 1 / (ZOOM_SPREAD * (1 + zoom))], dim=1
        ),
    )


def shared_box_prior(prior: PosePrior, boxes: Float64[Tensor, "n 4"]) -> PosePrior:
    """Return the prior of a fit whose box is nearly known.

    Args:
        prior: of the other numbers of the poses.
        boxes: thickness, lean along the short and the long edge, and twist, in mm.
    """
    before, after = slice(0, BOX.start), slice(BOX.stop, None)
    zero = torch.zeros_like(boxes)
    parts = (boxes, zero, zero + 1 / SHARED_SPREAD)
    return PosePrior(
        *(
            torch.cat([numbers[:, before], box, numbers[:, after]], dim=1)
            for numbers, box in zip(prior, parts, strict=True)
        )
    )


def calculate_prior_cost(
    box: BoxModel, pose: Pose, prior: PosePrior
) -> tuple[Float64[Tensor, " n"], Float64[Tensor, "n 8"], Float64[Tensor, "n 8"]]:
    """Return the cost of the numbers of a pose, half its gradient, and half its curvature.

    The curvature of a number within its slack is one over the variance of a uniform distribution,
    although the cost is flat there. It keeps the steps of a fit short.

    The deviation of the lean depends on the current thickness. The gradient treats it as a
    constant.
    """
    offset = pose.numbers - prior.usual
    excess = offset - offset.maximum(-prior.slack).minimum(prior.slack)
    outside = offset.abs() >= prior.slack
    firm = torch.where(outside, prior.firmness.square(), 3 / prior.slack.square())
    usual = 1 / LEAN_PRIOR.deviation_of(pose.thickness.clamp(0, box.deck_thickness)).square()
    given = prior.firmness[:, LEAN]
    lean = torch.where(given > 0, given.square(), usual[:, None])
    firm = torch.cat([firm[:, : LEAN.start], lean, firm[:, LEAN.stop :]], dim=1)
    return (firm * excess.square()).sum(dim=1), firm * excess, firm
