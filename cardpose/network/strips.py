"""Strips: the surroundings of a packet's edges, straightened, that the network traces edges in.

A strip follows an edge from one end to the other, and reaches REACH detail pixels to both sides of
where the edge is thought to be. It is cut from `details`, as close-ups are; places are in pixels of
the network's picture.
"""

import numpy as np
import torch
from torch import nn

from cardpose.geometry.pose import KINDS
from cardpose.network.blocks import conv, sample_colours
from cardpose.pictures.letterbox import DETAIL

LENGTH = 48  # of a strip in its own pixels, however long the edge is
REACH = 12  # detail pixels
POINTS = 12  # of an edge that are traced
SHORTEST = (10.0, 2.0)  # network pixels: of a long edge, of an upright one, that is traced
_ENDS = 0.04  # the share of an edge at either end that a strip leaves out: corners are round


def shares(count):
    """How far along the edge the middles of `count` equal parts of a strip are, 0 to 1."""
    return _ENDS + (1 - 2 * _ENDS) * (np.arange(count) + 0.5) / count


ALONG, TRACED = shares(LENGTH), shares(POINTS)  # of a strip's pixels, and of what is traced


def normals(starts, ends):
    """Unit vectors across edges (n, k, 2), away from the packet's middle.

    Args:
        starts, ends: (n, 12, 2) tensors, the edges in the order of `keypoints.EDGES`.
    """
    along = ends - starts
    across = torch.stack([along[..., 1], -along[..., 0]], dim=-1)
    across = across / across.square().sum(dim=-1, keepdim=True).clamp(min=1e-12).sqrt()
    back, face = starts[:, :4].mean(dim=1), starts[:, 4:8].mean(dim=1)
    of = torch.stack([back, face, (back + face) / 2], dim=1)
    middle = of.repeat_interleave(4, dim=1)
    away = (across * ((starts + ends) / 2 - middle)).sum(dim=-1, keepdim=True)
    return torch.where(away < 0, -across, across)


def sample_strips(details, starts, ends, across):
    """Strips, bilinear between pixels.

    Args:
        details: (n, 3, DETAIL height, DETAIL width), uint8 or float.
        starts, ends: (n, 12, 2) places in the network's pictures; across: their `normals`.

    Returns:
        (n, 12, 3, 2 REACH + 1, LENGTH) float, 0 to 255: along the edge to the right, away from
        the packet down.
    """
    return sample_colours(details, _places(starts.float(), ends.float(), across.float()))


def _places(starts, ends, across):
    """(n, 12, 2 REACH + 1, LENGTH, 2) detail pixels."""
    share = torch.as_tensor(ALONG, dtype=starts.dtype, device=starts.device)[:, None]
    along = starts[:, :, None] + (ends - starts)[:, :, None] * share
    out = torch.arange(-REACH, REACH + 1, dtype=starts.dtype, device=starts.device)
    return DETAIL * along[:, :, None] + across[:, :, None, None] * out[:, None, None]


def long_enough(starts, ends):
    """(n, 12) bool."""
    least = starts.new_tensor([SHORTEST[0]] * 8 + [SHORTEST[1]] * 4)
    return (ends - starts).square().sum(dim=-1) > least.square()


def side_heights(keypoints):
    """(n,) how high the packet's sides are in the picture, in detail pixels, from its keypoints."""
    upright = keypoints[:, [0, 1, 4, 5]] - keypoints[:, [2, 3, 6, 7]]
    return DETAIL * upright.square().sum(dim=2).sqrt().mean(dim=1)


class Tracer(nn.Module):
    """Finds a packet's edges in the strips along them (see `strips`).

    Convolutions only: wherever an edge lies in its strip, it looks the same.
    """

    def __init__(self, width=24):
        super().__init__()
        self.features = nn.Sequential(
            conv(3 + KINDS + 1, width, stride=(1, 2), kernel=5),
            conv(width, width, stride=(1, 2)),
            conv(width, width),
            conv(width, width),
        )
        self.found = nn.Conv2d(width, 2, 1)
        self.register_buffer("taught", torch.zeros(()))  # until it is 1, nobody should listen

    def forward(self, cut, kinds, heights):
        """Where edges lie, and how surely.

        Args:
            cut: (n, 12, 3, 2 REACH + 1, LENGTH) strips, 0 to 255, uint8 or float.
            kinds: (n, 12, KINDS) bool, see `pose.Packet.edges`.
            heights: (n,) of the packet's sides in detail pixels: as far apart are its edges.

        Returns:
            (n, 12, POINTS) detail pixels away from the strip's middle line, and as many logs of
            how far off that usually is.
        """
        height = (heights / 10).clamp(0, 3)[:, None, None].expand(-1, kinds.shape[1], 1)
        known = torch.cat([kinds.float(), height], dim=2)[..., None, None]
        x = torch.cat([cut.float() / 127.5 - 1, known.expand(-1, -1, -1, *cut.shape[3:])], dim=2)
        found = self.found(self.features(x.flatten(0, 1))).float().unflatten(0, cut.shape[:2])
        score, spread = found.unbind(dim=2)
        chance = score.softmax(dim=2)
        out = torch.arange(-REACH, REACH + 1, device=cut.device)[:, None].float()
        place = (chance * out).sum(dim=2)
        width = (chance * (out - place[:, :, None]) ** 2).sum(dim=2)
        spread = spread.mean(dim=2) + (width + 0.05).log() / 2
        return place, spread.clamp(-4, 4)
