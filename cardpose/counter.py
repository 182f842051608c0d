"""From pictures of any size to corners, visibility and a count: all that a network does, in one.

It takes pictures as cameras give them and needs nothing else, and every operation in it can be
written to an ONNX file (see `cardpose.export`).
"""

from typing import NamedTuple

import torch
from torch import nn

from cardpose.model import COUNTS
from cardpose.pictures import DETAIL, GREY, fit
from cardpose.prediction import interval

_TELLING = 4  # so many of the heatmaps' peaks say whether there is a packet


class Counted(NamedTuple):
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


class Counter(nn.Module):
    """A network and all that stands before and behind it.

    Args:
        network, about: as `prediction.load_network` returns them.
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
        inner, margin = fit(size, self.size, _at_most, _at_least)
        details = resized(pictures, size, inner, margin, self.size, DETAIL)
        small = resized(pictures, size, inner, margin, self.size, 1)
        size, inner, margin = (torch.stack(pair).float() for pair in (size, inner, margin))
        focal = self.focal * inner.max()
        look = self.network.look(small, details, focal.expand(pictures.shape[0]))
        points = (look.points - margin) * (size / inner)
        cards = look.cards[:, self.way] * self.deck
        low, high = interval(cards, self.margin)
        peaks = look.peaks.topk(_TELLING, dim=1)[0].mean(dim=1)
        return Counted(
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


def resized(pictures, size, inner, margin, target, times):
    """Pictures fitted into `target` as `pictures.resize_to_fit` does, to whole values.

    Args:
        pictures: (n, height, width, 3) uint8.
        size: their (width, height); inner, margin: what `fit` says of it, all as tensors.
        target: (width, height) in pixels.
        times: how much larger everything shall be.

    Returns:
        (n, 3, times target height, times target width) float32, 0 to 255.
    """
    (columns, across, x), (rows, down, y) = (
        _taps(pixels, times * side, times * before, times * outer)
        for pixels, side, before, outer in zip(size, inner, margin, target, strict=True)
    )
    # First the rows, then, once they are turned, the columns: what lies side by side is fetched
    # quickly.
    taken = down[:, None] @ pictures.flatten(2)[:, rows].float()  # (n, rows, 1, 3 width)
    taken = taken.unflatten(3, (-1, 3)).permute(0, 3, 4, 1, 2).flatten(2)  # (n, width, 3 rows)
    taken = across[:, None] @ taken[:, columns]  # (n, columns, 1, 3 rows)
    taken = taken.unflatten(3, (3, -1)).permute(0, 3, 4, 1, 2).flatten(3)
    return torch.where(y[:, None] & x, (taken + 0.5).floor(), float(GREY))


def _taps(size, inner, margin, outer):
    """Which pixels of a row are averaged for each of a resized one, as OpenCV does it: those that
    it covers, by how much (INTER_AREA), or, where it is enlarged, the two that it lies between.

    Args:
        size: pixels of the row; inner: of the resized one, margin: before it, outer: with margins.

    Returns:
        (outer, k) indices, (outer, k) weights, (outer,) whether it is no margin.
    """
    k = size // inner + 2 * (size % inner).clamp(max=1)  # so many at most
    place = torch.arange(outer) - margin
    scale = size.double() / inner
    start = place * scale
    middle = start + (scale - 1) / 2
    shrunk = scale >= 1
    at = torch.where(shrunk, start, middle).floor()[:, None] + torch.arange(k)
    covered = torch.minimum(at + 1, start[:, None] + scale) - torch.maximum(at, start[:, None])
    between = 1 - (at - middle[:, None]).abs()
    weights = torch.where(shrunk, covered / scale, between).clamp(0, 1)
    return at.clamp(0, size - 1).long(), weights.float(), (place >= 0) & (place < inner)


def _at_most(a, b):
    return a.clamp(max=b)


def _at_least(a, b):
    return a.clamp(min=b)
