"""params.yaml: every knob of the pipeline, checked before anything runs."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from cardpose.common.errors import InputError, one_line, short_repr
from cardpose.common.yaml_files import read_yaml


def _a_card(card):
    """Refuse what is no card's width, length and thickness: exchanged, or of a whole deck."""
    width, length, thickness = card
    if not (20 <= width <= length and 0.05 <= thickness <= 5):
        raise PydanticCustomError(
            "card",
            "should be a card's width, its length, which is more, and its thickness, in mm: from 20"
            " to 300, and from 0.05 to 5",
        )
    return card


# Upper bounds are far above what is of use, and below what fills a computer's memory.
Epochs = Annotated[int, Field(ge=0, le=100_000)]
Step = Annotated[int, Field(gt=0, le=1_000_000)]
Width = Annotated[int, Field(ge=1, le=4096)]
Widths = Annotated[list[Width], Field(min_length=3, max_length=7)]
Encoder = Literal["plain", "inverted"]
Processes = Annotated[int, Field(ge=1, le=1024)]
Weight = Annotated[float, Field(ge=0, le=1e12)]
Side = Annotated[int, Field(ge=32, le=4096)]
Size = Annotated[list[Side], Field(min_length=2, max_length=2)]
Length = Annotated[float, Field(gt=0, le=300)]
Focal = Annotated[float, Field(ge=0.3, le=5)]
Card = Annotated[list[Length], Field(min_length=3, max_length=3), AfterValidator(_a_card)]
Stride = Literal[2, 4, 8]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Sigma = Annotated[float, Field(ge=0.5, le=100)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Split(Section):
    by: Literal["video", "frame"]
    folds: Annotated[int, Field(ge=2, le=1_000_000)]
    fold: Annotated[int, Field(ge=0)]
    test_videos: list[str]
    validation: Annotated[float, Field(ge=0, le=0.5)]


class Count(Section):
    source: Literal["picture", "keypoints", "both"] = Field(alias="from")


class Geometry(Section):
    steps: Annotated[int, Field(ge=1, le=1_000_000)]
    focal: Focal
    card: Card


class Model(Section):
    encoder: Encoder
    widths: Widths
    hidden: Width


class Loss(Section):
    heatmaps: Weight
    cards: Weight
    visibility: Weight


class Learning(Section):
    """What pretraining and training both have, each its own."""

    batch_size: Annotated[int, Field(ge=2, le=4096)]
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    closeup_learning_rate: Annotated[float, Field(gt=0, le=1)]
    weight_decay: Weight
    augment: bool


class Pretrain(Learning):
    seed: Seed
    pictures: Annotated[int, Field(ge=2, le=10_000_000)]
    sigma: Sigma
    half_size_epochs: Epochs
    epochs: Epochs
    closeup_epochs: Epochs
    edge_epochs: Epochs
    loss: Loss


class Train(Learning):
    epochs: Annotated[int, Field(ge=1, le=100_000)]
    closeup_epochs: Annotated[int, Field(ge=1, le=100_000)]
    edge_epochs: Annotated[int, Field(ge=1, le=100_000)]
    precision: Literal["auto", "32-true", "bf16-mixed"]
    devices: Processes
    hosts: Processes


class Certificates(Section):
    """Paths of PEM files."""

    ca: str
    certificate: str
    key: str


class Machine(Section):
    loader_workers: Annotated[int, Field(ge=0, le=64)]
    dask: str | None
    dask_tls: Certificates | None = None


class Evaluate(Section):
    pictures: Annotated[int, Field(ge=1, le=100)]


class Synthetic(Section):
    videos: Annotated[int, Field(ge=1, le=52)]
    frames: Annotated[int, Field(ge=1, le=100_000)]


class Params(Section):
    dataset: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    seed: Seed
    frame_step: Step
    image_size: Size
    heatmap_stride: Stride
    sigma: Sigma
    unlabelled: bool
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
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise InputError(f"{path}: should hold `name: value` lines")
    try:
        params = Params.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{path}: {_first_problem(error, values, path)}") from None
    if params.split.fold >= params.split.folds:
        raise InputError(
            f"{path}: split.fold: should be below split.folds, {params.split.folds}"
            f" (got {params.split.fold})"
        )
    multiple, what = params.heatmap_stride, "heatmap_stride"
    if params.pretrain.half_size_epochs:
        multiple, what = 2 * multiple, "twice heatmap_stride, for pretrain.half_size_epochs"
    for side, pixels in zip(("width", "height"), params.image_size, strict=True):
        if pixels % multiple:
            raise InputError(
                f"{path}: image_size: {side} should be a multiple of {multiple}, {what}"
                f" (got {pixels})"
            )
    return params


def _first_problem(error, values, path):
    problems = error.errors()
    if any(problem["type"] == "invalid_key" for problem in problems):
        return "the names of parameters should be text"
    problem = problems[0]
    name = one_line(".".join(str(part) for part in problem["loc"]))[:100]
    value = short_repr(problem["input"])  # short, whatever it is
    if problem["type"] == "extra_forbidden":
        return f"{name}: no such parameter"
    if problem["type"] == "missing":
        return f"{name}: missing"
    if problem["type"] == "string_pattern_mismatch":
        return f"{name}: should be the name of a folder below data/ (got {value})"
    if problem["type"] == "bool_type":
        return f"{name}: should be a valid boolean, true or false (got {value})"
    if problem["type"] == "string_type" and name.startswith(("dataset", "split.test_videos.")):
        return f"{name}: should be a valid string (got {value}); {_quoted(problem, values, path)}"
    return f"{name}: {problem['msg'].removeprefix('Input ')} (got {value})"


def _quoted(problem, values, path):
    """Say how to quote a name of digits, which YAML and DVC's -S read as a number."""
    number, data = problem["input"], Path(path).parent / "data"
    if not isinstance(number, int | float) or abs(number) > 1e30:
        return "name one"
    if problem["loc"] == ("dataset",):
        names = [folder.name for folder in _inside(data)]
        setting = f"dataset={_quote(number, names)}"
    else:
        names = [file.stem for file in _inside(data / str(values.get("dataset")) / "videos")]
        every = (_quote(each, names) for each in values["split"]["test_videos"])
        setting = f"split.test_videos=[{','.join(every)}]"
    return f'put the name in quotes, with DVC so: -S "{one_line(setting)}"'


def _quote(value, names):
    # DVC drops the underscores of 2026_01: look for the name that somebody typed.
    meant = [name for name in names if not isinstance(value, str) and _as_number(name) == value]
    return f"'{meant[0] if meant else value}'"


def _as_number(name):
    """Return the number that a name is to YAML or DVC, or None."""
    for kind in (int, float):
        try:
            return kind(name)
        except ValueError:
            continue
    return None


def _inside(folder):
    try:
        return sorted(folder.iterdir())
    except (OSError, ValueError):
        return []
