"""Keypoints to heatmaps and back.

Places are continuous picture coordinates in pixels: (0, 0) is the outer corner of the top-left
pixel, a pixel's centre is at +0.5. Heatmap pixel j at stride s covers picture pixels j s to
(j + 1) s, so its centre stands at (j + 0.5) s.
"""

import torch

from cardpose.geometry.linalg import solve_positive_definite

_WINDOW = 3  # decoding reads this many heatmap pixels on each side of the peak


def encode(points, visible, size, stride, sigma):
    """Draw one Gaussian a keypoint, of height 1 and centred between pixels where need be.

    Args:
        points: (..., 2) float places (x, y) in picture pixels; NaN is allowed where not visible.
        visible: (...) bool; the heatmap of an invisible keypoint is zero everywhere.
        size: (height, width) of a heatmap, in heatmap pixels.
        stride: picture pixels a heatmap pixel.
        sigma: standard deviation in heatmap pixels.

    Returns:
        (..., height, width) float32.
    """
    height, width = size
    points = torch.where(visible[..., None], points, 0).float() / stride
    rows = torch.arange(height, device=points.device) + 0.5
    columns = torch.arange(width, device=points.device) + 0.5
    down = torch.exp(-((rows - points[..., 1:]) ** 2) / (2 * sigma**2))
    right = torch.exp(-((columns - points[..., :1]) ** 2) / (2 * sigma**2))
    down = down * visible[..., None]
    return down[..., :, None] * right[..., None, :]


def decode(heatmaps, stride, sigma):
    """Find the middle of the Gaussian at each heatmap's peak, between pixels.

    Round the peak, log h = c + (x mx + y my) / sigma^2 - (x^2 + y^2) / (2 sigma^2): linear in the
    middle (mx, my), which is fitted by least squares with weights h^2, after H. Guo, "A simple
    algorithm for fitting a Gaussian function", IEEE Signal Processing Magazine 28(5), 2011. That
    is exact for a Gaussian, also where the picture's edge cuts it.

    Args:
        heatmaps: (..., height, width).
        stride, sigma: as in `encode`.

    Returns:
        (..., 2) places (x, y) in picture pixels, and (...) the height of each peak.
    """
    *batch, height, width = heatmaps.shape
    flat = heatmaps.reshape(-1, height * width).float()
    peak, at = flat.max(dim=1)
    row, column = at // width, at % width
    # The window, as offsets in whole pixels from the peak.
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
    # Keeps a lone bright pixel solvable: its middle is then the pixel's own.
    normal = normal + 1e-9 * torch.eye(3, device=flat.device, dtype=torch.float64)
    target = (weighted * logs[..., None]).sum(dim=1)
    offset = solve_positive_definite(normal, target)[:, 1:] * sigma**2
    offset = offset.clamp(-_WINDOW, _WINDOW).float()
    places = (torch.stack([column, row], dim=1) + 0.5 + offset) * stride
    return places.reshape(*batch, 2), peak.reshape(batch)
