"""Estimate the box of a packet from all pictures of it, as they arrive.

In one picture, a packet that leans looks like a thicker or thinner packet. Thickness, lean and
twist are the same in every picture of an untouched packet, so pictures from several sides tell them
apart. `shared_box` has the estimate. This module decides what enters it:

- Pictures from nearly one direction have nearly the same errors. They are averaged into one view.
- Names of keypoints depend on the picture: where the camera passes a long side, upper corners
  become lower ones. Small steps of the camera tell which half turn is right. After a large step, a
  new leg begins, and its half turn is the one that fits better to the other legs.
- Several pictures in a row that disagree with all before and agree with each other show another
  packet, or one that was touched.

`app/sweep.js` is the same in JavaScript.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from cardpose.geometry.shared_box import BoxPrior, SharedBox, choose_turns, estimate_box, turn

VIEW_ANGLE = 5.0  # degrees; directions closer than that are one view
LEAP = 40.0  # degrees; a longer step of the camera begins a new leg
MOST_VIEWS = 100  # in memory; beyond, the two closest views are merged
REPEATS = 0.3  # n pictures of one view weigh as much as n ** REPEATS views
DOUBTFUL = 9.0  # squared distance from which a picture disagrees with the box
CHANGED = 50.0  # squared distance from which several of them show another packet
ROW = 5  # directions in a row that it takes
MOST_DOUBTFUL = 25  # pictures in a row that are enough even from fewer directions
SECTORS = 36  # parts of the circle round the packet, for `Sweep.covered`
_TURNED_CAMERA = np.array([-1.0, -1.0, 1.0])


class Contribution(NamedTuple):
    """What one picture says of the box.

    Attributes:
        information, vector: see `box_information`.
        camera: position of the camera in the box's axes, in mm.
    """

    information: Float64[np.ndarray, "4 4"]
    vector: Float64[np.ndarray, "4"]
    camera: Float64[np.ndarray, "3"]


@dataclass(frozen=True)
class _View:
    """Sum of the contributions of pictures from nearly one direction.

    Attributes:
        information, vector: sums.
        direction: unit vector from the box to the camera.
        leg: number of the leg.
        pictures: number of pictures.
    """

    information: Float64[np.ndarray, "4 4"]
    vector: Float64[np.ndarray, "4"]
    direction: Float64[np.ndarray, "3"]
    leg: int
    pictures: int

    def turned(self) -> "_View":
        """Return the view after half a turn of the box."""
        information, vector = turn(self.information, self.vector)
        direction = self.direction * _TURNED_CAMERA
        return replace(self, information=information, vector=vector, direction=direction)

    def is_close(self, other: "_View") -> bool:
        """Return whether the directions of two views differ by less than VIEW_ANGLE."""
        return bool(self.direction @ other.direction > np.cos(np.radians(VIEW_ANGLE)))

    def joined(self, other: "_View") -> "_View":
        """Return the sum of two views, with the direction of this one."""
        return replace(
            self,
            information=self.information + other.information,
            vector=self.vector + other.vector,
            pictures=self.pictures + other.pictures,
        )

    def weighted(self) -> tuple[Float64[np.ndarray, "4 4"], Float64[np.ndarray, "4"]]:
        """Return information and vector as they count in a sum over views."""
        weight = self.pictures ** (REPEATS - 1)
        return self.information * weight, self.vector * weight


class Sweep:
    """Estimate of a packet's box from pictures in any order.

    Memory stays constant as pictures are added.

    Args:
        thickness: of the packet in mm; None if its count is not given.
    """

    def __init__(self, thickness: float | None = None) -> None:
        self.prior = BoxPrior(thickness)
        self._begin()

    def _begin(self) -> None:
        self.pictures = 0
        self._views: list[_View] = []
        self._doubtful: list[Contribution] = []
        self._last: np.ndarray | None = None  # direction of the last picture
        self._leg = 0

    def add(self, picture: Contribution) -> bool:
        """Add a picture. Return whether it and those before it show another packet.

        Then the sweep has begun again, with the pictures of that packet alone.
        """
        box = self.estimate() if self.pictures >= ROW else None
        self._doubtful.append(picture)
        changed = False
        if box and self._disagrees(picture, box):
            other = Sweep(self.prior.thickness)
            for each in self._doubtful:
                other.take(each)
            if len(other._views) < ROW and len(self._doubtful) < MOST_DOUBTFUL:
                return False
            found = other.estimate()
            changed = found is not None and box.distance(found) > CHANGED
        taken, self._doubtful = self._doubtful, []
        if changed:
            self._begin()
        for each in taken:
            self.take(each)
        return changed

    def _disagrees(self, picture: Contribution, box: SharedBox) -> bool:
        """Return whether a picture disagrees with the box, and with all views from its direction.

        Pictures from one direction share errors, so a view tells better than the box whether a
        picture shows the same packet.
        """
        alone = _alone(picture.information, picture.vector, self.prior)
        if box.distance(alone) < DOUBTFUL:
            return False
        view = _View(picture.information, picture.vector, _direction(picture), 0, 1)
        near = [each for each in self._views if each.is_close(view) or each.is_close(view.turned())]
        return all(
            _alone(
                each.information / each.pictures, each.vector / each.pictures, self.prior
            ).distance(alone)
            >= DOUBTFUL
            for each in near
        )

    def estimate(self) -> SharedBox | None:
        """Return the box, or None without pictures."""
        views = self._one_leg()
        if not views:
            return None
        pictures = np.array([view.pictures for view in views], float)
        information = np.stack([view.information for view in views]) / pictures[:, None, None]
        vector = np.stack([view.vector for view in views]) / pictures[:, None]
        return estimate_box(information, vector, pictures**REPEATS, self.prior)

    def covered(self) -> list[bool]:
        """Return from which of SECTORS directions round the packet there are pictures."""
        found = [False] * SECTORS
        for view in self._one_leg():
            angle = np.degrees(np.arctan2(view.direction[1], view.direction[0]))
            for side in (-VIEW_ANGLE, 0, VIEW_ANGLE):
                found[int((angle + side) % 360 * SECTORS / 360)] = True
        return found

    def take(self, picture: Contribution) -> None:
        """Add a picture of this packet: to the view from its direction, or as a new one.

        Unlike `add`, never begin again.
        """
        view = _View(picture.information, picture.vector, _direction(picture), self._leg, 1)
        if self._last is not None:
            if view.direction[:2] @ self._last[:2] < 0:
                view = view.turned()
            if view.direction @ self._last < np.cos(np.radians(LEAP)):
                self._leg += 1
                view = replace(view, leg=self._leg)
        self._last = view.direction
        self.pictures += 1
        same = [each.leg == view.leg and each.is_close(view) for each in self._views]
        if any(same):
            nearest = same.index(True)
            self._views[nearest] = self._views[nearest].joined(view)
        else:
            self._views.append(view)
        if len(self._views) > MOST_VIEWS:
            self._merge_closest()

    def _merge_closest(self) -> None:
        """Join all legs, then merge the two views whose directions are closest."""
        self._views = self._one_leg()
        self._last = self._views[-1].direction
        directions = np.stack([view.direction for view in self._views])
        cosine = directions @ directions.T - 2 * np.eye(len(directions))
        kept, gone = sorted(divmod(int(cosine.argmax()), len(directions)))
        view = self._views.pop(gone)
        self._views[kept] = self._views[kept].joined(view)

    def _one_leg(self) -> list[_View]:
        """Return the views as one leg, some turned, so that one box fits them."""
        legs = sorted({view.leg for view in self._views})
        if len(legs) < 2:
            return self._views
        sums = []
        for leg in legs:
            parts = [view.weighted() for view in self._views if view.leg == leg]
            sums.append([np.sum(part, axis=0) for part in zip(*parts, strict=True)])
        information, vector = (np.stack(part) for part in zip(*sums, strict=True))
        turns = dict(zip(legs, choose_turns(information, vector, self.prior), strict=True))
        turned = [view.turned() if turns[view.leg] else view for view in self._views]
        return [replace(view, leg=legs[-1]) for view in turned]


def share_box(pictures: Iterable[Contribution], thickness: float | None = None) -> SharedBox | None:
    """Return the box of pictures known to show one untouched packet, or None without pictures.

    Args:
        thickness: of the packet in mm; None if its count is not given.
    """
    sweep = Sweep(thickness)
    for picture in pictures:
        sweep.take(picture)
    return sweep.estimate()


def _direction(picture: Contribution) -> Float64[np.ndarray, "3"]:
    """Return the unit vector from the box to the camera."""
    return picture.camera / max(float(np.linalg.norm(picture.camera)), 1e-9)


def _alone(
    information: Float64[np.ndarray, "4 4"], vector: Float64[np.ndarray, "4"], prior: BoxPrior
) -> SharedBox:
    """Return the box that one picture or one view shows."""
    return estimate_box(information[None], vector[None], np.ones(1), prior)
