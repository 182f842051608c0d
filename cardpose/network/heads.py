"""Heads that count cards and predict visibility."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from cardpose.geometry.keypoints import EDGES, FLIP, N_KEYPOINTS
from cardpose.network.blocks import two_layers

SHAPE = 5 * 8 - 5  # length of the vectors that `shape_of` returns
_UPRIGHTS = EDGES[8:]  # edges between the face and the back


class Head(nn.Module):
    """Head that counts cards and predicts visibility, from a picture's features and keypoints.

    `picture` counts from the features, `geometry` from the keypoints alone. `geometry` is trained
    on simulated packets (`training.steps.learn_geometry`). It stays fixed while the network trains
    on pictures.

    Args:
        features: number of features of a picture.
        hidden: width of the layers.
        image_size: (width, height) of the network's picture in pixels.
    """

    def __init__(self, features: int, hidden: int, image_size: Sequence[int]):
        super().__init__()
        self.geometry = GeometryHead(hidden, image_size).requires_grad_(False)
        self.visible = two_layers(features, hidden, N_KEYPOINTS)
        self.picture = two_layers(features, hidden, 1)

    def forward(
        self, points: Float[Tensor, "n 8 2"], features: Float[Tensor, "n features"]
    ) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n 8"]]:
        """Count cards and predict visibility.

        Args:
            points: keypoints in pixels of the network's picture.
            features: of the picture.

        Returns:
            counts as fractions of the deck, in the first two ways of `model.COUNTS`; visibility as
            logits.
        """
        visibility = self.visible(features)
        by_keypoints = self.geometry(points, visibility.detach() > 0).clamp(-0.1, 1.1)
        return torch.cat([self.picture(features), by_keypoints[:, None]], dim=1), visibility


class GeometryHead(nn.Module):
    """Head that counts cards from keypoints, with three fully connected layers.

    A packet and its mirror image hold the same number of cards. The head counts both and returns
    the mean.

    Args:
        hidden: width of the layers.
        image_size: (width, height) of the network's picture in pixels.
    """

    def __init__(self, hidden: int, image_size: Sequence[int]):
        super().__init__()
        self.image_size = image_size
        self.layers = nn.Sequential(
            nn.Linear(SHAPE, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 1),
        )

    def forward(
        self, points: Float[Tensor, "n 8 2"], visible: Bool[Tensor, "n 8"]
    ) -> Float[Tensor, " n"]:
        """Count cards from the visible keypoints, as a fraction of the deck."""
        mirrored = points[:, FLIP] * points.new_tensor([-1, 1]) + points.new_tensor(
            [self.image_size[0], 0]
        )
        shape = shape_of(points, visible, self.image_size)
        mirrored_shape = shape_of(mirrored, visible[:, FLIP], self.image_size)
        return (self.layers(shape) + self.layers(mirrored_shape))[:, 0] / 2


def shape_of(
    points: Float[Tensor, "n 8 2"], visible: Bool[Tensor, "n 8"], image_size: Sequence[int]
) -> Float[Tensor, "n 35"]:
    """Describe a packet's keypoints by SHAPE numbers of order 1.

    Invisible keypoints have no influence.

    Args:
        points: keypoints in pixels.
        visible: which keypoints to use.
        image_size: (width, height) of the picture in pixels.

    Returns:
        in this order: four upright edges as vectors; keypoints relative to their middle; visibility
        of the keypoints; spread and middle of the keypoints relative to the picture. The spread is
        the root mean square distance from the middle. Vectors are in units of the spread. Upright
        edges are multiplied by ten, because a single card changes them little.
    """
    size = torch.tensor(image_size, dtype=points.dtype, device=points.device)
    mask = visible.to(points.dtype)[..., None]
    number = mask.sum(dim=1).clamp(min=1)
    middle = (points * mask).sum(dim=1) / number
    offset = (points - middle[:, None]) * mask
    spread = (offset.pow(2).sum(dim=(1, 2)) / number[:, 0]).clamp(min=1).sqrt()
    offset = offset / spread[:, None, None]
    a, b = zip(*_UPRIGHTS, strict=True)
    uprights = (offset[:, list(a)] - offset[:, list(b)]) * mask[:, list(a)] * mask[:, list(b)]
    return torch.cat(
        [
            10 * uprights.flatten(1),
            offset.flatten(1),
            mask[..., 0],
            5 * spread[:, None] / size[0],
            2 * middle / size - 1,
        ],
        dim=1,
    )


def at_corners(
    features: Float[Tensor, "n channels h w"], heatmaps: Float[Tensor, "n k h w"]
) -> Float[Tensor, "n k*channels"]:
    """Average the features round the peak of each heatmap.

    The weight of a pixel is its value in the heatmap minus 0.3 of the peak, or 0 if negative.
    """
    weights = F.relu(heatmaps - 0.3 * heatmaps.amax(dim=(2, 3), keepdim=True)).flatten(2)
    weights = weights / weights.sum(dim=2, keepdim=True).clamp(min=1e-4)
    return torch.bmm(weights, features.flatten(2).transpose(1, 2)).flatten(1)
