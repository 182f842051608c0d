"""Resize pictures inside the exported network."""

import torch

from cardpose.pictures.letterbox import GREY


def resize(pictures, size, inner, margin, target, times):
    """Pictures fitted into `target` as `pictures.resize_to_fit` does, to whole values.

    Args:
        pictures: (n, height, width, 3) uint8.
        size: their (width, height); inner, margin: what `fit` says of it, all as tensors.
        target: (width, height) in pixels.
        times: how much larger everything shall be.

    Returns:
        (n, 3, times target height, times target width) float32, 0 to 255.
    """
    (columns, across, x), (rows, down, y) = (
        _taps(pixels, times * side, times * before, times * outer)
        for pixels, side, before, outer in zip(size, inner, margin, target, strict=True)
    )
    # First the rows, then, once they are turned, the columns: what lies side by side is fetched
    # quickly.
    taken = down[:, None] @ pictures.flatten(2)[:, rows].float()  # (n, rows, 1, 3 width)
    taken = taken.unflatten(3, (-1, 3)).permute(0, 3, 4, 1, 2).flatten(2)  # (n, width, 3 rows)
    taken = across[:, None] @ taken[:, columns]  # (n, columns, 1, 3 rows)
    taken = taken.unflatten(3, (3, -1)).permute(0, 3, 4, 1, 2).flatten(3)
    return torch.where(y[:, None] & x, (taken + 0.5).floor(), float(GREY))


def _taps(size, inner, margin, outer):
    """Which pixels of a row are averaged for each of a resized one, as OpenCV does it: those that
    it covers, by how much (INTER_AREA), or, where it is enlarged, the two that it lies between.

    Args:
        size: pixels of the row; inner: of the resized one, margin: before it, outer: with margins.

    Returns:
        (outer, k) indices, (outer, k) weights, (outer,) whether it is no margin.
    """
    k = size // inner + 2 * (size % inner).clamp(max=1)  # so many at most
    place = torch.arange(outer) - margin
    scale = size.double() / inner
    start = place * scale
    middle = start + (scale - 1) / 2
    shrunk = scale >= 1
    at = torch.where(shrunk, start, middle).floor()[:, None] + torch.arange(k)
    covered = torch.minimum(at + 1, start[:, None] + scale) - torch.maximum(at, start[:, None])
    between = 1 - (at - middle[:, None]).abs()
    weights = torch.where(shrunk, covered / scale, between).clamp(0, 1)
    return at.clamp(0, size - 1).long(), weights.float(), (place >= 0) & (place < inner)


def at_most(a, b):
    return a.clamp(max=b)


def at_least(a, b):
    return a.clamp(min=b)
