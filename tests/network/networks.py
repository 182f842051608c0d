"""Pictures, and parts that replace those of a network, for the tests of this room."""

import torch
from support import ABOUT, FOCAL, seen
from torch import nn

from cardpose.geometry.heatmaps import encode
from cardpose.network.model import CardPose, network_shape
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


def large_network():
    """A network for pictures of 640 x 480, to which all keypoints are visible.

    Its closer moves none.
    """
    torch.manual_seed(0)
    network = CardPose(**network_shape({**ABOUT, "image_size": (640, 480)})).eval()
    torch.nn.init.zeros_(network.closer.move.weight)
    torch.nn.init.zeros_(network.head.visible[-1].weight)
    torch.nn.init.ones_(network.head.visible[-1].bias)
    return network


def fixed_heatmaps(points):
    """Return heatmaps of visible keypoints in pictures of 640 x 480."""
    visible = torch.ones(points.shape[:2], dtype=torch.bool)
    return FixedHeatmaps(encode(points, visible, (120, 160), 4, 1.5))


def landscape_and_portrait():
    """Heatmaps of one packet in a landscape and in a portrait frame of one camera.

    The portrait frame of 480 x 640 is fitted into 360 x 480 pixels in the middle of the network's
    picture, so that the packet is three quarters as large, and the focal length is, too.
    """
    points = torch.from_numpy(seen([-100.0], 9.0)[0])
    middle = torch.tensor([320.0, 240.0])
    points = torch.cat([points, middle + 0.75 * (points - middle)])
    return fixed_heatmaps(points), FOCAL * torch.tensor([640.0, 480.0])
