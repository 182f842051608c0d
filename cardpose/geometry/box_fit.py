"""Fit a box to one picture: to its keypoints, then also to the edges traced between them.

The method is Levenberg-Marquardt (D. Marquardt, "An Algorithm for Least-Squares Estimation of
Nonlinear Parameters", 1963). It updates eleven parameters: a rotation vector about the camera's
axes and the eight numbers of a `Pose`. The cost is

    sum rho(residual^2) + cost of the numbers

The sum is over keypoints and edges; rho is a robust loss. `pose_prior` has the cost of the numbers.
Each of STEPS steps solves

    (H + damping diag(H)) step = gradient

where H is the Gauss-Newton approximation of half the second derivatives. If the cost falls, the fit
keeps the step and lowers the damping. Otherwise, it drops the step and raises the damping.

All operations are in double precision. They have no branches, so an ONNX file can hold them.
"""

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor, nn

from cardpose.geometry.box import BoxModel
from cardpose.geometry.initial_pose import FROM_ABOVE, initial_pose
from cardpose.geometry.keypoints import BACK, CORNER
from cardpose.geometry.linalg import rotation_of, solve_positive_definite
from cardpose.geometry.pose_prior import PosePrior, calculate_prior_cost, pose_prior
from cardpose.geometry.priors import PICTURE_PRIORS
from cardpose.geometry.projection import (
    CROSS_PRODUCT,
    THICKNESS,
    BoxPoints,
    Pose,
    camera_position,
)
from cardpose.geometry.robust_losses import cauchy_loss, huber_loss

KEYPOINT_SCALE = 4.0  # blurs; `cauchy_loss` gives keypoints much further off little weight
EDGE_SCALE = 1.0  # deviations; `huber_loss` gives points further off less weight
STEPS = 4  # in each fit
DAMPING = 1e-2  # at the first step
RENAMING_FACTOR = 3.0  # the cost of other names has to be lower by this factor
NOISE = 2.0  # cost that noise may add to the right names; costs below it are not compared
LEAST_TO_RENAME = 5  # visible keypoints; with fewer, a box fits nearly any names
_PARAMETERS = 3 + 8  # of a fit: rotation vector, numbers of a pose
_HALF_TURN = (3, 2, 1, 0)  # indices of a card's corners after a turn by 180 degrees


class TracedEdges(NamedTuple):
    """Points traced on the twelve edges of boxes.

    Attributes:
        share: places of the traced points along their edge, 0 to 1.
        normal: unit normals of the edges.
        place: coordinates of the traced points along `normal`, in pixels.
        weight: one over the standard deviation of `place` in pixels; 0 where nothing was traced.
        points: ends of the edges, as in `box.BoxEdges`.
    """

    share: Float64[Tensor, " k"]
    normal: Float64[Tensor, "n 12 2"]
    place: Float64[Tensor, "n 12 k"]
    weight: Float64[Tensor, "n 12 k"]
    points: BoxPoints


class Residuals(NamedTuple):
    """Residuals with d components each, in standard deviations, and their robust loss.

    Attributes:
        values: the residuals.
        slopes: derivatives of the residuals by the eleven parameters.
        scale: length beyond which a residual gets less weight.
        loss: `cauchy_loss` or `huber_loss`.
    """

    values: Float64[Tensor, "n m d"]
    slopes: Float64[Tensor, "n m d 11"]
    scale: float
    loss: Callable[[Tensor], tuple[Tensor, Tensor]]


# State of a fit: rotation, numbers, cost, gradient, hessian, damping. Its data is one flat list:
# keypoints, their weights, fields of the `PosePrior`, fields of the `TracedEdges`.
State = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
Step = Callable[[State, list[Tensor]], State]


def repeat_step(step: Step, times: int, state: State, data: list[Tensor]) -> State:
    """Apply a step of a fit to its state `times` times."""
    for _ in range(times):
        state = step(state, data)
    return state


