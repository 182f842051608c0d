"""Pictures, and parts that replace those of a network, for the tests of this room."""

import torch
from torch import nn

from cardpose.network.strips import POINTS, Tracer


def pictures(n=3):
    return torch.randint(0, 256, (n, 3, 48, 64), dtype=torch.uint8)


def details(n=3):
    return torch.randint(0, 256, (n, 3, 96, 128), dtype=torch.uint8)


class SpotHeatmaps(nn.Module):
    """Heatmaps with one bright pixel in row 2, column 3."""

    def forward(self, x):
        heatmaps = torch.zeros(len(x), 8, *x.shape[2:])
        heatmaps[:, :, 2, 3] = 1
        return heatmaps


class FixedHeatmaps(nn.Module):
    """The same heatmaps for all pictures."""

    def __init__(self, heatmaps):
        super().__init__()
        self.heatmaps = heatmaps

    def forward(self, x):
        return self.heatmaps


class FixedSteps(nn.Module):
    """The last layer of a closer: six detail pixels to the right and two up, for every keypoint."""

    def forward(self, x):
        return torch.tensor([6.0, -2.0]).expand(*x.shape[:2], 2)


def brightest_pixel(closeups):
    """Move every keypoint to the brightest pixel of its close-up, as a closer."""
    side = closeups.shape[-1]
    at = closeups.sum(dim=2).flatten(2).argmax(dim=2)
    return torch.stack([at % side, at // side], dim=2) + 0.5 - side / 2


class FixedDistance(Tracer):
    """A tracer that finds every edge at one distance, in detail pixels away from the packet.

    It notes the `heights` that it is given.
    """

    def __init__(self, distance=0.0, log_error=-4.0):
        super().__init__()
        self.taught.fill_(1)
        self.distance, self.log_error = distance, log_error

    def forward(self, cut, kinds, heights):
        self.heights = heights
        distance = torch.full((*cut.shape[:2], POINTS), self.distance)
        return distance, torch.full_like(distance, self.log_error)
