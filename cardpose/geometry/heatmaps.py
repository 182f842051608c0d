"""Encode keypoints as heatmaps, and decode heatmaps to keypoints.

Places are continuous picture coordinates in pixels: (0, 0) is the outer corner of the top-left
pixel, and pixel centres are at +0.5. At stride s, heatmap pixel j covers picture pixels j s to
(j + 1) s. Its centre is at (j + 0.5) s.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from cardpose.geometry.linalg import solve_positive_definite

_WINDOW = 3  # heatmap pixels to read on each side of the peak


def encode(
    points: Float[Tensor, "*batch 2"],
    visible: Bool[Tensor, "*batch"],
    size: Sequence[int],
    stride: int,
    sigma: float | int,
) -> Float32[Tensor, "*batch height width"]:
    """Draw a Gaussian of height 1 at each visible keypoint, exact to a fraction of a pixel.

    Args:
        points: x and y in picture pixels. Invisible keypoints may be NaN.
        visible: which keypoints to draw. The heatmaps of the others are zero.
        size: (height, width) of a heatmap in heatmap pixels.
        stride: picture pixels per heatmap pixel.
        sigma: standard deviation in heatmap pixels.
    """
    height, width = size
    points = torch.where(visible[..., None], points, 0).float() / stride
    rows = torch.arange(height, device=points.device) + 0.5
    columns = torch.arange(width, device=points.device) + 0.5
    down = torch.exp(-((rows - points[..., 1:]) ** 2) / (2 * sigma**2))
    right = torch.exp(-((columns - points[..., :1]) ** 2) / (2 * sigma**2))
    down = down * visible[..., None]
    return down[..., :, None] * right[..., None, :]


def decode(
    heatmaps: Float[Tensor, "*batch height width"], stride: int, sigma: float | int
) -> tuple[Float32[Tensor, "*batch 2"], Float32[Tensor, "*batch"]]:
    """Find the centre of the Gaussian at each heatmap's peak, to a fraction of a pixel.

    Near the peak, log h = c + (x mx + y my) / sigma^2 - (x^2 + y^2) / (2 sigma^2). This is linear
    in the centre (mx, my). A least-squares fit with weights h^2 finds it (H. Guo, "A simple
    algorithm for fitting a Gaussian function", IEEE Signal Processing Magazine 28(5), 2011). The
    solution is exact for a Gaussian, even if the edge of the picture cuts it.

    Args:
        heatmaps: one per keypoint.
        stride, sigma: as in `encode`.

    Returns:
        x and y in picture pixels, and the height of each peak.
    """
    *batch, height, width = heatmaps.shape
    flat = heatmaps.reshape(-1, height * width).float()
    peak, at = flat.max(dim=1)
    row = (at / width).long()  # not //: `inference.onnx_file` refuses to divide integers
    column = at - row * width
    # Offsets of the window from the peak, in heatmap pixels.
    steps = torch.arange(-_WINDOW, _WINDOW + 1, device=flat.device)
    y, x = (grid.reshape(1, -1) for grid in torch.meshgrid(steps, steps, indexing="ij"))
    rows, columns = row[:, None] + y, column[:, None] + x
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    index = rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)
    values = flat.gather(1, index) / peak.clamp(min=1e-6)[:, None]
    weights = torch.where(inside & (values > 0.05), values, 0).double() ** 2
    logs = values.clamp(min=0.05).double().log() + (x**2 + y**2) / (2 * sigma**2)
    design = torch.stack([torch.ones_like(x), x, y], dim=-1).double()  # (1, k, 3)
    weighted = design * weights[..., None]
    normal = weighted.transpose(1, 2) @ design
    # Around a single bright pixel, the solution is not unique. This selects the pixel's centre.
    normal = normal + 1e-9 * torch.eye(3, device=flat.device, dtype=torch.float64)
    target = (weighted * logs[..., None]).sum(dim=1)
    offset = solve_positive_definite(normal, target)[:, 1:] * sigma**2
    offset = offset.clamp(-_WINDOW, _WINDOW).float()
    places = (torch.stack([column, row], dim=1) + 0.5 + offset) * stride
    return places.reshape(*batch, 2), peak.reshape(batch)
