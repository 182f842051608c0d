"""Losses of the network's parts.

The loss on whole pictures is L = MSE(heatmaps) + MSE(cards) + BCE(visibility), with one weight per
term. Its cards are those counted from the picture's features. The closer and the tracer have their
own losses. When several processes train, the mean of their losses is the loss of the whole batch.
"""

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn import functional as F

from cardpose.network.model import COUNTS
from cardpose.params import Loss
from cardpose.training.distributed import marked_per_process


def losses(
    predicted: tuple[Float[Tensor, "n 8 h w"], Float[Tensor, "n 2"], Float[Tensor, "n 8"]],
    target: tuple[Float[Tensor, "n 8 h w"], Float[Tensor, " n"], Shaped[Tensor, "n 8"]],
    weights: Loss,
    mask: Bool[Tensor, "n 8"] | None = None,
    shared: bool = False,
) -> dict[str, Float[Tensor, ""]]:
    """Return the three terms of L for a batch, unweighted, and "total", their weighted sum.

    The term "cards" averages over all pictures. It leaves out the count from keypoints, whose
    weights pictures do not train. The terms "heatmaps" and "visibility" average over labelled
    keypoints.

    Args:
        predicted: what the network returns: heatmaps; cards as a share of the deck, in the first
            two ways of COUNTS; visibility as logits.
        target: heatmaps, cards as a share of the deck, and visibility as 0 or 1.
        weights: weights of the three terms.
        mask: which keypoints have a label; all by default.
        shared: whether the batch is this process's share of a batch of all processes, which must
            all call this together. The mean of their terms is then the term of the whole batch.
    """
    heatmaps, cards, visibility = (p.float() for p in predicted)
    true, visible = target[0].float(), target[2].float()
    mask = torch.ones_like(visible, dtype=torch.bool) if mask is None else mask
    # Mask unlabelled keypoints; average over the others.
    heatmaps = torch.where(mask[..., None, None], heatmaps, true)
    rest = mask.numel() / _marked(mask, shared)
    terms = {
        # All channels have the same size, so this is also the mean over the channels' means.
        "heatmaps": F.mse_loss(heatmaps, true) * rest,
        "cards": F.mse_loss(cards[:, COUNTS.index("picture")], target[1].float()),
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
    shared: bool = False,
) -> Float[Tensor, ""]:
    """Return the loss of the closer: Huber losses of the visible corners and of the count.

    The Huber loss limits the influence of wrong labels (P. J. Huber, "Robust Estimation of a
    Location Parameter", Annals of Mathematical Statistics 35, 1964). An error of 2 pixels in every
    coordinate costs as much as an error of 2 cards.

    Args:
        points: predicted corners in pixels.
        true: labels in pixels.
        visible: corners to compare.
        cards: predicted counts in cards.
        true_cards: counts in cards.
        shared: as for `losses`.
    """
    off = F.smooth_l1_loss(points[visible], true[visible], beta=2, reduction="sum")
    place = off / (2 * _marked(visible, shared))
    return place + F.smooth_l1_loss(cards, true_cards, beta=2) / 2


def tracer_loss(
    places: Float[Tensor, "n 12 k"],
    spreads: Float[Tensor, "n 12 k"],
    true: Float[Tensor, "n 12 k"],
    counts: Bool[Tensor, "n 12 k"],
    shared: bool = False,
) -> Float[Tensor, ""]:
    """Return the loss of the tracer: the negative log-likelihood of a Laplace distribution.

    The constant is left out. The loss trains `spreads` to be the logs of the expected absolute
    errors of `places`.

    Args:
        places: predicted places of edges in detail pixels.
        spreads: logs of the expected absolute errors of `places`.
        true: places of the edges.
        counts: places to compare.
        shared: as for `losses`.
    """
    off = (places - true).abs() / spreads.exp() + spreads
    return off[counts].sum() / _marked(counts, shared)


def _marked(mask: Bool[Tensor, "..."], shared: bool) -> Float[Tensor, ""]:
    """Return the number of True entries, at least 1; see `marked_per_process` if `shared`."""
    return marked_per_process(mask) if shared else mask.sum().float().clamp(min=1)
