"""The pose of a packet in one picture: the box that explains best what is seen of it.

A packet is a box on a table: its corners and its edges are known but for a few numbers, which are
fitted to the keypoints and to the edges that were traced between them, by the method of
D. Marquardt, "An Algorithm for Least-Squares Estimation of Nonlinear Parameters", 1963. What no
picture tells well is held by what is usual: packets lean a little, and phones have lenses alike.

All in double precision and without a branch, so that a network can hold it.
"""

from itertools import permutations
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from cardpose.geometry.card import CORNER_INSET, CORNER_RADIUS, card_corners
from cardpose.geometry.keypoints import BACK, CORNER, EDGES, TURNED
from cardpose.geometry.linalg import solve_positive_definite
from cardpose.geometry.priors import LEAN, LEAN_MORE, TWIST

KINDS = 5  # of edges, see `Packet.edges`
_BLUR = 1.5 / 640  # picture widths, how far off a keypoint is seen
_STRAY = 4.0  # blurs; a keypoint much further off counts next to nothing (`_cauchy`)
_STRAY_EDGE = 1.0  # a point of an edge further off counts less (`_huber`)
_UNEVEN, _UNEVEN_MORE = 0.03, 0.01  # mm, and mm a mm: how packets of a count differ
_ZOOM = 0.03  # how much focal lengths differ
_STEPS = 4  # of a fit
_RENAMED = 3.0  # how many times better other names have to fit
_NAMEABLE = 5  # keypoints that have to be seen for that
_TWISTED = np.array([-1.0, 1, 1, -1])[CORNER]  # which corners rise as a card twists
_SHORTENED = np.sin(np.radians(35))  # by how much, from where most pictures are taken
# From a packet's axes to those of a camera there, which looks along the packet's long edges.
_ABOVE = np.array(
    [[1, 0, 0], [0, -_SHORTENED, -np.cos(np.radians(35))], [0, np.cos(np.radians(35)), -_SHORTENED]]
)
# (3, 9): with a vector before it the matrix of its vector product, row after row.
_CROSS = np.cross(np.eye(3), np.eye(3)[:, None]).reshape(3, 9)
_HALF_TURN = (3, 2, 1, 0)  # a card's corners when it is turned by 180 degrees


class Pose(NamedTuple):
    """`rotation` (n, 3, 3) from the packet's axes to the camera's (right, down, forward);
    `numbers` (n, 8): the packet's place before the camera in mm, its thickness in mm, how far the
    face lies askew below the back along the short and the long edge in mm, its twist in mm, and
    by what share the focal length differs from the usual."""

    rotation: torch.Tensor
    numbers: torch.Tensor


class Edges(NamedTuple):
    """Edges that were traced: points on them, `share` (k,) of the way along, at which the edge
    lies at `place` (n, 12, k) along `normal` (n, 12, 2), in pixels; `weight` (n, 12, k) is one
    over how far off that is, or 0; `lines` is what `Packet.edges` called them."""

    share: torch.Tensor
    normal: torch.Tensor
    place: torch.Tensor
    weight: torch.Tensor
    lines: tuple


def repeat_steps(step, times, state, known):
    """The state after so many steps, each from the state before and what is known."""
    for _ in range(times):
        state = step(state, known)
    return state


