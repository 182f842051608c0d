"""params.yaml: every knob of the pipeline, checked before anything runs."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from cardpose.errors import InputError

Positive = Annotated[int, Field(gt=0)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Split(Section):
    by: Literal["video", "frame"]
    folds: Annotated[int, Field(ge=2)]
    fold: Annotated[int, Field(ge=0)]
    test_videos: list[str]
    validation: Annotated[float, Field(ge=0, le=0.5)]


class Count(Section):
    source: Literal["picture", "keypoints", "both"] = Field(alias="from")


class Geometry(Section):
    steps: Positive
    focal: Annotated[float, Field(ge=0.3, le=5)]
    card: Annotated[list[Annotated[float, Field(gt=0, le=300)]], Field(min_length=3, max_length=3)]


class Model(Section):
    encoder: Literal["plain", "inverted"]
    widths: Annotated[list[Positive], Field(min_length=3, max_length=7)]
    hidden: Positive


class Loss(Section):
    heatmaps: Weight
    cards: Weight
    visibility: Weight


class Pretrain(Section):
    frame_step: Positive
    half_size_epochs: Annotated[int, Field(ge=0)]
    epochs: Annotated[int, Field(ge=0)]
    closeup_epochs: Annotated[int, Field(ge=0)]
    edge_epochs: Annotated[int, Field(ge=0)]
    learning_rate: Annotated[float, Field(gt=0, le=1)]


class Train(Section):
    epochs: Positive
    closeup_epochs: Positive
    edge_epochs: Positive
    batch_size: Annotated[int, Field(ge=2)]
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    closeup_learning_rate: Annotated[float, Field(gt=0, le=1)]
    weight_decay: Weight
    augment: bool
    precision: Literal["auto", "32-true", "bf16-mixed"]
    devices: Positive
    hosts: Positive


class Machine(Section):
    loader_workers: Annotated[int, Field(ge=0, le=64)]
    dask: str | None


class Evaluate(Section):
    pictures: Annotated[int, Field(ge=1, le=100)]


class Synthetic(Section):
    videos: Annotated[int, Field(ge=1, le=52)]
    frames: Annotated[int, Field(ge=1, le=100_000)]


class Params(Section):
    dataset: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    frame_step: Positive
    image_size: Annotated[
        list[Annotated[int, Field(ge=32, le=4096)]], Field(min_length=2, max_length=2)
    ]
    heatmap_stride: Literal[2, 4, 8]
    sigma: Annotated[float, Field(ge=0.5, le=100)]
    split: Split
    count: Count
    geometry: Geometry
    model: Model
    loss: Loss
    pretrain: Pretrain
    train: Train
    machine: Machine
    evaluate: Evaluate
    synthetic: Synthetic


def load_params(path="params.yaml"):
    """Read and check all parameters.

    Raises:
        InputError: the file is missing or no YAML, or a parameter is unknown, missing, of the
            wrong type or impossible; the message names it and says what would be right.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: should be UTF-8 text") from None
    try:
        values = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path}: no valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: should hold `name: value` lines")
    try:
        params = Params(**values)
    except (ValidationError, TypeError) as error:
        raise InputError(f"{path}: {_first_problem(error)}") from None
    if params.split.fold >= params.split.folds:
        raise InputError(
            f"{path}: split.fold: should be below split.folds, {params.split.folds}"
            f" (got {params.split.fold})"
        )
    for side, pixels in zip(("width", "height"), params.image_size, strict=True):
        if pixels % params.heatmap_stride:
            raise InputError(
                f"{path}: image_size: {side} should be a multiple of heatmap_stride,"
                f" {params.heatmap_stride} (got {pixels})"
            )
    return params


def _first_problem(error):
    if isinstance(error, TypeError):
        return "the names of parameters should be text"
    problem = error.errors()[0]
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{name}: no such parameter"
    if problem["type"] == "missing":
        return f"{name}: missing"
    if problem["type"] == "string_pattern_mismatch":
        return f"{name}: should be the name of a folder below data/ (got {problem['input']!r})"
    return f"{name}: {problem['msg'].removeprefix('Input ')} (got {problem['input']!r})"
