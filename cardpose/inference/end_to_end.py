"""From pictures of any size to corners, visibility and a count: all that a network does, in one.

It takes pictures as cameras give them and needs nothing else, and every operation in it can be
written to an ONNX file (see `inference.export`).
"""

from typing import NamedTuple

import torch
from torch import nn

from cardpose.inference.resize import at_least, at_most, resize
from cardpose.network.model import COUNTS
from cardpose.network.predict import count_interval
from cardpose.pictures.letterbox import DETAIL, fit

_TELLING = 4  # so many of the heatmaps' peaks say whether there is a packet


class Outputs(NamedTuple):
    """What is found in n pictures.

    `keypoints` (n, 8, 2) in pixels of the pictures; `visibility` (n, 8), how likely each is to be
    seen; `cards` (n,), not rounded; `low` and `high` (n,), the ends of the 90 % interval, NaN where
    the network has none; `confidence` (n,), under 0.5 where there is no packet; `rotation`
    (n, 3, 3) and `box` (n, 8), the `pose.Pose` of the box; `corners` (n, 8), for each keypoint of
    the box which of the keypoints it is.
    """

    keypoints: torch.Tensor
    visibility: torch.Tensor
    cards: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    confidence: torch.Tensor
    rotation: torch.Tensor
    box: torch.Tensor
    corners: torch.Tensor


class EndToEnd(nn.Module):
    """A network and all that stands before and behind it.

    Args:
        network, about: as `weights.load_network` returns them.
        count: the way of counting, one of `model.COUNTS`.
    """

    def __init__(self, network, about, count):
        super().__init__()
        self.network = network
        self.way = COUNTS.index(count)
        self.size, self.deck, self.focal = about["image_size"], about["deck"], about["focal"]
        self.margin = about["margins"] and about["margins"][count]

    def forward(self, pictures):
        """Count the packets in pictures.

        Args:
            pictures: (n, height, width, 3) uint8 RGB, upright.

        Returns:
            a `Counted`.
        """
        # As tensors, or a file would have the size of the one picture it was made with.
        size = [torch.full((), pictures.shape[axis]) for axis in (2, 1)]
        inner, margin = fit(size, self.size, at_most, at_least)
        details = resize(pictures, size, inner, margin, self.size, DETAIL)
        small = resize(pictures, size, inner, margin, self.size, 1)
        size, inner, margin = (torch.stack(pair).float() for pair in (size, inner, margin))
        focal = self.focal * inner.max()
        look = self.network.look(small, details, focal.expand(pictures.shape[0]))
        points = (look.points - margin) * (size / inner)
        cards = look.cards[:, self.way] * self.deck
        low, high = count_interval(cards, self.margin)
        peaks = look.peaks.topk(_TELLING, dim=1)[0].mean(dim=1)
        return Outputs(
            points,
            look.visibility.sigmoid(),
            cards,
            low,
            high,
            peaks.clamp(0, 1),
            look.pose.rotation.float(),
            look.pose.numbers.float(),
            look.corners,
        )
