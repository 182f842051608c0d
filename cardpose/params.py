"""Parameters of the pipeline: params.yaml, validated before a stage starts."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from cardpose.common.errors import InputError, one_line, short_repr
from cardpose.common.yaml_files import read_yaml
from cardpose.geometry.card import THICKEST, THINNEST


def _check_card(card: list[float]) -> list[float]:
    """Refuse sizes that no card has, such as swapped sides or the thickness of a whole deck."""
    width, length, thickness = card
    if not (20 <= width <= length and THINNEST <= thickness <= THICKEST):
        raise PydanticCustomError(
            "card",
            "should be a card's width, its length, which is more, and its thickness, in mm: from 20"
            f" to 300, and from {THINNEST} to {THICKEST}",
        )
    return card


# Upper bounds lie far above useful values, but low enough for a computer's memory.
Seed = Annotated[int, Field(ge=0, lt=2**32)]
FrameStep = Annotated[int, Field(gt=0, le=1_000_000)]
SidePixels = Annotated[int, Field(ge=32, le=4096)]
ImageSize = Annotated[list[SidePixels], Field(min_length=2, max_length=2)]  # width, height
HeatmapStride = Literal[2, 4, 8]  # pixels of the picture per pixel of a heatmap
HeatmapSigma = Annotated[float, Field(ge=0.5, le=100)]
FocalLength = Annotated[float, Field(ge=0.3, le=5)]  # in widths of the picture
Millimetres = Annotated[float, Field(gt=0, le=300)]
# Width, length and thickness of a card.
CardDimensions = Annotated[
    list[Millimetres], Field(min_length=3, max_length=3), AfterValidator(_check_card)
]
Encoder = Literal["plain", "inverted"]
Channels = Annotated[int, Field(ge=1, le=4096)]
EncoderChannels = Annotated[list[Channels], Field(min_length=3, max_length=7)]  # per level
Epochs = Annotated[int, Field(ge=0, le=100_000)]
AtLeastOneEpoch = Annotated[int, Field(ge=1, le=100_000)]
Weight = Annotated[float, Field(ge=0, le=1e12)]
_LearningRate = Annotated[float, Field(gt=0, le=1)]
Processes = Annotated[int, Field(ge=1, le=1024)]


class Section(BaseModel):
    """Section of params.yaml. Parameters without a default are required."""

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
    focal: FocalLength
    card: CardDimensions


class Model(Section):
    encoder: Encoder
    widths: EncoderChannels
    hidden: Channels


class Loss(Section):
    heatmaps: Weight
    cards: Weight
    visibility: Weight


class Learning(Section):
    """Parameters of both pretraining and training. Each section sets its own values."""

    batch_size: Annotated[int, Field(ge=2, le=4096)]
    learning_rate: _LearningRate
    closeup_learning_rate: _LearningRate
    weight_decay: Weight
    augment: bool


class Pretrain(Learning):
    seed: Seed
    pictures: Annotated[int, Field(ge=2, le=10_000_000)]
    sigma: HeatmapSigma
    half_size_epochs: Epochs
    epochs: Epochs
    closeup_epochs: Epochs
    edge_epochs: Epochs
    loss: Loss


class Train(Learning):
    epochs: AtLeastOneEpoch
    closeup_epochs: AtLeastOneEpoch
    edge_epochs: AtLeastOneEpoch
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
    # File systems allow names of at most 255 bytes.
    dataset: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=200)
    ]
    seed: Seed
    frame_step: FrameStep
    image_size: ImageSize
    heatmap_stride: HeatmapStride
    sigma: HeatmapSigma
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


def load_params(path: str | Path = "params.yaml") -> Params:
    """Read and validate all parameters.

    Raises:
        InputError: the file is missing or not YAML, or a parameter is unknown, missing, of the
            wrong type or out of range. The message names it and says how to fix it.
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
            f" (got {short_repr(params.split.fold)})"
        )
    _check_image_size(params, path)
    return params


def _check_image_size(params: Params, path: str | Path) -> None:
    """Refuse picture sizes that are no multiples of the heatmap stride."""
    if params.pretrain.half_size_epochs:
        multiple = 2 * params.heatmap_stride
        what = "twice heatmap_stride, for pretrain.half_size_epochs"
    else:
        multiple, what = int(params.heatmap_stride), "heatmap_stride"
    for side, pixels in zip(("width", "height"), params.image_size, strict=True):
        if pixels % multiple:
            raise InputError(
                f"{path}: image_size: {side} should be a multiple of {multiple}, {what}"
                f" (got {pixels})"
            )


def _first_problem(error: ValidationError, values: dict[Any, Any], path: str | Path) -> str:
    """Describe the first of pydantic's errors in one line."""
    problems = error.errors()
    if any(problem["type"] == "invalid_key" for problem in problems):
        return "the names of parameters should be text"
    problem = problems[0]
    name = one_line(".".join(str(part) for part in problem["loc"]))[:100]
    value = short_repr(problem["input"])
    if problem["type"] == "extra_forbidden":
        return f"{name}: no such parameter"
    if problem["type"] == "missing":
        return f"{name}: missing"
    if problem["type"] in ("string_pattern_mismatch", "string_too_long"):
        return f"{name}: should be the name of a folder below data/ (got {value})"
    if problem["type"] == "bool_type":
        return f"{name}: should be a valid boolean, true or false (got {value})"
    if problem["type"] == "string_type" and name.startswith(("dataset", "split.test_videos.")):
        advice = _quoting_advice(problem, values, path)
        return f"{name}: should be a valid string (got {value}); {advice}"
    return f"{name}: {problem['msg'].removeprefix('Input ')} (got {value})"


def _quoting_advice(problem: ErrorDetails, values: dict[Any, Any], path: str | Path) -> str:
    """Explain how to quote a name that YAML or DVC's -S reads as a number."""
    number, data = problem["input"], Path(path).parent / "data"
    if not isinstance(number, int | float):
        return "name one"
    if problem["loc"] == ("dataset",):
        names = [folder.name for folder in _entries(data)]
        setting = f"dataset={_quote(number, names)}"
    else:
        names = [file.stem for file in _entries(data / str(values.get("dataset")) / "videos")]
        quoted = (_quote(each, names) for each in values["split"]["test_videos"])
        setting = f"split.test_videos=[{','.join(quoted)}]"
    if len(setting) > 200:
        return "put the name in quotes"
    return f'put the name in quotes, with DVC so: -S "{one_line(setting)}"'


def _quote(value: Any, names: Collection[str]) -> str:
    """Return a name in quotes, given the name or the number that YAML or DVC read it as.

    DVC reads 2026_01 as 202601. In that case, look up the original name in `names`.
    """
    meant = [name for name in names if not isinstance(value, str) and _as_number(name) == value]
    return f"'{meant[0] if meant else value}'"


def _as_number(name: str) -> int | float | None:
    """Return the number that YAML or DVC reads in a name, or None."""
    for kind in (int, float):
        try:
            return kind(name)
        except ValueError:
            continue
    return None


def _entries(folder: Path) -> list[Path]:
    """Return the sorted contents of a folder, or an empty list if it cannot be read."""
    try:
        return sorted(folder.iterdir())
    except (OSError, ValueError):
        return []
