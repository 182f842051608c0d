"""Summarize what a picture says of the box: its thickness, lean and twist.

The normal equations of a fit approximate half its cost, near the fitted pose, by

    1/2 d' H d + g' d

where d is a small change of the eleven parameters, H approximates half the Hessian and g is half
the gradient. The best pose and zoom for each box are a linear function of the box. Inserting them
leaves the same form in the box's four numbers alone, with the Schur complement of H (B. Triggs et
al., "Bundle Adjustment: A Modern Synthesis", 1999, section 6).

The priors on the box are left out. So the forms of several pictures of one packet add up, and the
priors are added once.
"""

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from cardpose.geometry.box import BoxModel
from cardpose.geometry.box_fit import BoxFitter, TracedEdges
from cardpose.geometry.linalg import solve_positive_definite
from cardpose.geometry.priors import LEAN_PRIOR, PICTURE_PRIORS, ZOOM_SPREAD
from cardpose.geometry.projection import BOX, ZOOM, Pose

_TURN = 3  # parameters of a fit before the numbers of the pose
_VIEW = [0, 1, 2, 3, 4, 5, _TURN + ZOOM]  # parameters of the rotation, the place and the zoom
_SHARED = slice(_TURN + BOX.start, _TURN + BOX.stop)
# Inverse variances that keep the view determinate where a picture shows fewer than three corners.
_FAINT = 1e-4  # rotation in radians, place in mm
# Weight of traced edges, as a factor of each point's: points along one edge err together.
_EDGE_TRUST = 0.25


def box_information(
    fitter: BoxFitter,
    pose: Pose,
    points: Float[Tensor, "n 8 2"],
    seen: Bool[Tensor, "n 8"] | Float[Tensor, "n 8"],
    edges: TracedEdges | None,
    focal: Float[Tensor, " n"] | None = None,
) -> tuple[Float64[Tensor, "n 4 4"], Float64[Tensor, "n 4"]]:
    """Return information matrices and vectors of the boxes' numbers BOX, in 1/mm^2 and 1/mm.

    The solution x of `matrix` x = `vector` is the box that fits best without priors on the box.
    Robust weights are those at `pose`.

    Args:
        fitter, pose, points, seen, edges, focal: as in `BoxFitter.refine`.
    """
    start = pose.numbers[:, 0]
    zero = torch.zeros_like(start)
    _, gradient, hessian = fitter.add_residuals(
        zero,
        zero[:, None] * fitter.unit[0],
        zero[:, None, None] * fitter.unit,
        pose,
        points.double(),
        seen,
        edges and edges._replace(weight=_EDGE_TRUST * edges.weight),
    )
    usual = zero if focal is None else focal.double() / fitter.box.focal - 1
    firm = (ZOOM_SPREAD * (1 + usual)).square().reciprocal()[:, None]
    faint = torch.full_like(firm, _FAINT).expand(-1, 6)
    view = hessian[:, _VIEW][:, :, _VIEW]
    view = view + torch.cat([faint, firm], dim=1)[:, :, None] * fitter.unit[:7, :7]
    off = (pose.numbers[:, ZOOM, None] - usual[:, None]) * firm
    slope = gradient[:, _VIEW] + torch.cat([0 * faint, off], dim=1)
    mixed = hessian[:, _VIEW, _SHARED]
    # Solve for all columns at once: the four of `mixed`, then the gradient.
    right = torch.cat([mixed, slope[..., None]], dim=2).transpose(1, 2)
    solved = solve_positive_definite(
        view[:, None].expand(-1, 5, -1, -1).flatten(0, 1), right.flatten(0, 1)
    ).unflatten(0, (-1, 5))
    information = hessian[:, _SHARED, _SHARED] - solved[:, :4] @ mixed
    left = gradient[:, _SHARED] - (solved[:, 4:] @ mixed)[:, 0]
    box = pose.numbers[:, BOX]
    vector = (information @ box[..., None])[..., 0] - left
    return (information + information.transpose(1, 2)) / 2, vector


def thickness_variance(
    box: BoxModel, information: Float64[Tensor, "n 4 4"], pose: Pose
) -> Float64[Tensor, " n"]:
    """Return the variance of the thicknesses that pictures show, in mm^2, priors included.

    Args:
        information: of each picture, see `box_information`.
        pose: of the boxes.
    """
    lean = LEAN_PRIOR.deviation_of(pose.thickness.clamp(0, box.deck_thickness)) ** -2
    flat = torch.full_like(lean, 12 / box.deck_thickness**2)  # all thicknesses of a deck
    twist = torch.full_like(lean, PICTURE_PRIORS.twist**-2)
    prior = torch.stack([flat, lean, lean, twist], dim=1)
    unit = torch.eye(4, dtype=prior.dtype, device=prior.device)
    first = unit[:1].expand(prior.shape[0], -1)
    return solve_positive_definite(information + prior[:, None] * unit, first)[:, 0]
