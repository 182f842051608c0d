"""Prediction for one picture."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Shaped

from cardpose.geometry.sweep import Contribution

SURE = 0.5  # threshold for the confidence of a packet and the visibility of a keypoint


@dataclass(frozen=True, eq=False)
class Result:
    """Prediction for one picture.

    Attributes:
        cards: count in cards, not rounded.
        low, high: ends of the count's 90 % interval in cards; NaN if the network has no margins.
        keypoints: in the order of `keypoints.KEYPOINTS`, hidden ones included, in pixels of the
            picture. x runs right, y runs down; (0, 0) is the outer corner of the top-left pixel.
        visibility: probability that each keypoint is visible, 0 to 1.
        confidence: the network's confidence that the picture shows a packet, 0 to 1.
        width, height: of the picture, in pixels.
        corners: index in `keypoints` of each keypoint of the fitted box.
        contribution: what the picture says of the box, for the count of a recording; None if it
            shows too few keypoints.
    """

    cards: float
    low: float
    high: float
    keypoints: Float32[np.ndarray, "8 2"]
    visibility: Float32[np.ndarray, " 8"]
    confidence: float
    width: int
    height: int
    corners: Shaped[np.ndarray, " 8"]  # not Int64: ONNX Runtime returns `long long`
    contribution: Contribution | None

    @property
    def visible(self) -> Bool[np.ndarray, " 8"]:
        """Whether each keypoint is visible."""
        return self.visibility > SURE

    @property
    def packet(self) -> bool:
        """Whether the picture shows a packet. If not, ignore the other attributes."""
        return self.confidence >= SURE
