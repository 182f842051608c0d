"""Weights and metadata of a network, in one safetensors file."""

import json
from collections.abc import Mapping
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

_KEY = "cardpose"  # of the JSON text in a file's metadata


class Metadata(Section):
    """What is stored with the weights, to use them.

    `margins` has the `interval_margin` of each way of counting, or is None where no recording
    validated the network.
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
    margins: dict[Literal[COUNTS], Weight] | None  # type: ignore[valid-type]


def save_network(
    path: str | PathLike, weights: Mapping[str, Tensor], metadata: Mapping[str, Any]
) -> None:
    """Write weights and metadata as one safetensors file.

    Args:
        path: of the file.
        weights: the state_dict of a `CardPose`.
        metadata: the fields of `Metadata`.

    Raises:
        InputError: some weights are not finite.
    """
    _check_weights(path, weights)
    weights = {name: tensor.contiguous() for name, tensor in weights.items()}
    content = save(weights, metadata={_KEY: json.dumps(metadata)})
    Path(path).write_bytes(content)  # unlike safetensors, it raises an OSError on a full disk


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
    """Refuse a network that was made for other tensors.

    Args:
        path: of the network, for the error message.
        metadata: of the network.
        tensors: a `dataset.tensors.Tensors`.
        model: `model` of params.yaml, for a network to start training from. Such a network has to
            be built as `model` demands, but may have been trained with another sigma.

    Raises:
        InputError: they differ; its message names the first difference.
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
    """Load a network, ready to predict, and its metadata from a file of `save_network`.

    Raises:
        InputError: the file is missing or no network of this project.
    """
    try:
        with open(path, "rb"):  # its errors say why a file cannot be read; safetensors' do not
            pass
        with safe_open(path, framework="pt") as file:
            metadata = Metadata.model_validate_json(file.metadata()[_KEY]).model_dump()
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
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
