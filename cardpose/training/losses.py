"""Losses of the network's parts.

Whole pictures have L = MSE(heatmaps) + MSE(cards) + BCE(visibility), each term with its weight.
Close-ups and strips have a loss of their own.
"""

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn import functional as F

from cardpose.params import Loss


def losses(
    predicted: tuple[Float[Tensor, "n 8 h w"], Float[Tensor, "n ways"], Float[Tensor, "n 8"]],
    target: tuple[Float[Tensor, "n 8 h w"], Float[Tensor, " n"], Shaped[Tensor, "n 8"]],
    weights: Loss,
    mask: Bool[Tensor, "n 8"] | None = None,
) -> dict[str, Float[Tensor, ""]]:
    """Return the three terms of L for a batch, unweighted, and "total", their weighted sum.

    The term of the count averages over all pictures. Those of heatmaps and visibility average over
    labelled keypoints.

    Args:
        predicted: heatmaps; cards as a share of the deck, one column per way of counting;
            visibility as logits.
        target: heatmaps, cards as a share of the deck, and visibility as 0 or 1.
        weights: of the three terms.
        mask: which keypoints have a label; all by default.
    """
    heatmaps, cards, visibility = (p.float() for p in predicted)
    true, visible = target[0].float(), target[2].float()
    mask = torch.ones_like(visible, dtype=torch.bool) if mask is None else mask
    # Mask unlabelled keypoints; average over the others.
    heatmaps = torch.where(mask[..., None, None], heatmaps, true)
    rest = mask.numel() / mask.sum().clamp(min=1)
    terms = {
        # All channels have the same size: this is the mean over channels of each one's mean.
        "heatmaps": F.mse_loss(heatmaps, true) * rest,
        # The mean over ways of counting: each learns as if it were alone.
        "cards": F.mse_loss(cards, target[1].float()[:, None].expand_as(cards)),
        "visibility": F.binary_cross_entropy_with_logits(visibility, visible, mask.float()) * rest,
    }
    terms["total"] = sum(getattr(weights, name) * value for name, value in terms.items())
    return terms


def closer_loss(
    points: Float[Tensor, "n 8 2"],
    true: Float[Tensor, "n 8 2"],
    visible: Bool[Tensor, "n 8"],
    cards: Float[Tensor, " m"],
    true_cards: Float[Tensor, " m"],
) -> Float[Tensor, ""]:
    """Return the loss of the closer: Huber's of visible corners, plus Huber's of the count.

    Huber's loss limits the weight of labels that are far off (P. J. Huber, "Robust Estimation of a
    Location Parameter", Annals of Mathematical Statistics 35, 1964). An error of 2 pixels in every
    coordinate costs as much as one of 2 cards.

    Args:
        points: predicted corners in pixels.
        true: labels in pixels.
        visible: corners to compare.
        cards: predicted counts in cards.
        true_cards: counts in cards.
    """
    off = F.smooth_l1_loss(points[visible], true[visible], beta=2, reduction="sum")
    place = off / (2 * visible.sum()).clamp(min=1)
    return place + F.smooth_l1_loss(cards, true_cards, beta=2) / 2


def tracer_loss(
    places: Float[Tensor, "n 12 k"],
    spreads: Float[Tensor, "n 12 k"],
    true: Float[Tensor, "n 12 k"],
    counts: Bool[Tensor, "n 12 k"],
) -> Float[Tensor, ""]:
    """Return the loss of the tracer: minus the log of Laplace's density, without its constant.

    It teaches `spreads` the logs of how far off `places` usually are.

    Args:
        places: predicted places of edges in detail pixels.
        spreads: logs of their expected errors.
        true: places of the edges.
        counts: places to compare.
    """
    off = (places - true).abs() / spreads.exp() + spreads
    return off[counts].sum() / counts.sum().clamp(min=1)
