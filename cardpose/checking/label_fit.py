"""Labels against a box: which corners of a recording's frames cannot be where their labels are.

All frames of a recording show one box, see `bundle.fit_box`. With its thickness, its lean and its
twist known, a picture has six unknowns left, where the camera is, and up to sixteen numbers of
labels: what does not fit stands out, and leaving out one corner after the other tells which.

Places are in pixels of a picture UNIT wide, whatever size the frames are.
"""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from cardpose.geometry.bundle import fit_box
from cardpose.geometry.card import card_corners
from cardpose.geometry.keypoints import BACK, CORNER, TURNED
from cardpose.geometry.pose import Packet
from cardpose.pictures.letterbox import UNIT

_STEPS = 15  # of the fit of a camera
_ALONE = 50  # pictures of a recording, at most, of which the camera is sought from nothing
_BOX = 5  # visible corners that a frame has to have to bear witness to the box
# All ways to cross left and right of the four short edges; the first crosses none.
_CROSSED = np.array(
    [
        [i ^ 1 if crossed[i // 2] else i for i in range(8)]
        for crossed in product((False, True), repeat=4)
    ]
)
_LEAN, _TWIST = 2.0, 1.0  # mm, what is usual, as in `box`


@dataclass(frozen=True)
class LabelFit:
    """The box in n pictures. `points` (n, 8, 2) are its corners where the labels' names are;
    `names` (n, 8) which label each of the box's keypoints has; `squares` (n,) what is left of the
    labels' offsets, summed; `freedom` (n,) how many numbers more than unknowns there are; `strain`
    (n, 8) how much of `squares` would go if a corner were left out; `rotation`, `place` the
    camera's; `informs` (n, 4, 4) what a picture says of thickness, lean and twist."""

    points: np.ndarray
    names: np.ndarray
    squares: np.ndarray
    freedom: np.ndarray
    strain: np.ndarray
    rotation: np.ndarray
    place: np.ndarray
    informs: np.ndarray

    def __getitem__(self, rows):
        return LabelFit(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @property
    def worst(self):
        """(n,) pixels, how far off the corner is that fits worst; 0 without redundancy."""
        return np.where(self.freedom > 0, np.sqrt(self.strain.max(axis=1)), 0)

    @property
    def spread(self):
        """(n,) pixels, how far off a label's coordinate usually is; NaN without redundancy."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.freedom > 0, np.sqrt(self.squares / self.freedom), np.nan)


class LabelFitter:
    """Fits boxes of a card's size to labels.

    Args:
        focal: focal length as a share of a picture's longer side.
        card: (width, length, thickness) in mm.
        deck: how many cards there may be.
    """

    def __init__(self, focal, card, deck):
        self.focal, self.card = focal, tuple(card)
        self.packet = Packet(UNIT, focal, self.card, deck)
        self.outline = card_corners(*self.card[:2])

    def alone(self, points, visible):
        """What pictures say alone, of a recording at most _ALONE of them, evenly spread.

        Returns:
            (k,) which of the pictures, their rotations (k, 3, 3) and numbers (k, 8), see
            `pose.Pose`, and which label (k, 8) each keypoint of their boxes has.
        """
        rows = np.unique(np.linspace(0, len(points) - 1, _ALONE).round().astype(int))
        with torch.inference_mode():
            known = (torch.from_numpy(part[rows]) for part in (points, visible))
            pose, names = self.packet.fit(*known)
        return rows, *(part.numpy() for part in pose), names.numpy()

    def box(self, points, visible, alone, use):
        """The box of a recording, from the frames `use` (n,), which are in their order; None if
        they show too little. `alone` is what `alone` says, the rest as `bundle.fit_box` has it."""
        rows = alone[0]
        good = use[rows] & (visible[rows].sum(axis=1) >= _BOX)
        if not good.any():
            return None
        rows, *pose, names = (part[good] for part in alone)
        return fit_box(points[rows], visible[rows], pose, names, UNIT, self.focal, self.card)

    def fit(self, box, points, visible, alone):
        """Where cameras have to be for the labels (n, 8, 2), visible (n, 8), to show the box.

        Each picture starts from what the one before it and the one after it say alone, which may
        be far off: see `fit_beside`.
        """
        rows, rotation, numbers, names = alone
        after = np.minimum(np.searchsorted(rows, np.arange(len(points))), len(rows) - 1)
        before = np.searchsorted(rows, np.arange(len(points)), side="right") - 1
        starts = [after] if (after == before).all() else [before, after]
        tries = [
            self._fit(box, points, visible, rotation[k], numbers[k, :3], names[k]) for k in starts
        ]
        return _chosen(tries, np.argmin([fit.squares for fit in tries], axis=0))

    def fit_beside(self, box, points, visible, near, crossed=True):
        """The best fit of each of n pictures, starting from other pictures too.

        Args:
            points, visible: as for `fit`, of at most _ALONE pictures.
            near: a `Fit` of pictures that were taken before and after them.
            crossed: whether to try all namings that cross an edge's left and right. Seen along
                an edge its two ends have nearly the same x, and may be called either way.
        """
        n = len(points)
        flips = _CROSSED if crossed else _CROSSED[:1]
        _, rotation, numbers, names = self.alone(points, visible)
        starts = [(rotation, numbers[:, :3], flip[names]) for flip in flips]
        for k, turned, flip in product(range(len(near.names)), (False, True), flips):
            names, rotation = near.names[k], near.rotation[k]
            if turned:
                names, rotation = names[list(TURNED)], rotation @ np.diag([-1.0, -1, 1])
            starts.append([np.stack([part] * n) for part in (rotation, near.place[k], flip[names])])
        # All side by side: many small fits one after the other take far longer.
        tries = len(starts)
        many = np.tile(points, (tries, 1, 1)), np.tile(visible, (tries, 1))
        fit = self._fit(box, *many, *(np.concatenate(part) for part in zip(*starts, strict=True)))
        best = fit.squares.reshape(tries, n).argmin(axis=0)
        return fit[best * n + np.arange(n)]

    def _fit(self, box, points, visible, rotation, place, names):
        """As `fit`, from these cameras (n, 3, 3) and (n, 3), the labels being of the box's
        keypoints `names` (n, 8)."""
        rows = np.arange(len(points))[:, None]
        target, seen = points[rows, names], visible[rows, names]
        # Upper and lower may be called the other way round than where the box's lean was fitted.
        turned = replace(box, lean=-box.lean)
        fits = [self._place(b, target, seen, rotation, place) for b in (box, turned)]
        fit = _chosen(fits, np.argmin([fit.squares for fit in fits], axis=0))
        shown, strain = np.empty_like(fit.points), np.empty_like(fit.strain)
        shown[rows, names], strain[rows, names] = fit.points, fit.strain
        return replace(fit, points=shown, strain=strain, names=names)

    def _world(self, box):
        world = np.column_stack([self.outline[CORNER], BACK * box.thickness])
        world[~BACK, :2] += box.lean
        world[:, 2] += box.twist * np.array([-1, 1, 1, -1])[CORNER]
        return world

    def _place(self, box, target, seen, rotation, place):
        """The cameras by D. Marquardt's method, all pictures side by side."""
        world, n = self._world(box), len(target)
        damping = np.full(n, 1e-3)
        off, by, _ = self._off(world, target, seen, rotation, place)
        squares = (off**2).sum(axis=(1, 2))
        for _ in range(_STEPS):
            slopes = by.reshape(n, 16, 6)
            normal = slopes.transpose(0, 2, 1) @ slopes
            scale = normal * np.eye(6)
            gradient = (slopes.transpose(0, 2, 1) @ off.reshape(n, 16, 1))[..., 0]
            more = scale * damping[:, None, None] + 1e-9 * np.eye(6)
            step = -np.linalg.solve(normal + more, gradient[..., None])[..., 0]
            turned = Rotation.from_rotvec(step[:, :3]).as_matrix() @ rotation
            tried = turned, place + step[:, 3:]
            there = self._off(world, target, seen, *tried)
            after = (there[0] ** 2).sum(axis=(1, 2))
            better = after < squares
            b = better[:, None, None]
            rotation = np.where(b, tried[0], rotation)
            place = np.where(better[:, None], tried[1], place)
            off, by = np.where(b, there[0], off), np.where(b[..., None], there[1], by)
            squares = np.where(better, after, squares)
            damping = np.where(better, damping / 5, damping * 5)
        points = self._off(world, target, np.ones_like(seen), rotation, place)[0] + target
        strain, informs = self._redundancy(box, off, by, seen, rotation, place)
        freedom = 2 * seen.sum(axis=1) - 6
        names = np.zeros((n, 8), int)
        return LabelFit(points, names, squares, freedom, strain, rotation, place, informs)

    def _off(self, world, target, seen, rotation, place):
        """(n, 8, 2) pixels from labels to the box, (n, 8, 2, 6) derivatives by a turn about the
        camera's axes and by its place, and (n, 8, 2, 3) by the corner's place before it."""
        turned = np.einsum("nij,kj->nki", rotation, world)
        at = turned + place[:, None]
        z = np.maximum(at[..., 2], 1.0)  # nothing is nearer than 1 mm
        focal = self.focal * UNIT[0]
        points = focal * at[..., :2] / z[..., None] + np.array(UNIT) / 2
        by = np.zeros((*at.shape[:2], 2, 3))
        by[..., 0, 0] = by[..., 1, 1] = focal / z
        by[..., 2] = -focal * at[..., :2] / z[..., None] ** 2
        x, y, w = np.moveaxis(turned, -1, 0)
        zero = np.zeros_like(x)
        # Columns: what a small turn about each axis does to a place.
        turn = np.stack(
            [
                np.stack([zero, w, -y], axis=-1),
                np.stack([-w, zero, x], axis=-1),
                np.stack([y, -x, zero], axis=-1),
            ],
            axis=-2,
        )
        slopes = np.concatenate([by @ turn, by], axis=-1) * seen[..., None, None]
        return (points - target) * seen[..., None], slopes, by * seen[..., None, None]

    def _redundancy(self, box, off, by, seen, rotation, place):
        n = len(off)
        slopes = by.reshape(n, 16, 6)
        inverse = np.linalg.inv(slopes.transpose(0, 2, 1) @ slopes + 1e-6 * np.eye(6))
        hat = slopes @ inverse @ slopes.transpose(0, 2, 1)
        left = np.eye(16) - hat
        strain = np.zeros((n, 8))
        for k in range(8):
            pair = slice(2 * k, 2 * k + 2)
            # What a corner's own label does not pull along; next to nothing where nothing holds it.
            own = left[:, pair, pair] + 0.02 * np.eye(2)
            strain[:, k] = np.einsum("ni,nij,nj->n", off[:, k], np.linalg.inv(own), off[:, k])
        world = self._world(box)
        by_world = self._off(world, np.zeros_like(off), seen, rotation, place)[2]
        by_world = by_world @ rotation[:, None]
        moves = np.zeros((8, 3, 4))  # of a corner, by thickness, lean and twist
        moves[:, 2, 0], moves[:, 2, 3] = BACK, np.array([-1, 1, 1, -1])[CORNER]
        moves[~BACK, 0, 1] = moves[~BACK, 1, 2] = 1
        by_box = (by_world @ moves).reshape(n, 16, 4)
        return strain, by_box.transpose(0, 2, 1) @ left @ by_box


def _chosen(fits, which):
    """Of each picture (n,) the fit that `which` says."""
    values = []
    for name in LabelFit.__dataclass_fields__:
        every = np.stack([getattr(fit, name) for fit in fits])
        values.append(every[which, np.arange(len(which))])
    return LabelFit(*values)


def thickness_error(fit, spread):
    """mm, how far off the thickness of a recording's box may be (one standard deviation), when its
    labels are off by `spread` pixels."""
    usual = np.diag([0, 1 / _LEAN**2, 1 / _LEAN**2, 1 / _TWIST**2]) + 1e-9 * np.eye(4)
    informs = fit.informs[fit.freedom >= 2 * _BOX - 6].sum(axis=0)
    return float(np.sqrt(np.linalg.inv(informs / spread**2 + usual)[0, 0]))