class BoxFitter(nn.Module):
    """Fit boxes to pictures. The module has no trainable parameters.

    Args:
        box: model of the boxes.
        repeat: function that applies a step several times. The export to ONNX passes one that
            writes a loop to the file.
    """

    namings: Int64[Tensor, "w 8"]  # all ways to name keypoints; the first keeps the given names
    from_above: Float64[Tensor, "3 3"]
    unit: Float64[Tensor, "11 11"]
    cross_product: Float64[Tensor, "3 9"]

    def __init__(
        self, box: BoxModel, repeat: Callable[[Step, int, State, list[Tensor]], State] = repeat_step
    ) -> None:
        super().__init__()
        self.box = box
        self.repeat = repeat
        arrays = {
            "namings": _all_namings(),
            "from_above": FROM_ABOVE,
            "unit": np.eye(_PARAMETERS),
            "cross_product": CROSS_PRODUCT,
        }
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(array), persistent=False)

    def fit(
        self,
        points: Float[Tensor, "n 8 2"],
        seen: Bool[Tensor, "n 8"] | Float[Tensor, "n 8"],
        thickness: Float[Tensor, " n"] | None = None,
        focal: Float[Tensor, " n"] | None = None,
    ) -> tuple[Pose, Int64[Tensor, "n 8"]]:
        """Fit a box to the keypoints of each picture, and correct their names.

        From some directions, two namings are nearly tied, and the network may mix them. The fit
        tries all namings. It replaces the given one if another lowers the cost, plus NOISE, by the
        factor RENAMING_FACTOR and at least LEAST_TO_RENAME keypoints are visible. It also replaces
        a naming that would put the camera below the packet or the packet behind the camera.

        Args:
            points: in pixels.
            seen: weight of each keypoint, 0 to 1, or whether to use it.
            thickness: of the packets in mm; None if their counts are not given.
            focal: focal lengths in pixels; None for the usual one.

        Returns:
            Poses; and for each keypoint of the box, the index of the point that it is.
        """
        n, ways = points.shape[0], self.namings.shape[0]
        target = points.double()[:, self.namings].flatten(0, 1)
        weight = seen[:, self.namings].flatten(0, 1)
        prior = pose_prior(self.box, seen, thickness, focal)
        prior = PosePrior(*(part.repeat_interleave(ways, dim=0) for part in prior))
        start = initial_pose(self.box, self.from_above, target, weight, prior.usual)
        pose, cost = self.optimize(start, target, weight, None, prior)
        cost = cost.unflatten(0, (n, ways))
        # The camera is above the back of the packet, and the packet is in front of the camera.
        height = camera_position(pose)[:, 2] - pose.numbers[:, THICKNESS]
        impossible = ((height < 0) | (pose.numbers[:, 2] < 0)).unflatten(0, (n, ways))
        cost = torch.where(impossible, torch.inf, NOISE + cost)
        best = torch.cat([cost[:, :1], RENAMING_FACTOR * cost[:, 1:]], dim=1).argmin(dim=1)
        stay = ((seen > 0).sum(dim=1) < LEAST_TO_RENAME) & ~impossible[:, 0]
        best = torch.where(stay, 0, best)
        row = torch.arange(n, device=points.device) * ways + best
        return Pose(pose.rotation[row], pose.numbers[row]), self.namings[best]

    def refine(
        self,
        pose: Pose,
        points: Float[Tensor, "n 8 2"],
        seen: Bool[Tensor, "n 8"] | Float[Tensor, "n 8"],
        edges: TracedEdges,
        focal: Float[Tensor, " n"] | None = None,
    ) -> Pose:
        """Fit boxes to edges too. `pose` is from `fit`; points are in the order it returned."""
        prior = pose_prior(self.box, seen, focal=focal)
        return self.optimize(pose, points.double(), seen, edges, prior)[0]

    def calculate_residuals(
        self,
        pose: Pose,
        points: Float64[Tensor, "n 8 2"],
        seen: Bool[Tensor, "n 8"] | Float[Tensor, "n 8"],
        edges: TracedEdges | None,
    ) -> Iterator[Residuals]:
        """Yield the residuals of the keypoints and, if given, of the edges."""
        weight = seen.double()[..., None] / (PICTURE_PRIORS.blur * self.box.size[0])
        at, by = self.box.project_with_slopes(pose, self.box.keypoint_places())
        yield Residuals((at - points) * weight, by * weight[..., None], KEYPOINT_SCALE, cauchy_loss)
        if edges:
            at, by = self.box.project_with_slopes(pose, edges.points)
            normal = edges.normal.repeat(1, 2, 1)
            at = (normal * at).sum(dim=2)[..., None]
            by = (normal[..., None] * by).sum(dim=2)[:, :, None]
            share, weight = edges.share, edges.weight
            off = (at[:, :12] * (1 - share) + at[:, 12:] * share - edges.place) * weight
            slopes = by[:, :12] * (1 - share)[:, None] + by[:, 12:] * share[:, None]
            slopes = slopes * weight[..., None]
            yield Residuals(
                off.flatten(1)[..., None], slopes.flatten(1, 2)[:, :, None], EDGE_SCALE, huber_loss
            )

    def calculate_gradient_and_hessian(
        self,
        pose: Pose,
        points: Float64[Tensor, "n 8 2"],
        seen: Bool[Tensor, "n 8"] | Float[Tensor, "n 8"],
        edges: TracedEdges | None,
        prior: PosePrior,
    ) -> tuple[Float64[Tensor, " n"], Float64[Tensor, "n 11"], Float64[Tensor, "n 11 11"]]:
        """Return the cost, half its gradient, and H, which approximates half its Hessian."""
        cost, by_numbers, curvature = calculate_prior_cost(self.box, pose, prior)
        hessian = (curvature @ self.unit[3:])[:, None] * self.unit
        start = cost, by_numbers @ self.unit[3:], hessian
        return self.add_residuals(*start, pose, points, seen, edges)

    def add_residuals(
        self,
        cost: Float64[Tensor, " n"],
        gradient: Float64[Tensor, "n 11"],
        hessian: Float64[Tensor, "n 11 11"],
        pose: Pose,
        points: Float64[Tensor, "n 8 2"],
        seen: Bool[Tensor, "n 8"] | Float[Tensor, "n 8"],
        edges: TracedEdges | None,
    ) -> tuple[Float64[Tensor, " n"], Float64[Tensor, "n 11"], Float64[Tensor, "n 11 11"]]:
        """Add the robust losses of keypoints and edges to a cost, half its gradient and H."""
        for off, slopes, scale, loss in self.calculate_residuals(pose, points, seen, edges):
            value, weight = loss(off.square().sum(dim=2) / scale**2)
            cost = cost + scale**2 * value.sum(dim=1)
            weighted = (slopes * weight[..., None, None]).flatten(1, 2).transpose(1, 2)
            hessian = hessian + weighted @ slopes.flatten(1, 2)
            gradient = gradient + (weighted @ off.flatten(1, 2)[..., None])[..., 0]
        return cost, gradient, hessian

    def update(self, state: State, data: list[Tensor]) -> State:
        """Return the state after one more step of the fit to `data`."""
        rotation, numbers, cost, gradient, hessian, damping = state
        points, seen = data[:2]
        prior, edges = PosePrior(*data[2:5]), None
        if data[5:]:
            share, normal, place, weight = data[5:9]
            edges = TracedEdges(share, normal, place, weight, BoxPoints(*data[9:]))
        damped = (hessian * damping[:, None, None] + 1e-9) * self.unit
        step = solve_positive_definite(hessian + damped, gradient)
        turn = rotation_of(-step[:, :3], self.cross_product)
        tried = Pose(turn @ rotation, numbers - step[:, 3:])
        there = self.calculate_gradient_and_hessian(tried, points, seen, edges, prior)
        better = there[0] < cost
        a, b = better[:, None], better[:, None, None]
        return (
            torch.where(b, tried.rotation, rotation),
            torch.where(a, tried.numbers, numbers),
            torch.where(better, there[0], cost),
            torch.where(a, there[1], gradient),
            torch.where(b, there[2], hessian),
            torch.where(better, damping / 5, damping * 5),
        )

    def optimize(
        self,
        pose: Pose,
        points: Float64[Tensor, "n 8 2"],
        seen: Bool[Tensor, "n 8"] | Float[Tensor, "n 8"],
        edges: TracedEdges | None,
        prior: PosePrior,
        steps: int = STEPS,
    ) -> tuple[Pose, Float64[Tensor, " n"]]:
        """Take steps from `pose`; return the last pose and its cost."""
        data = [points, seen, *prior, *([*edges[:-1], *edges.points] if edges else ())]
        start = self.calculate_gradient_and_hessian(pose, points, seen, edges, prior)
        state: State = (*pose, *start, torch.full_like(start[0], DAMPING))
        rotation, numbers, cost, *_ = self.repeat(self.update, steps, state, data)
        return Pose(rotation, numbers), cost


def _all_namings() -> Int64[np.ndarray, "w 8"]:
    """Return permutations of a card's corners, one of each two that differ by a half turn."""
    orders = [p for p in permutations(range(4)) if p < tuple(p[i] for i in _HALF_TURN)]
    keypoint = {(c, b): i for i, (c, b) in enumerate(zip(CORNER, BACK, strict=True))}
    names = [[keypoint[p[c], b] for c, b in zip(CORNER, BACK, strict=True)] for p in orders]
    return np.array(names)
