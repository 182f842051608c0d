"""Weights and metadata of a network, in one safetensors file."""

import json
from collections.abc import Mapping
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from cardpose.common.errors import InputError
from cardpose.network.model import COUNTS, CardPose, network_shape
from cardpose.params import (
    CardDimensions,
    Channels,
    Encoder,
    EncoderChannels,
    FocalLength,
    HeatmapSigma,
    HeatmapStride,
    ImageSize,
    Section,
    Weight,
)

_KEY = "cardpose"  # key of our JSON text in the safetensors metadata


class Metadata(Section):
    """Metadata stored with the weights of a network.

    Attributes:
        encoder, widths, hidden: section `model` of params.yaml.
        stride: input pixels per heatmap pixel.
        image_size: width and height of the network's input, in pixels.
        sigma: standard deviation of the Gaussians, in heatmap pixels.
        deck: number of cards that a count of 1 stands for.
        focal: focal length of the camera, as a share of a picture's longer side.
        card: width, length and thickness of a card, in mm.
        margins: half the width of the 90 % interval of a picture for each way of counting, in
            cards; None if no recording validated the network.
        recording_margin: half the width of the 90 % interval of a recording, in expected errors;
            None as well.
    """

    encoder: Encoder
    widths: EncoderChannels
    stride: HeatmapStride
    hidden: Channels
    image_size: ImageSize
    sigma: HeatmapSigma
    deck: Annotated[int, Field(ge=1, le=1000)]
    focal: FocalLength
    card: CardDimensions
    margins: Annotated[dict[Literal[COUNTS], Weight], Field(min_length=len(COUNTS))] | None  # type: ignore[valid-type]
    recording_margin: Weight | None = None


def save_network(
    path: str | PathLike, weights: Mapping[str, Tensor], metadata: Mapping[str, Any]
) -> None:
    """Write weights and metadata as one safetensors file.

    Args:
        path: of the file.
        weights: the state_dict of a `CardPose`.
        metadata: the fields of `Metadata`.

    Raises:
        InputError: a weight is not finite.
    """
    _check_weights(path, weights)
    weights = {name: tensor.contiguous() for name, tensor in weights.items()}
    content = save(weights, metadata={_KEY: json.dumps(metadata)})
    Path(path).write_bytes(content)  # raises OSError on a full disk, unlike safetensors


def _check_weights(path: str | PathLike, weights: Mapping[str, Tensor]) -> None:
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise InputError(
                f"{path}: holds weights that are no numbers, in {name}: learning rates were too"
                " high; train again with smaller ones"
            )


def check_network(
    path: str | PathLike, metadata: Mapping[str, Any], tensors: Any, model: Section | None = None
) -> None:
    """Raise an error if a network was made for other tensors.

    Args:
        path: of the network, for the error message.
        metadata: of the network.
        tensors: a `dataset.tensors.Tensors`.
        model: section `model` of params.yaml, if training starts from the network. The network
            then has to match `model`, but may have another sigma.

    Raises:
        InputError: a setting differs. The message names the first one.
    """
    wanted = {"image_size": list(tensors.image_size), "stride": tensors.stride}
    wanted |= model.model_dump() if model else {"sigma": tensors.sigma}
    for name, value in wanted.items():
        if metadata[name] != value:
            raise InputError(
                f"{path}: was made with {name} {metadata[name]}, and should be with {value}:"
                " `dvc repro` makes it again"
            )


def load_network(path: str | PathLike) -> tuple[CardPose, dict[str, Any]]:
    """Load a network in evaluation mode, and its metadata, from a file of `save_network`.

    Raises:
        InputError: the file cannot be read, or holds no network of this project.
    """
    try:
        with open(path, "rb"):  # says why a file cannot be read, unlike safetensors
            pass
        with safe_open(path, framework="pt") as file:
            metadata = Metadata.model_validate_json(file.metadata()[_KEY]).model_dump()
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        # A damaged file may claim widths whose network would fill the memory.
        least = sum(a * b for a, b in pairwise(metadata["widths"])) + metadata["hidden"] ** 2
        if least > sum(tensor.numel() for tensor in weights.values()):
            raise ValueError
        network = CardPose(**network_shape(metadata))
        network.load_state_dict(weights)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except PermissionError:
        raise InputError(f"{path}: cannot be read (Permission denied)") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError):
        raise InputError(f"{path}: should be a network that cardpose trained") from None
    _check_weights(path, weights)
    network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network, metadata
