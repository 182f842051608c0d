"""Network with its pre- and postprocessing, from pictures of any size to keypoints and count.

It uses only operations that ONNX can represent, because `inference.export` writes it to a file.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor, nn

from cardpose.inference.resize import at_least, at_most, resize
from cardpose.network.intervals import count_interval
from cardpose.network.model import COUNTS, CardPose
from cardpose.pictures.letterbox import DETAIL, fit

_TELLING = 4  # the confidence is the mean of this many highest peaks


class Outputs(NamedTuple):
    """Predictions for n pictures.

    Attributes:
        keypoints: x and y of each keypoint, hidden ones included.
        visibility: probability that a keypoint is visible.
        cards: count in cards, not rounded.
        low: lower end of the count's 90 % interval in cards; NaN if the network has no margins.
        high: upper end of the interval.
        confidence: confidence that the picture shows a packet.
        rotation: rotation from the fitted box's axes to the camera's (right, down, forward).
        box: place of the box in the camera's axes (x, y, z), thickness, lean along the short and
            the long edge, twist, zoom; see `projection.Pose`.
        corners: index in `keypoints` of each keypoint of the box.
        information: what the picture says of thickness, lean and twist; see `box_information`.
        vector: right-hand side that belongs to `information`.
    """

    keypoints: Float32[Tensor, "n 8 2"]
    visibility: Float32[Tensor, "n 8"]
    cards: Float32[Tensor, " n"]
    low: Float32[Tensor, " n"]
    high: Float32[Tensor, " n"]
    confidence: Float32[Tensor, " n"]
    rotation: Float32[Tensor, "n 3 3"]
    box: Float32[Tensor, "n 8"]
    corners: Int64[Tensor, "n 8"]
    information: Float32[Tensor, "n 4 4"]
    vector: Float32[Tensor, "n 4"]


class EndToEnd(nn.Module):
    """Network that reads pictures of any size and returns values in their pixels and in cards.

    Args:
        network, metadata: as `weights.load_network` returns them.
        count: the way of counting, one of `model.COUNTS`.
    """

    def __init__(self, network: CardPose, metadata: Mapping[str, Any], count: str):
        super().__init__()
        self.network = network
        self.way = COUNTS.index(count)
        self.size, self.deck = metadata["image_size"], metadata["deck"]
        self.focal = metadata["focal"]
        self.margin = metadata["margins"] and metadata["margins"][count]

    def forward(
        self,
        pictures: UInt8[Tensor, "n height width 3"],
        boxes: Float32[Tensor, "n 4"] | None = None,
    ) -> Outputs:
        """Find and count the packets in upright RGB pictures.

        Args:
            boxes: thickness, lean along the short and the long edge, and twist, in mm, of the box
                that all pictures of a packet show; NaN if it is not known. The edges are then
                traced round it.
        """
        # Tensors, because the export would store integers as constants: the example picture's size.
        size = [torch.full((), pictures.shape[axis]) for axis in (2, 1)]
        inner, margin = fit(size, self.size, at_most, at_least)
        details = resize(pictures, size, inner, margin, self.size, DETAIL)
        small = resize(pictures, size, inner, margin, self.size, 1)
        full, fitted, offset = (torch.stack(pair).float() for pair in (size, inner, margin))
        focal = self.focal * fitted.max()
        given = None if boxes is None else boxes.double()
        found = self.network.predict(small, details, focal.expand(pictures.shape[0]), given)
        points = (found.points - offset) * (full / fitted)
        cards = found.cards[:, self.way] * self.deck
        low, high = count_interval(cards, self.margin, self.deck)
        peaks = found.peaks.topk(_TELLING, dim=1)[0].mean(dim=1)
        return Outputs(
            points,
            found.visibility.sigmoid(),
            cards,
            low,
            high,
            peaks.clamp(0, 1),
            found.pose.rotation.float(),
            found.pose.numbers.float(),
            found.corners,
            found.information.float(),
            found.vector.float(),
        )
