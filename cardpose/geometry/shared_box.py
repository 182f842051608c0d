"""Estimate one box from several views of a packet.

Each view contributes the information matrix and vector of the box alone (`box_information`). They
add up. A prior on lean and twist is added once. Views that disagree with the rest get less weight,
as if their errors had Student's t distribution (K. Lange et al., "Robust Statistical Modeling Using
the t Distribution", 1989).

A box turned by 180 degrees looks the same, but its lean has the opposite signs. `turn` changes a
contribution accordingly.

This module does not import torch, because recordings are also counted with ONNX Runtime alone.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from cardpose.geometry.priors import LEAN_PRIOR, RECORDING_PRIORS

TURNED_BOX = np.array([1.0, -1.0, -1.0, 1.0])  # signs of a box's numbers after half a turn
_FREEDOM = 4.0  # degrees of freedom of the t distribution
_ROUNDS = 6  # of reweighting
_USUAL = 6.0  # mm, first guess of a thickness
_THICKEST = 20.0  # mm, largest thickness for which the prior on lean is computed
_FAINT = 1e-6  # 1/mm^2, keeps matrices of few views invertible
_MODEL_ERROR = 0.3  # mm, standard deviation of each number, because no packet is an exact box

Matrices = Float64[np.ndarray, "*n 4 4"]
Vectors = Float64[np.ndarray, "*n 4"]


@dataclass(frozen=True)
class SharedBox:
    """Box estimated from several views.

    Attributes:
        numbers: thickness, lean along the short and the long edge, and twist, in mm. The axes are
            those of the first picture.
        covariance: of these numbers, in mm^2.
    """

    numbers: Float64[np.ndarray, "4"]
    covariance: Float64[np.ndarray, "4 4"]

    @property
    def thickness(self) -> float:
        """Thickness in mm."""
        return float(self.numbers[0])

    @property
    def deviation(self) -> float:
        """Standard deviation of the thickness in mm."""
        return float(np.sqrt(self.covariance[0, 0]))

    def distance(self, other: "SharedBox") -> float:
        """Return the squared Mahalanobis distance of two boxes, the smaller one of both turns."""
        distances = []
        for turn_signs in (np.ones(4), TURNED_BOX):
            off = self.numbers - other.numbers * turn_signs
            covariance = other.covariance * turn_signs[:, None] * turn_signs
            spread = self.covariance + covariance + _MODEL_ERROR**2 * np.eye(4)
            distances.append(float(off @ np.linalg.solve(spread, off)))
        return min(distances)


@dataclass(frozen=True)
class BoxPrior:
    """Prior on a box: none on its thickness, or a normal distribution.

    Attributes:
        thickness: of the packet in mm; None if its count is not given.
    """

    thickness: float | None = None

    @property
    def mean(self) -> Float64[np.ndarray, "4"]:
        """Mean of the box's numbers, in mm."""
        return np.array([self.thickness or 0.0, 0.0, 0.0, 0.0])

    def precision(self, thickness: float = _USUAL) -> Float64[np.ndarray, "4 4"]:
        """Return the inverse covariance in 1/mm^2, given an estimate of the thickness in mm."""
        firm = _FAINT
        if self.thickness is not None:
            thickness = self.thickness
            firm = 1 / RECORDING_PRIORS.unevenness_of(thickness) ** 2
        lean = 1 / LEAN_PRIOR.deviation_of(min(max(thickness, 0.0), _THICKEST)) ** 2
        return np.diag([firm, lean, lean, 1 / RECORDING_PRIORS.twist**2])


def estimate_box(
    information: Float64[np.ndarray, "n 4 4"],
    vector: Float64[np.ndarray, "n 4"],
    weight: Float64[np.ndarray, " n"],
    prior: BoxPrior,
) -> SharedBox:
    """Return the box that fits n views best.

    The covariance is scaled by the views' disagreement, if they disagree more than they should.

    Args:
        information, vector: of each view, all in the same turn.
        weight: of each view.
    """
    trust, thickness = np.ones(len(weight)), _USUAL
    for _ in range(_ROUNDS):
        precision = prior.precision(thickness)
        used = weight * trust
        total = np.tensordot(used, information, 1) + precision
        numbers = np.linalg.solve(total, used @ vector + precision @ prior.mean)
        off = _excess_cost(information, vector, numbers, precision)
        scale = max(float(np.median(off)) / 3, 1.0)
        trust = (_FREEDOM + 4) / (_FREEDOM + off / scale)
        thickness = float(numbers[0])
    return SharedBox(numbers, np.linalg.inv(total) * scale)


def turn(information: Matrices, vector: Vectors) -> tuple[Matrices, Vectors]:
    """Turn contributions by 180 degrees."""
    return information * TURNED_BOX[:, None] * TURNED_BOX, vector * TURNED_BOX


def choose_turns(
    information: Float64[np.ndarray, "n 4 4"], vector: Float64[np.ndarray, "n 4"], prior: BoxPrior
) -> list[bool]:
    """Return which contributions to turn by 180 degrees, so that one box fits all of them.

    The contribution that says most comes first. Each other one takes the turn in which the box that
    fits best to it and all before has the lower cost. The first contribution is never turned.
    """
    precision = prior.precision()
    total, right = precision, precision @ prior.mean
    turns = [False] * len(vector)
    for i in np.argsort([-_certainty(matrix) for matrix in information]):
        ways = [(information[i], vector[i]), turn(information[i], vector[i])]
        costs = [_least_cost(total + matrix, right + column) for matrix, column in ways]
        turns[i] = costs[1] < costs[0]
        total, right = total + ways[turns[i]][0], right + ways[turns[i]][1]
    return [each != turns[0] for each in turns]


def _certainty(information: Float64[np.ndarray, "4 4"]) -> float:
    """Return how many of the four numbers a view tells to much better than 0.1 mm."""
    return float(np.trace(np.linalg.solve(information + 100 * np.eye(4), information)))


def _least_cost(information: Float64[np.ndarray, "4 4"], vector: Float64[np.ndarray, "4"]) -> float:
    return float(-vector @ np.linalg.solve(information, vector))


def _excess_cost(
    information: Float64[np.ndarray, "n 4 4"],
    vector: Float64[np.ndarray, "n 4"],
    numbers: Float64[np.ndarray, "4"],
    precision: Float64[np.ndarray, "4 4"],
) -> Float64[np.ndarray, " n"]:
    """Return by how much the cost of each view exceeds its least cost, without dimension.

    Half of the prior's precision keeps a view from disagreeing about numbers it says little of.
    """
    slope = information @ numbers - vector
    firm = information + precision / 2 + _FAINT * np.eye(4)
    return np.einsum("ni,ni->n", slope, np.linalg.solve(firm, slope[..., None])[..., 0])
