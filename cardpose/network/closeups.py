"""Close-ups: the small squares round a packet's corners that the network looks at a second time.

They are cut from `details`, the pictures at DETAIL times the network's size. Places are given in
pixels of the network's picture all the same.
"""

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from cardpose.geometry.keypoints import N_KEYPOINTS
from cardpose.network.blocks import conv, sample_colours
from cardpose.network.heads import GeometryHead
from cardpose.pictures.letterbox import DETAIL

SIDE = 40  # of a close-up, in detail pixels


def sample_closeups(details, points):
    """Close-ups round places, bilinear between pixels.

    Args:
        details: (n, 3, DETAIL height, DETAIL width), uint8 or float.
        points: (n, 8, 2) places in the network's pictures.

    Returns:
        (n, 8, 3, SIDE, SIDE) float, 0 to 255; beyond its edge a picture goes on as it ends.
    """
    steps = torch.arange(SIDE, device=details.device) + 0.5 - SIDE / 2
    down, right = torch.meshgrid(steps, steps, indexing="ij")
    return sample_colours(
        details, DETAIL * points[:, :, None, None] + torch.stack([right, down], dim=-1)
    )


def cut(detail, points, turn):
    """Turned close-ups of one picture, as `sample` cuts straight ones, with OpenCV.

    Args:
        detail: (DETAIL height, DETAIL width, 3) uint8.
        points: (8, 2) places in the network's picture.
        turn: (2, 2) from steps in a close-up to steps in `detail`.

    Returns:
        (8, SIDE, SIDE, 3) uint8.
    """
    middle = np.array([SIDE, SIDE]) / 2
    closeups = np.empty((len(points), SIDE, SIDE, 3), np.uint8)
    for closeup, point in zip(closeups, points, strict=True):
        # cv2 counts from the middle of the first pixel, we from its corner.
        shift = DETAIL * point - 0.5 - turn @ (middle - 0.5)
        cv2.warpAffine(
            detail,
            np.column_stack([turn, shift]),
            (SIDE, SIDE),
            dst=closeup,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return closeups


class Closer(nn.Module):
    """Moves corners by what is seen close up, and counts from where they then are.

    A label is a pixel or two off, a count never is: taught with both, this finds the corners that
    give the right count. It has a geometry of its own, which learns how real packets differ from
    the simulated ones.

    Args:
        hidden: width of the fully connected layers.
        image_size: (width, height) of the network's picture in pixels.
    """

    def __init__(self, hidden, image_size):
        super().__init__()
        self.features = nn.Sequential(conv(3, 24, stride=2), conv(24, 48, stride=2), conv(48, 48))
        self.join = nn.Linear(48 * (SIDE // 4) ** 2, hidden)
        self.which = nn.Parameter(torch.zeros(N_KEYPOINTS, hidden))  # the corners look different
        self.move = nn.Linear(hidden, 2)
        nn.init.normal_(self.move.weight, std=1e-3)
        nn.init.zeros_(self.move.bias)
        self.geometry = GeometryHead(hidden, image_size)

    def forward(self, closeups):
        """How far the corners are from the middle of their close-ups.

        Args:
            closeups: (n, 8, 3, SIDE, SIDE), 0 to 255, uint8 or float.

        Returns:
            (n, 8, 2) steps right and down, in pixels of the close-ups.
        """
        x = self.features(closeups.flatten(0, 1).float() / 127.5 - 1).flatten(1)
        x = self.join(x).unflatten(0, (-1, N_KEYPOINTS)) + self.which
        return self.move(F.relu(x))
