"""What a network says of frames, in the units people use: cards, pixels, visible or not."""

import json
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from cardpose.common.errors import InputError
from cardpose.network.model import COUNTS, CardPose, network_shape
from cardpose.params import (
    Card,
    Encoder,
    Focal,
    Section,
    Sigma,
    Size,
    Stride,
    Weight,
    Width,
    Widths,
)


class Metadata(Section):
    """What is needed to use a network's weights, stored with them."""

    encoder: Encoder
    widths: Widths
    stride: Stride
    hidden: Width
    image_size: Size
    sigma: Sigma
    deck: Annotated[int, Field(ge=1, le=1000)]
    focal: Focal
    card: Card
    margins: dict[Literal[COUNTS], Weight] | None


def save_network(path, weights, about):
    """Write weights and what is needed to use them as one safetensors file.

    Args:
        weights: a CardPose's state_dict.
        about: {"encoder", "widths", "stride", "hidden", "image_size", "sigma", "deck", "focal",
            "card", "margins"}; the last a `margin` for each way of counting, or None.

    Raises:
        InputError: there are weights that are no numbers.
    """
    _check_weights(path, weights)
    weights = {name: tensor.contiguous() for name, tensor in weights.items()}
    content = save(weights, metadata={"cardpose": json.dumps(about)})
    Path(path).write_bytes(
        content
    )  # unlike safetensors, it says in the usual way that a disk is full


def _check_weights(path, weights):
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise InputError(
                f"{path}: holds weights that are no numbers, in {name}: learning rates were too"
                " high; train again with smaller ones"
            )


def check_network(path, about, tensors, model=None):
    """Refuse a network, which lies at `path`, that was made for other tensors than these. One to
    start from may know another sigma, but has to be built as `model` of params.yaml says.

    Raises:
        InputError: it says in what they differ.
    """
    wanted = {"image_size": list(tensors.image_size), "stride": tensors.stride}
    wanted |= model.model_dump() if model else {"sigma": tensors.sigma}
    for name, value in wanted.items():
        if about[name] != value:
            raise InputError(
                f"{path}: was made with {name} {about[name]}, and should be with {value}:"
                " `dvc repro` makes it again"
            )


def load_network(path):
    """The network in a file that `save_network` wrote, ready to predict, and its `about`.

    Raises:
        InputError: the file is missing or no network of this project.
    """
    try:
        with open(path, "rb"):  # says why not, which safetensors does not
            pass
        with safe_open(path, framework="pt") as file:
            about = Metadata.model_validate_json(file.metadata()["cardpose"]).model_dump()
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        network = CardPose(**network_shape(about))
        network.load_state_dict(weights)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except PermissionError:
        raise InputError(f"{path}: cannot be read (Permission denied)") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError):
        raise InputError(f"{path}: should be a network that cardpose trained") from None
    _check_weights(path, weights)
    return network.eval().to(memory_format=torch.channels_last), about
