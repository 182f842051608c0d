"""Building blocks of the network."""

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.nn import functional as F


def sample_colours(
    details: Num[Tensor, "n 3 height width"], places: Float[Tensor, "n k rows columns 2"]
) -> Float[Tensor, "n k 3 rows columns"]:
    """Sample the colours of `details` at places in its pixels, by bilinear interpolation.

    Places outside the picture get the colour of the nearest pixel.
    """
    n, k, rows, columns, _ = places.shape
    size = torch.tensor([details.shape[3], details.shape[2]], device=details.device)
    at = (2 * places / size - 1).reshape(n, k * rows, columns, 2)
    colours = F.grid_sample(details.float(), at, padding_mode="border", align_corners=False)
    return colours.reshape(n, 3, k, rows, columns).transpose(1, 2)


def conv(
    inputs: int, outputs: int, stride: int | tuple[int, int] = 1, kernel: int = 3, groups: int = 1
) -> nn.Sequential:
    """Build a convolution with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def two_convs(inputs: int, outputs: int) -> nn.Sequential:
    """Build a level of the plain encoder: two 3 x 3 convolutions, the first with stride 2."""
    return nn.Sequential(conv(inputs, outputs, stride=2), conv(outputs, outputs))


def inverted_residual(inputs: int, outputs: int) -> nn.Sequential:
    """Build a level of the inverted encoder, which halves the size.

    A 1 x 1 convolution widens, a 5 x 5 convolution filters each channel with stride 2, and a 1 x 1
    convolution narrows. The block follows M. Sandler et al., "MobileNetV2: Inverted Residuals and
    Linear Bottlenecks", CVPR 2018, whose filters are 3 x 3. It has no shortcut, because its stride
    is 2.
    """
    wide = 3 * inputs
    return nn.Sequential(
        conv(inputs, wide, kernel=1),
        conv(wide, wide, stride=2, kernel=5, groups=wide),
        nn.Conv2d(wide, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
    )


def two_layers(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Build two fully connected layers with ReLU between them."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
