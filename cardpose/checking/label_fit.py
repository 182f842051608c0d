"""Fit a recording's box to its labels, and measure how badly each label fits.

All frames of a recording show one box, see `sweep`. After its thickness, lean and twist are
estimated, each frame has six unknowns, the pose of the camera, and up to sixteen coordinates of
labels. A wrong label leaves large residuals. Leaving out one corner at a time shows which it is.

Places are in unit pixels, see `letterbox`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64, Integer

from cardpose.checking.strain import strain_and_information
from cardpose.geometry.box import BoxModel
from cardpose.geometry.box_fit import BoxFitter
from cardpose.geometry.box_information import box_information
from cardpose.geometry.keypoints import TURNED
from cardpose.geometry.pose_fit import UNKNOWNS, calculate_offsets, fit_views
from cardpose.geometry.priors import LEAN_PRIOR, RECORDING_PRIORS
from cardpose.geometry.projection import (
    BOX,
    PLACE,
    Pose,
    card_keypoints,
    numpy_lens,
    project,
)
from cardpose.geometry.recording_count import contributions
from cardpose.geometry.shared_box import TURNED_BOX, SharedBox
from cardpose.geometry.sweep import share_box
from cardpose.pictures.letterbox import UNIT

_ALONE = 50  # most frames of a recording that get a box of their own
_CORNERS = 5  # fewest visible corners in a frame that the recording's box is fitted to
# All ways to swap left and right at the four short edges; the first swaps none.
_CROSSINGS = np.array(
    [
        [i ^ 1 if crossed[i // 2] else i for i in range(8)]
        for crossed in product((False, True), repeat=4)
    ]
)
_HALF_TURN = np.diag([-1.0, -1.0, 1.0])  # turns a packet on the table by 180 degrees


@dataclass(frozen=True)
class LabelFit:
    """The box of a recording in n frames.

    Attributes:
        points: corners of the box in pixels, in the order of the labels.
        names: index of the label of each keypoint of the box.
        squares: sum of the squared offsets between labels and box, in square pixels.
        freedom: degrees of freedom: number of labelled coordinates less unknowns.
        strain: decrease of `squares` if a corner is left out, in the order of the labels.
        rotation, place: pose of the camera, see `projection.Pose`.
        information: information matrix of thickness, lean and twist, in square pixels per square
            mm, after eliminating the camera.
    """

    points: Float64[np.ndarray, "n 8 2"]
    names: Int64[np.ndarray, "n 8"]
    squares: Float64[np.ndarray, " n"]
    freedom: Int64[np.ndarray, " n"]
    strain: Float64[np.ndarray, "n 8"]
    rotation: Float64[np.ndarray, "n 3 3"]
    place: Float64[np.ndarray, "n 3"]
    information: Float64[np.ndarray, "n 4 4"]

    def __getitem__(self, rows: slice | np.ndarray) -> "LabelFit":
        return LabelFit(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def worst(self) -> Float64[np.ndarray, " n"]:
        """Offset of the corner that fits worst, in pixels; 0 without redundancy."""
        return np.where(self.freedom > 0, np.sqrt(self.strain.max(axis=1)), 0)

    @property
    def spread(self) -> Float64[np.ndarray, " n"]:
        """Standard deviation of a label's coordinate, in pixels; NaN without redundancy."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.freedom > 0, np.sqrt(self.squares / self.freedom), np.nan)


class FramesAlone(NamedTuple):
    """Boxes fitted to single frames.

    Attributes:
        rows: indices of the frames.
        pose: poses of the boxes.
        names: index of the label of each keypoint of a box.
    """

    rows: Integer[np.ndarray, " k"]
    pose: Pose
    names: Int64[np.ndarray, "k 8"]