class Packet(nn.Module):
    """Fits boxes of a card's width and length to what pictures show. Nothing here is learnt.

    Args:
        image_size: (width, height) of the pictures in pixels.
        focal: the usual focal length in picture widths.
        card: (width, length, thickness) of a card in mm.
        deck: how many cards there may be.
    """

    def __init__(self, image_size, focal, card, deck):
        super().__init__()
        self.repeat = repeat_steps
        self.size = image_size
        self.focal = focal * image_size[0]
        self.thickness = card[2] * deck / 2
        inset = card_corners(*card[:2])[CORNER]
        outward = np.sign(inset)
        self.radius = 0.8 * np.hypot(*inset[0])  # of keypoints in a picture, in mm, about
        # Which permutations of a back's corners are no other's half turn; the first changes none.
        orders = [p for p in permutations(range(4)) if p < tuple(p[i] for i in _HALF_TURN)]
        keypoint = {(c, b): i for i, (c, b) in enumerate(zip(CORNER, BACK, strict=True))}
        names = [[keypoint[p[c], b] for c, b in zip(CORNER, BACK, strict=True)] for p in orders]
        arrays = {
            "inset": inset,
            "outward": outward,
            "corners": inset + CORNER_INSET * outward,
            "back": BACK.astype(float),
            "twisted": _TWISTED,
            "middle": np.array(image_size) / 2,
            "above": _ABOVE,
            "namings": np.array(names),
            "turned": np.array(TURNED),
            "ends": np.array(EDGES).T.reshape(-1),
            "unit": np.eye(11),
            "cross": _CROSS,
        }
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(array), persistent=False)

    def fit(self, points, seen, thickness=None, focal=None):
        """The box that explains the keypoints best, whatever they were called.

        Seen straight from one side, either end of a packet may be the upper one, and a network
        that cannot tell mixes both namings: so all ways to name the corners are tried, and
        another than the given one has to explain them clearly better. Where too little is seen to
        tell, the given one stays, unless the packet would be seen from below.

        Args:
            points: (n, 8, 2) pixels; seen: (n, 8) bool, what counts, or how much, 0 to 1.
            thickness: (n,) mm, where it is known.
            focal: (n,) focal lengths in pixels, where they are not the usual one.

        Returns:
            a `Pose`, and names (n, 8): for each keypoint of the box which of the given ones it is.
        """
        n, ways = points.shape[0], self.namings.shape[0]
        target = points.double()[:, self.namings].flatten(0, 1)
        counts = seen[:, self.namings].flatten(0, 1)
        usual = [
            part.repeat_interleave(ways, dim=0) for part in self._usual(seen, thickness, focal)
        ]
        start = self._start(target, counts, usual[0])
        pose, wrong = self._refine(start, target, counts, None, usual)
        wrong = wrong.unflatten(0, (n, ways))
        # Nobody sees a packet from below, or from behind.
        eye = self._eye(pose)[:, 2] - pose.numbers[:, 3]
        impossible = ((eye < 0) | (pose.numbers[:, 2] < 0)).unflatten(0, (n, ways))
        wrong = torch.where(impossible, torch.inf, wrong)
        best = torch.cat([wrong[:, :1], _RENAMED * wrong[:, 1:]], dim=1).argmin(dim=1)
        # With less seen, a box can be turned to fit nearly any names.
        stay = ((seen > 0).sum(dim=1) < _NAMEABLE) & ~impossible[:, 0]
        best = torch.where(stay, 0, best)
        row = torch.arange(n, device=points.device) * ways + best
        return Pose(pose.rotation[row], pose.numbers[row]), self.namings[best]

    def refine(self, pose, points, seen, edges, focal=None):
        """The same box, fitted to the edges too; the keypoints by the names that `fit` gave."""
        usual = self._usual(seen, focal=focal)
        return self._refine(pose, points.double(), seen, edges, usual)[0]

    def focal_of(self, longer):
        """(n,) focal lengths in pixels of pictures whose longer sides have (n,) pixels."""
        return self.focal / self.size[0] * longer

    def as_usual(self, points, focal):
        """Where points (n, k, 2) would be seen if the focal lengths (n,) were the usual one."""
        if focal is None:
            return points
        middle = self.middle.to(points.dtype)
        return middle + (points - middle) * (self.focal / focal)[:, None, None]

    def keypoints(self, pose):
        """(n, 8, 2) where the box's keypoints are in the picture, the hidden ones too."""
        return self._project(pose, self._keypoints(pose))

    def names(self, pose):
        """(n, 8) the box's keypoints in the order that `keypoints.name_corners` gives."""
        at = self.keypoints(pose)
        height = at[..., 1]
        turn = (height[:, 2:4] - height[:, 6:8]).sum(dim=1, keepdim=True) > 0
        order = torch.where(turn, self.turned, torch.arange(8, device=at.device))
        x = at[..., 0].gather(1, order).unflatten(1, (4, 2))
        crossed = x[..., :1] > x[..., 1:]
        pairs = order.unflatten(1, (4, 2))
        return torch.where(crossed, pairs.flip(2), pairs).flatten(1)

    def edges(self, pose):
        """The box's twelve edges, as `keypoints.EDGES` has them.

        An upright edge is round: what is seen of it is the outline of the corner, or, where both
        sides that meet there are seen, the corner itself.

        Returns:
            their two ends, each (n, 12, 2) pixels; which of five kinds they are, (n, 12, KINDS)
            bool, none where an edge is hidden: of the back above a side that is seen, of the back
            above one that is hidden, of the face, the outline of a corner, a corner; and `lines`,
            for `Edges`.
        """
        eye = self._eye(pose)[:, None, :2]
        along = eye * self.outward > (self.corners * self.outward)  # (n, 8, 2) the sides seen
        middle = self.corners - CORNER_RADIUS * self.outward
        ray = middle - eye
        across = torch.stack([-ray[..., 1], ray[..., 0]], dim=-1)
        across = across / across.square().sum(dim=-1, keepdim=True).clamp(min=1e-6).sqrt()
        away = (across * middle).sum(dim=-1, keepdim=True)
        outline = middle + CORNER_RADIUS * torch.where(away < 0, -across, across)
        both, one = along.all(dim=2), along.any(dim=2)
        upright = torch.where(both[..., None], self.inset.expand_as(outline), outline)
        a, b = self.ends[:12], self.ends[12:]
        flat = self.corners.expand(eye.shape[0], 8, 2)
        at = [torch.cat([flat[:, e[:8]], upright[:, e[8:]]], dim=1) for e in (a, b)]
        lines = torch.cat(at, dim=1), self.back[self.ends], self.twisted[self.ends]
        # A long edge's side faces the eye where both its corners say so.
        side = (along[:, a] & along[:, b] & (self.outward[a] == self.outward[b])).any(dim=2)
        back, long = self.back[a] > 0, torch.arange(12, device=a.device) < 8
        kinds = [
            long & back & side,
            long & back & ~side,
            long & ~back & side,
            ~long & (one & ~both)[:, a],
            ~long & both[:, a],
        ]
        ends = self._project(pose, lines)
        return ends[:, :12], ends[:, 12:], torch.stack(kinds, dim=-1), lines

    def _keypoints(self, pose):
        return self.inset.expand(pose.numbers.shape[0], 8, 2), self.back, self.twisted

    def _eye(self, pose):
        """(n, 3) the camera's place, seen from the packet, in mm."""
        return -(pose.rotation * pose.numbers[:, :3, None]).sum(dim=1)

    def _project(self, pose, points, derivatives=False):
        """Where points of the box are in the picture.

        Args:
            points: (n, k, 2) places on a card, (k,) 1 for the back and 0 for the face, and (k,)
                by how many twists they rise.

        Returns:
            (n, k, 2) pixels; with `derivatives` also (n, k, 2, 11), by a turn about the camera's
            three axes and by the pose's numbers.
        """
        (flat, back, twisted), (rotation, numbers) = points, pose
        zero, face = torch.zeros_like(back), 1 - back
        # How the packet's thickness, lean and twist shift a point of it, (k, 3, 4).
        x = torch.stack([zero, face, zero, zero], dim=1)
        y = torch.stack([zero, zero, face, zero], dim=1)
        z = torch.stack([back, zero, zero, twisted], dim=1)
        shifts = torch.stack([x, y, z], dim=1)
        shift = (shifts @ numbers[:, None, 3:7, None])[..., 0]
        turned = (torch.cat([flat, 0 * flat[..., :1]], dim=2) + shift) @ rotation.transpose(1, 2)
        at = turned + numbers[:, None, :3]
        nearness = 1 / at[..., 2:].clamp(min=1.0)  # nothing is nearer than 1 mm
        focal = self.focal * (1 + numbers[:, None, 7:]) * nearness
        off = focal * at[..., :2]
        if not derivatives:
            return off + self.middle
        unit = self.unit[:3, :3]
        # By where the point is before the camera, (n, k, 2, 3).
        by = focal[..., None] * (unit[:2] - (at[..., :2] * nearness)[..., None] * unit[2])
        turn = (turned @ -self.cross).unflatten(2, (3, 3))
        zoom = off / (1 + numbers[:, None, 7:])
        slopes = [by @ turn, by, (by @ rotation[:, None]) @ shifts, zoom[..., None]]
        return off + self.middle, torch.cat(slopes, dim=3)

    def _start(self, points, seen, usual):
        """A first pose: seen from above, turned as the keypoints' names say, and as far off as they
        are apart."""
        known = seen.double()[..., None]
        number = known.sum(dim=1).clamp(min=1)
        middle = (points * known).sum(dim=1) / number
        offset = (points - middle[:, None]) * known
        spread = (offset.square().sum(dim=(1, 2)) / number[:, 0]).sqrt()
        focal = self.focal * (1 + usual[:, 7:])
        distance = self.radius * focal / spread.clamp(min=self.size[0] / 100)[:, None]
        place = torch.cat([(middle - self.middle) / focal * distance, distance], dim=1)
        rest = usual[:, 3:]
        # Where a card's axes point in the picture; what points up is shortened.
        right = (offset * self.inset[:, :1]).sum(dim=1)
        up = -(offset * self.inset[:, 1:]).sum(dim=1)
        cosine = right[:, 0] + up[:, 1] / _SHORTENED
        sine = up[:, 0] - right[:, 1] / _SHORTENED
        length = (cosine.square() + sine.square()).sqrt()
        turned = length > 1e-6
        cosine = torch.where(turned, cosine / length.clamp(min=1e-6), 1.0)
        sine = torch.where(turned, sine / length.clamp(min=1e-6), 0.0)
        zero, one = torch.zeros_like(sine), torch.ones_like(sine)
        turn = torch.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one], dim=1)
        return Pose(self.above @ turn.unflatten(1, (3, 3)), torch.cat([place, rest], dim=1))

    def _usual(self, seen, thickness=None, focal=None):
        """What a pose's numbers usually are, and one over how far off they usually are: (n, 8)
        each. How far a packet leans goes with its thickness, see `_firmness`."""
        zero = 0 * seen[:, 0].double()
        if thickness is None:  # any number of cards is as likely
            middle = zero + self.thickness
            firm = np.sqrt(3) / middle
        else:
            middle = thickness.double()
            firm = 1 / (_UNEVEN + _UNEVEN_MORE * middle)
        zoom = zero if focal is None else focal.double() / self.focal - 1
        firmness = [zero, zero, zero, firm, zero, zero, zero + 1 / TWIST, 1 / (_ZOOM * (1 + zoom))]
        usual = [zero, zero, zero, middle, zero, zero, zero, zoom]
        return torch.stack(usual, dim=1), torch.stack(firmness, dim=1)

    def _firmness(self, pose, usual):
        lean = 1 / (LEAN + LEAN_MORE * pose.numbers[:, 3:4].clamp(0, 2 * self.thickness))
        return usual[1] + lean * lean.new_tensor([0, 0, 0, 0, 1, 1, 0, 0])

    def _refine(self, pose, points, seen, edges, usual):
        """The pose after some steps, and its misfit."""
        known = points, seen, *usual, *((*edges[:-1], *edges.lines) if edges else ())
        misfit, gradient, normal = self._misfit(pose, points, seen, edges, usual)
        state = *pose, misfit, gradient, normal, torch.full_like(misfit, 1e-2)
        rotation, numbers, misfit, *_ = self.repeat(self._step, _STEPS, state, known)
        return Pose(rotation, numbers), misfit

    def _step(self, state, known):
        """One step: the `state` of the fit after it; `known` is what stays the same."""
        rotation, numbers, misfit, gradient, normal, damping = state
        points, seen, *usual = known[:4]
        edges = Edges(*known[4:8], known[8:]) if known[4:] else None
        more = (normal * damping[:, None, None] + 1e-9) * self.unit
        step = solve_positive_definite(normal + more, gradient)
        tried = Pose(_turn(-step[:, :3], self.cross) @ rotation, numbers - step[:, 3:])
        there = self._misfit(tried, points, seen, edges, usual)
        better = there[0] < misfit
        a, b = better[:, None], better[:, None, None]
        return (
            torch.where(b, tried.rotation, rotation),
            torch.where(a, tried.numbers, numbers),
            torch.where(better, there[0], misfit),
            torch.where(a, there[1], gradient),
            torch.where(b, there[2], normal),
            torch.where(better, damping / 5, damping * 5),
        )

    def _misfit(self, pose, points, seen, edges, usual):
        """The sum of what strays cost and of the squares of what is unusual, (n,), half its
        gradient (n, 11), and about half its second derivatives (n, 11, 11). How firmly a lean is
        held is taken as given in both."""
        unusual = pose.numbers - usual[0]
        firm = self._firmness(pose, usual).square() @ self.unit[3:]
        misfit = (firm[:, 3:] * unusual.square()).sum(dim=1)
        gradient = firm * (unusual @ self.unit[3:])
        normal = firm[:, None] * self.unit
        for off, slopes, stray, loss in self._residuals(pose, points, seen, edges):
            cost, weight = loss(off.square().sum(dim=2) / stray**2)
            misfit = misfit + stray**2 * cost.sum(dim=1)
            heavy = (slopes * weight[..., None, None]).flatten(1, 2).transpose(1, 2)
            normal = normal + heavy @ slopes.flatten(1, 2)
            gradient = gradient + (heavy @ off.flatten(1, 2)[..., None])[..., 0]
        return misfit, gradient, normal

    def _residuals(self, pose, points, seen, edges):
        """How far off keypoints and edges are, each in units of how far off they may be: residuals
        (n, k, d) of d numbers each, their derivatives (n, k, d, 11), when they are strays, and what
        these cost."""
        weight = seen.double()[..., None] / (_BLUR * self.size[0])
        at, by = self._project(pose, self._keypoints(pose), derivatives=True)
        yield (at - points) * weight, by * weight[..., None], _STRAY, _cauchy
        if edges:
            at, by = self._project(pose, edges.lines, derivatives=True)
            across = edges.normal.repeat(1, 2, 1)
            at = (across * at).sum(dim=2)[..., None]
            by = (across[..., None] * by).sum(dim=2)[:, :, None]
            share, weight = edges.share, edges.weight
            off = (at[:, :12] * (1 - share) + at[:, 12:] * share - edges.place) * weight
            slopes = by[:, :12] * (1 - share)[:, None] + by[:, 12:] * share[:, None]
            slopes = slopes * weight[..., None]
            yield off.flatten(1)[..., None], slopes.flatten(1, 2)[:, :, None], _STRAY_EDGE, _huber


def _cauchy(squares):
    """What strays cost, from squares of how far off they are, and the slope of that: minus the log
    of A. L. Cauchy's density."""
    return (1 + squares).log(), 1 / (1 + squares)


def _huber(squares):
    """The same, of a smooth form of P. J. Huber's loss ("Robust Estimation of a Location
    Parameter", Annals of Mathematical Statistics 35, 1964)."""
    bent = (1 + squares).sqrt()
    return 2 * (bent - 1), 1 / bent


def _turn(vector, cross):
    """(n, 3, 3) rotations by about (n, 3) radians, exact rotations by A. Cayley's formula; `cross`
    is _CROSS."""
    half = vector / 2
    share = 2 / (1 + half.square().sum(dim=1))
    across = (half @ cross).unflatten(1, (3, 3))
    unit = torch.eye(3, dtype=vector.dtype, device=vector.device)
    return unit + share[:, None, None] * (across + across @ across)
