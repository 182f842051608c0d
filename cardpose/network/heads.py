"""The heads that count cards and predict visibility."""

import torch
from torch import nn
from torch.nn import functional as F

from cardpose.geometry.keypoints import EDGES, FLIP, N_KEYPOINTS
from cardpose.network.blocks import two_layers

SHAPE = 5 * 8 - 5  # numbers in a packet's shape, see `shape_of`


class Head(nn.Module):
    """From the corners' places and the picture's features to the count and the visibility.

    `picture` counts from the features; `geometry` from the corners alone: it is taught on simulated
    packets (`parts.learn_geometry`) and left as it is when pictures come.

    Args:
        n_looks: how many features of the picture there are.
        hidden: width of the layers.
        image_size: (width, height) of the picture in pixels.
    """

    def __init__(self, n_looks, hidden, image_size):
        super().__init__()
        self.geometry = GeometryHead(hidden, image_size).requires_grad_(False)
        self.visible = two_layers(n_looks, hidden, N_KEYPOINTS)
        self.picture = two_layers(n_looks, hidden, 1)

    def forward(self, points, looks):
        """(n, 2) cards as a share of the deck and (n, 8) visibility as logits."""
        logits = self.visible(looks)
        estimate = self.geometry(points, logits.detach() > 0).clamp(-0.1, 1.1)
        return torch.cat([self.picture(looks), estimate[:, None]], dim=1), logits


class GeometryHead(nn.Module):
    """From the places of a packet's corners to the number of cards: three fully connected layers.

    A packet's mirror image holds as many cards: the count is the mean of both.

    Args:
        hidden: width of the layers.
        image_size: (width, height) of the picture in pixels.
    """

    def __init__(self, hidden, image_size):
        super().__init__()
        self.image_size = image_size
        self.layers = nn.Sequential(
            nn.Linear(SHAPE, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 1),
        )

    def forward(self, points, seen):
        """(n,) cards as a share of the deck, from corners (n, 8, 2) of which some are seen."""
        other = points[:, FLIP] * points.new_tensor([-1, 1]) + points.new_tensor(
            [self.image_size[0], 0]
        )
        shape = shape_of(points, seen, self.image_size)
        mirrored = shape_of(other, seen[:, FLIP], self.image_size)
        return (self.layers(shape) + self.layers(mirrored))[:, 0] / 2


def shape_of(points, seen, image_size):
    """A packet's shape as numbers of size one: where its corners are, freed of place and scale.

    Args:
        points: (n, 8, 2) places in pixels.
        seen: (n, 8) bool; what is not seen counts nothing.
        image_size: (width, height) of the picture in pixels.

    Returns:
        (n, 35): the four upright edges as vectors, magnified, since a card is a small part of
        them; the corners, relative to their middle, in units of their spread; which are seen;
        spread and middle as shares of the picture.
    """
    size = torch.tensor(image_size, dtype=points.dtype, device=points.device)
    known = seen.to(points.dtype)[..., None]
    number = known.sum(dim=1).clamp(min=1)
    middle = (points * known).sum(dim=1) / number
    offset = (points - middle[:, None]) * known
    spread = (offset.pow(2).sum(dim=(1, 2)) / number[:, 0]).clamp(min=1).sqrt()
    offset = offset / spread[:, None, None]
    a, b = zip(*EDGES[8:], strict=True)
    uprights = (offset[:, list(a)] - offset[:, list(b)]) * known[:, list(a)] * known[:, list(b)]
    return torch.cat(
        [
            10 * uprights.flatten(1),
            offset.flatten(1),
            known[..., 0],
            5 * spread[:, None] / size[0],
            2 * middle / size - 1,
        ],
        dim=1,
    )


def at_corners(features, heatmaps):
    """The features at each heatmap's peak.

    Args:
        features: (n, c, h, w); heatmaps: (n, 8, h, w).

    Returns:
        (n, 8 c).
    """
    weights = F.relu(heatmaps - 0.3 * heatmaps.amax(dim=(2, 3), keepdim=True)).flatten(2)
    weights = weights / weights.sum(dim=2, keepdim=True).clamp(min=1e-4)
    return torch.bmm(weights, features.flatten(2).transpose(1, 2)).flatten(1)