class LabelFitter:
    """Fit boxes of a card's size to labels.

    Args:
        focal: focal length as a share of a picture's longer side.
        card: (width, length, thickness) of a card in mm.
        deck: the largest number of cards in a packet.
    """

    def __init__(self, focal: float | int, card: Sequence[float | int], deck: int) -> None:
        self.focal, self.card = focal, tuple(card)
        self.fitter = BoxFitter(BoxModel(UNIT, focal, self.card, deck))
        self.lens = numpy_lens(UNIT, focal * UNIT[0])
        self.keypoints = card_keypoints(self.card)

    def fit_alone(
        self, points: Float64[np.ndarray, "n 8 2"], visible: Bool[np.ndarray, "n 8"]
    ) -> FramesAlone:
        """Fit a box to the labels of each frame alone.

        Fit only _ALONE frames of a longer recording, evenly spread.
        """
        rows = np.unique(np.linspace(0, len(points) - 1, _ALONE).round().astype(int))
        with torch.inference_mode():
            labels = (torch.from_numpy(part[rows]) for part in (points, visible))
            pose, names = self.fitter.fit(*labels)
        return FramesAlone(rows, Pose(*(part.numpy() for part in pose)), names.numpy())

    def fit_box(
        self,
        points: Float64[np.ndarray, "n 8 2"],
        visible: Bool[np.ndarray, "n 8"],
        alone: FramesAlone,
        use: Bool[np.ndarray, " n"],
    ) -> SharedBox | None:
        """Fit the box of a recording to the labels of the frames in `use`.

        Frames are in the order they were taken. Return None if they show too few corners.
        """
        good = use[alone.rows] & (visible[alone.rows].sum(axis=1) >= _CORNERS)
        if not good.any():
            return None
        rows, pose = alone.rows[good, None], Pose(*(part[good] for part in alone.pose))
        names = alone.names[good]
        labels, seen = points[rows, names], visible[rows, names]
        with torch.inference_mode():
            poses = Pose(*map(torch.from_numpy, pose))
            tensors = torch.from_numpy(labels), torch.from_numpy(seen)
            information, vector = box_information(self.fitter, poses, *tensors, edges=None)
        return share_box(contributions(information.numpy(), vector.numpy(), seen, pose))

    def fit_cameras(
        self,
        box: SharedBox,
        points: Float64[np.ndarray, "n 8 2"],
        visible: Bool[np.ndarray, "n 8"],
        alone: FramesAlone,
    ) -> LabelFit:
        """Fit the camera of each frame, so that the box lies on the labels.

        Start from the nearest frames in `alone`, before and after. Their poses may be far off;
        `fit_cameras_beside` tries more starts.
        """
        rows, (rotation, numbers), names = alone
        after = np.minimum(np.searchsorted(rows, np.arange(len(points))), len(rows) - 1)
        before = np.searchsorted(rows, np.arange(len(points)), side="right") - 1
        starts = [after] if (after == before).all() else [before, after]
        fits = [
            self._fit(box, points, visible, rotation[k], numbers[k, PLACE], names[k])
            for k in starts
        ]
        return _choose_best(fits)

    def fit_cameras_beside(
        self,
        box: SharedBox,
        points: Float64[np.ndarray, "n 8 2"],
        visible: Bool[np.ndarray, "n 8"],
        near: LabelFit,
        crossed: bool = True,
    ) -> LabelFit:
        """Fit the camera of each frame from several starts, and return the best fit of each.

        Args:
            points, visible: as for `fit_cameras`, of at most _ALONE frames.
            near: fits of frames taken before and after these, as further starts.
            crossed: whether to start also with left and right swapped at every short edge. In a
                view along an edge, its two ends have nearly the same x, so either may be left.
        """
        n = len(points)
        crossings = _CROSSINGS if crossed else _CROSSINGS[:1]
        _, (rotation, numbers), names = self.fit_alone(points, visible)
        starts = [(rotation, numbers[:, PLACE], crossing[names]) for crossing in crossings]
        for k, turned, crossing in product(range(len(near.names)), (False, True), crossings):
            names, rotation = near.names[k], near.rotation[k]
            if turned:
                names, rotation = names[list(TURNED)], rotation @ _HALF_TURN
            start = rotation, near.place[k], crossing[names]
            rotations, places, namings = (np.stack([part] * n) for part in start)
            starts.append((rotations, places, namings))
        # Fit all starts in one batch, which is far faster than many small fits.
        tries = len(starts)
        many = np.tile(points, (tries, 1, 1)), np.tile(visible, (tries, 1))
        fit = self._fit(box, *many, *(np.concatenate(part) for part in zip(*starts, strict=True)))
        best = fit.squares.reshape(tries, n).argmin(axis=0)
        return fit[best * n + np.arange(n)]

    def _fit(
        self,
        box: SharedBox,
        points: Float64[np.ndarray, "n 8 2"],
        visible: Bool[np.ndarray, "n 8"],
        rotation: Float64[np.ndarray, "n 3 3"],
        place: Float64[np.ndarray, "n 3"],
        names: Int64[np.ndarray, "n 8"],
    ) -> LabelFit:
        """Fit the camera of each frame from one start, with given names of the labels."""
        rows = np.arange(len(points))[:, None]
        labels, seen = points[rows, names], visible[rows, names]
        # Upper and lower may be exchanged here, compared with the frames that gave the lean.
        boxes = box, replace(box, numbers=box.numbers * TURNED_BOX)
        fit = _choose_best([self._fit_named(b, labels, seen, rotation, place) for b in boxes])
        order = names.argsort(axis=1)
        return replace(
            fit, points=fit.points[rows, order], strain=fit.strain[rows, order], names=names
        )

    def _fit_named(
        self,
        box: SharedBox,
        labels: Float64[np.ndarray, "n 8 2"],
        seen: Bool[np.ndarray, "n 8"],
        rotation: Float64[np.ndarray, "n 3 3"],
        place: Float64[np.ndarray, "n 3"],
    ) -> LabelFit:
        """Fit the camera of each frame to labels in the order of the box's keypoints."""
        numbers = np.zeros((len(labels), 8))
        numbers[:, BOX] = box.numbers
        numbers[:, PLACE] = place
        known = self.lens, self.keypoints
        pose, squares = fit_views(*known, Pose(rotation, numbers), labels, seen)
        strain, information = strain_and_information(calculate_offsets(*known, pose, labels, seen))
        return LabelFit(
            points=project(self.lens, pose, self.keypoints),
            names=np.zeros(seen.shape, int),
            squares=squares,
            freedom=2 * seen.sum(axis=1) - UNKNOWNS,
            strain=strain,
            rotation=pose.rotation,
            place=pose.place,
            information=information,
        )


