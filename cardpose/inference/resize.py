"""Resize pictures inside the exported network."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float32, Int64, Integer, UInt8
from torch import Tensor

from cardpose.pictures.letterbox import GREY

Scalar = Integer[Tensor, ""]


def resize(
    pictures: UInt8[Tensor, "n height width 3"],
    size: Sequence[Scalar],
    inner: Sequence[Scalar],
    margin: Sequence[Scalar],
    target: Sequence[int],
    times: int,
) -> Float32[Tensor, "n 3 target_height target_width"]:
    """Fit pictures into `target` like `letterbox.resize_to_fit`, and round colours.

    Args:
        pictures: pictures of one size.
        size: (width, height) of the pictures, as tensors.
        inner, margin: as `letterbox.fit` returns them, as tensors.
        target: (width, height) in pixels.
        times: factor that enlarges target, inner and margin.

    Returns:
        pictures of `times` the target's size, 0 to 255.
    """
    (columns, across, x), (rows, down, y) = (
        _taps(pixels, times * side, times * before, times * outer)
        for pixels, side, before, outer in zip(size, inner, margin, target, strict=True)
    )
    # Rows, then columns after a transposition, because neighbours in memory are fast to read.
    resized = down[:, None] @ pictures.flatten(2)[:, rows].float()  # (n, rows, 1, 3 width)
    resized = resized.unflatten(3, (-1, 3)).permute(0, 3, 4, 1, 2).flatten(2)  # (n, width, 3 rows)
    resized = across[:, None] @ resized[:, columns]  # (n, columns, 1, 3 rows)
    resized = resized.unflatten(3, (3, -1)).permute(0, 3, 4, 1, 2).flatten(3)
    return torch.where(y[:, None] & x, (resized + 0.5).floor(), float(GREY))


def _taps(
    size: Scalar, inner: Scalar, margin: Scalar, outer: int
) -> tuple[Int64[Tensor, "outer k"], Float32[Tensor, "outer k"], Bool[Tensor, " outer"]]:
    """Return the source pixels of each pixel in a resized row, and their weights.

    The weights are those of OpenCV. A pixel of a smaller row averages the source pixels it covers,
    weighted by the covered part (INTER_AREA). A pixel of a larger row interpolates between two
    source pixels (INTER_LINEAR).

    Args:
        size: number of source pixels.
        inner: number of pixels in the resized row, without margins.
        margin: number of pixels in the margin before the resized row.
        outer: number of pixels in the resized row, with both margins.

    Returns:
        indices of source pixels; their weights; and whether each pixel is outside the margins.
    """
    k = size // inner + 2 * (size % inner).clamp(max=1)  # most source pixels that a pixel covers
    place = torch.arange(outer) - margin
    scale = size.double() / inner
    start = place * scale
    middle = start + (scale - 1) / 2
    shrunk = scale >= 1
    at = torch.where(shrunk, start, middle).floor()[:, None]
    at = at + torch.arange(k)  # type: ignore[call-overload]  # k stays a tensor for the export
    covered = torch.minimum(at + 1, start[:, None] + scale) - torch.maximum(at, start[:, None])
    between = 1 - (at - middle[:, None]).abs()
    weights = torch.where(shrunk, covered / scale, between).clamp(0, 1)
    return at.clamp(0, size - 1).long(), weights.float(), (place >= 0) & (place < inner)


def at_most(a: Scalar, b: int) -> Scalar:
    """Return the smaller value. The exported network would not contain a call of `min`."""
    return a.clamp(max=b)


def at_least(a: Scalar, b: int) -> Scalar:
    """Return the larger value. The exported network would not contain a call of `max`."""
    return a.clamp(min=b)
