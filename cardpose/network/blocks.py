"""Building blocks of the network."""

import torch
from torch import nn
from torch.nn import functional as F


def sample_colours(details, places):
    """Colours of `details` at places (n, k, rows, columns, 2) in its pixels, as `sample` does:
    (n, k, 3, rows, columns)."""
    n, k, rows, columns, _ = places.shape
    size = torch.tensor([details.shape[3], details.shape[2]], device=details.device)
    at = (2 * places / size - 1).reshape(n, k * rows, columns, 2)
    cut = F.grid_sample(details.float(), at, padding_mode="border", align_corners=False)
    return cut.reshape(n, 3, k, rows, columns).transpose(1, 2)


def conv(inputs, outputs, stride=1, kernel=3, groups=1):
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def two_convs(inputs, outputs):
    """A level of the plain encoder, which halves the size: two 3 x 3 convolutions."""
    return nn.Sequential(conv(inputs, outputs, stride=2), conv(outputs, outputs))


def inverted_residual(inputs, outputs):
    """A level of the encoder, which halves the size: a convolution channel by channel between two
    1 x 1 convolutions, the first of which widens; after M. Sandler et al., "MobileNetV2: Inverted
    Residuals and Linear Bottlenecks", CVPR 2018, with 5 x 5 in the middle. A block that halves the
    size has no shortcut.
    """
    wide = 3 * inputs
    return nn.Sequential(
        conv(inputs, wide, kernel=1),
        conv(wide, wide, stride=2, kernel=5, groups=wide),
        nn.Conv2d(wide, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
    )


def two_layers(inputs, hidden, outputs):
    """Two fully connected layers, ReLU between them."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