def thickness_error(box: SharedBox, fit: LabelFit, spread: float | int) -> float:
    """Return the standard deviation in mm of the thickness of a recording's box.

    Args:
        box, fit: of the recording.
        spread: standard deviation of a label's coordinate in pixels.
    """
    lean, twist = LEAN_PRIOR.deviation_of(box.thickness), RECORDING_PRIORS.twist
    prior = np.diag([0, 1 / lean**2, 1 / lean**2, 1 / twist**2]) + 1e-9 * np.eye(4)
    information = fit.information[fit.freedom >= 2 * _CORNERS - UNKNOWNS].sum(axis=0)
    return float(np.sqrt(np.linalg.inv(information / spread**2 + prior)[0, 0]))


def _choose_best(fits: Sequence[LabelFit]) -> LabelFit:
    """Return for each frame the fit with the smallest sum of squares."""
    return _choose(fits, np.argmin([fit.squares for fit in fits], axis=0))


def _choose(fits: Sequence[LabelFit], which: Integer[np.ndarray, " n"]) -> LabelFit:
    """Return for each frame the fit whose index is in `which`."""
    rows = np.arange(len(which))
    columns = [np.stack([getattr(fit, field.name) for fit in fits]) for field in fields(LabelFit)]
    return LabelFit(*(column[which, rows] for column in columns))
