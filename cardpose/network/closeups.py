"""Close-ups: small squares round the keypoints, used to refine their places.

Close-ups are cut from `details`, which are DETAIL times the size of the network's pictures. Points
are in pixels of the network's pictures. Steps within a close-up are in detail pixels.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from jaxtyping import Float, Num, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from cardpose.geometry.keypoints import N_KEYPOINTS
from cardpose.network.blocks import conv, sample_colours
from cardpose.network.heads import GeometryHead
from cardpose.pictures.letterbox import DETAIL

SIDE = 40  # of a close-up, in detail pixels


def sample_closeups(
    details: Num[Tensor, "n 3 height width"], points: Float[Tensor, "n 8 2"]
) -> Float[Tensor, "n 8 3 side side"]:
    """Cut upright close-ups round points, by bilinear interpolation.

    The outermost pixels repeat beyond the picture's edge. Colours keep their range.
    """
    steps = torch.arange(SIDE, device=details.device) + 0.5 - SIDE / 2
    down, right = torch.meshgrid(steps, steps, indexing="ij")
    return sample_colours(
        details, DETAIL * points[:, :, None, None] + torch.stack([right, down], dim=-1)
    )


def cut(
    detail: UInt8[np.ndarray, "height width 3"],
    points: Float[np.ndarray, "8 2"],
    turn: Float[np.ndarray, "2 2"],
) -> UInt8[np.ndarray, "8 side side 3"]:
    """Cut rotated close-ups of one picture with OpenCV; `sample_closeups` cuts upright ones.

    Args:
        detail: the picture at DETAIL times the size of the network's picture.
        points: in pixels of the network's picture.
        turn: matrix from steps in a close-up to steps in `detail`.
    """
    middle = np.array([SIDE, SIDE]) / 2
    closeups = np.empty((len(points), SIDE, SIDE, 3), np.uint8)
    for closeup, point in zip(closeups, points, strict=True):
        # OpenCV's origin is the centre of the first pixel; ours is its outer corner.
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
    """Part of the network that refines keypoints in close-ups and counts cards from them.

    Training uses labels and counts, because labels are one or two pixels off but counts are exact.
    `geometry` starts as a copy of the head's. It then learns how real packets differ from
    simulated ones.

    Args:
        hidden: width of the fully connected layers.
        image_size: (width, height) of the network's picture in pixels.
    """

    def __init__(self, hidden: int, image_size: Sequence[int]):
        super().__init__()
        self.features = nn.Sequential(conv(3, 24, stride=2), conv(24, 48, stride=2), conv(48, 48))
        self.join = nn.Linear(48 * (SIDE // 4) ** 2, hidden)
        self.which = nn.Parameter(torch.zeros(N_KEYPOINTS, hidden))  # a bias for each keypoint
        self.move = nn.Linear(hidden, 2)
        nn.init.normal_(self.move.weight, std=1e-3)
        nn.init.zeros_(self.move.bias)
        self.geometry = GeometryHead(hidden, image_size)

    def forward(self, closeups: Num[Tensor, "n 8 3 side side"]) -> Float[Tensor, "n 8 2"]:
        """Predict the places of keypoints in their close-ups.

        Args:
            closeups: RGB, 0 to 255.

        Returns:
            steps right and down from the middle of each close-up, in detail pixels.
        """
        x = self.features(closeups.flatten(0, 1).float() / 127.5 - 1).flatten(1)
        x = self.join(x).unflatten(0, (-1, N_KEYPOINTS)) + self.which
        return self.move(F.relu(x))
