"""What a network says of frames, in the units people use: cards, pixels, visible or not."""

import json
from contextlib import nullcontext

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from cardpose.errors import InputError
from cardpose.heatmaps import decode
from cardpose.keypoints import FLIP
from cardpose.model import CardPose, network_shape


def save_network(path, weights, about):
    """Write weights and what is needed to use them as one safetensors file.

    Args:
        weights: a CardPose's state_dict.
        about: {"widths", "stride", "hidden", "image_size", "sigma", "deck"}.
    """
    weights = {name: tensor.contiguous() for name, tensor in weights.items()}
    save_file(weights, path, metadata={"cardpose": json.dumps(about)})


def load_network(path):
    """The network in a file that `save_network` wrote, ready to predict, and its `about`.

    Raises:
        InputError: the file is missing or no network of this project.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["cardpose"])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        network = CardPose(**network_shape(about))
        network.load_state_dict(weights)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError):
        raise InputError(f"{path}: should be a network that cardpose trained") from None
    return network.eval().to(memory_format=torch.channels_last), about


def both_ways(network, pictures):
    """What a network says of pictures and of their mirror images, averaged.

    Arguments and results as of `CardPose.forward`.
    """
    heatmaps, cards, logits = network(pictures)
    mirrored, other_cards, other_logits = network(pictures.flip(3))
    heatmaps = (heatmaps + mirrored.flip(3)[:, list(FLIP)]) / 2
    return heatmaps, (cards + other_cards) / 2, (logits + other_logits[:, list(FLIP)]) / 2


def predict(network, loader, about, precision="32-true", device="cpu"):
    """Run a network over a loader's batches, as they are and mirrored.

    Returns:
        cards (n,) in cards, not rounded; points (n, 8, 2) in pixels of the network's picture;
        visible (n, 8) bool.
    """
    cards, points, visible = [], [], []
    mixed = nullcontext()
    if precision == "bf16-mixed":
        mixed = torch.autocast(device, torch.bfloat16)
    network = network.to(device)
    with torch.inference_mode(), mixed:
        for batch in loader:
            heatmaps, share, logits = both_ways(network, batch["pictures"].to(device))
            cards.append(share.float().cpu() * about["deck"])
            points.append(decode(heatmaps.float(), about["stride"], about["sigma"])[0].cpu())
            visible.append(logits.float().cpu() > 0)
    return tuple(
        torch.cat(column).numpy().astype(kind)
        for column, kind in ((cards, np.float64), (points, np.float64), (visible, bool))
    )
