"""L = MSE(heatmaps) + MSE(cards) + BCE(visibility), each with its weight."""

import torch
from torch.nn import functional as F


def losses(predicted, target, weights, mask=None):
    """The three losses of a batch and their weighted sum.

    The count is compared in all pictures, heatmaps and visibility where somebody has labelled them.

    Args:
        predicted: heatmaps (n, 8, h, w), cards (n, ways) as a share of the deck, one column a way
            of counting, and visibility (n, 8) as logits.
        target: heatmaps (n, 8, h, w), cards (n,) and visibility (n, 8) as 0 or 1.
        weights: has `heatmaps`, `cards` and `visibility`.
        mask: (n, 8) bool, which keypoints have a label; None if all do.

    Returns:
        {"heatmaps", "cards", "visibility", "total"}: scalars, the first three unweighted.
    """
    heatmaps, cards, visibility = (p.float() for p in predicted)
    true, visible = target[0].float(), target[2].float()
    mask = torch.ones_like(visible, dtype=torch.bool) if mask is None else mask
    # Mask unlabelled keypoints; average over the others.
    heatmaps = torch.where(mask[..., None, None], heatmaps, true)
    rest = mask.numel() / mask.sum().clamp(min=1)
    parts = {
        # The mean over a channel's pixels, then over channels and pictures: all are of one size.
        "heatmaps": F.mse_loss(heatmaps, true) * rest,
        # The mean over the ways of counting: each learns as if it were alone.
        "cards": F.mse_loss(cards, target[1].float()[:, None].expand_as(cards)),
        "visibility": F.binary_cross_entropy_with_logits(visibility, visible, mask.float()) * rest,
    }
    parts["total"] = sum(getattr(weights, name) * value for name, value in parts.items())
    return parts


def closer_loss(points, true, visible, cards, true_cards):
    """What the second look at the corners is taught with: labels, and the count that follows.

    Both errors are Huber's (P. J. Huber, "Robust Estimation of a Location Parameter", Annals of
    Mathematical Statistics 35, 1964): some labels are far off. Two pixels of either coordinate
    weigh as much as two cards.

    Args:
        points, true: (n, 8, 2) places in pixels; visible: (n, 8) bool, those that are compared.
        cards, true_cards: (n,) counts in cards.

    Returns:
        a scalar.
    """
    off = F.smooth_l1_loss(points[visible], true[visible], beta=2, reduction="sum")
    place = off / (2 * visible.sum()).clamp(min=1)
    return place + F.smooth_l1_loss(cards, true_cards, beta=2) / 2


def tracer_loss(places, spreads, true, counts):
    """What the tracing of edges is taught with: minus the log of Laplace's density, a constant left
    out, which makes `spreads` say how far off `places` usually are.

    Args:
        places, spreads: (n, 12, k) as `model.Tracer` returns them; true: as `places`.
        counts: (n, 12, k) bool, those that are compared.

    Returns:
        a scalar.
    """
    off = (places - true).abs() / spreads.exp() + spreads
    return off[counts].sum() / counts.sum().clamp(min=1)
