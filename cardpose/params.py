"""params.yaml: every knob of the pipeline, checked before anything runs."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from cardpose.errors import InputError, one_line, shown


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
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: should be UTF-8 text") from None
    try:
        values = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError) as error:
        said = one_line(" ".join(str(error).split()))
        raise InputError(f"{path}: no valid YAML: {said}") from None
    except RecursionError:
        raise InputError(f"{path}: no valid YAML: nested too deeply") from None
    except Exception:  # PyYAML fails in a dozen ways on values that are wrongly tagged
        raise InputError(f"{path}: no valid YAML: a tagged value cannot be understood") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: should hold `name: value` lines")
    try:
        params = Params.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{path}: {_first_problem(error)}") from None
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


class _Loader(yaml.SafeLoader):
    """Refuses a name that is there twice, of which YAML would take the last."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if isinstance(name, str) and name != "<<" and name in seen:
                problem = f"{one_line(name)!r} is there twice"
                raise yaml.constructor.ConstructorError(
                    problem=problem, problem_mark=key.start_mark
                )
            if isinstance(name, str):
                seen.add(name)
        return super().construct_mapping(node, deep)


def _first_problem(error):
    problems = error.errors()
    if any(problem["type"] == "invalid_key" for problem in problems):
        return "the names of parameters should be text"
    problem = problems[0]
    name = one_line(".".join(str(part) for part in problem["loc"]))[:100]
    value = shown(problem["input"])  # short, whatever it is
    if problem["type"] == "extra_forbidden":
        return f"{name}: no such parameter"
    if problem["type"] == "missing":
        return f"{name}: missing"
    if problem["type"] == "string_pattern_mismatch":
        return f"{name}: should be the name of a folder below data/ (got {value})"
    return f"{name}: {problem['msg'].removeprefix('Input ')} (got {value})"
