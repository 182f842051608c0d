"""Read and write annotations.csv, the labels of the eight keypoints.

A row holds the labels of one frame: `frame`, then `<keypoint>_visible`, `<keypoint>_x` and
`<keypoint>_y` for each keypoint. `frame` is `<recording>_frame_<index>`. x runs right as a fraction
of the picture's width, y runs down as a fraction of its height. Both may be empty where the
keypoint is not visible. A keypoint whose three values are empty is unlabelled. The column
`annotated` is optional: a row in which it is 0 is unlabelled as a whole.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pandera.pandas as pa
from jaxtyping import Bool, Float, Float64, Int

from cardpose.common.errors import InputError
from cardpose.common.tables import between, name_column, number_column, read_table
from cardpose.dataset.names import split_frame_name
from cardpose.geometry.keypoints import KEYPOINTS

LABEL_COLUMNS = [f"{name}_{field}" for name in KEYPOINTS for field in ("visible", "x", "y")]


class Annotations(NamedTuple):
    """Labels of n frames.

    `points` are fractions of width and height, NaN where not visible. `mask` says which keypoints
    are labelled. An unlabelled keypoint is not `visible`.
    """

    frames: list[str]
    points: Float64[np.ndarray, "n 8 2"]
    visible: Bool[np.ndarray, "n 8"]
    mask: Bool[np.ndarray, "n 8"]


def read_annotations(path: str | Path, outside: bool = False) -> Annotations:
    """Read and check annotations.csv.

    Args:
        outside: whether visible keypoints may lie outside the picture.

    Raises:
        InputError: the table is faulty (see `read_table`), a frame is misnamed or listed twice, a
            keypoint has coordinates but no visibility, or a visible keypoint lacks coordinates or,
            unless `outside`, lies outside 0 to 1.
    """
    table = read_table(path, _schema())
    lines = table.index.to_numpy()
    for line, frame in zip(lines, table["frame"], strict=True):
        split_frame_name(frame, f"{path}: line {line}: frame")
    n = len(table)
    marks = table[[f"{name}_visible" for name in KEYPOINTS]]
    has_mark, annotated = marks.notna().to_numpy(), np.ones((n, 1), bool)
    if "annotated" in table:
        annotated[:, 0] = table["annotated"] == 1
    coordinates = table[[f"{name}_{axis}" for name in KEYPOINTS for axis in "xy"]]
    points = coordinates.to_numpy(float).reshape(n, 8, 2)
    unmarked = np.isfinite(points).any(axis=2) & ~has_mark & annotated
    if unmarked.any():
        row, keypoint = np.argwhere(unmarked)[0]
        raise InputError(
            f"{path}: line {lines[row]}: {KEYPOINTS[keypoint]}_visible: should be 0 or 1, as the"
            " keypoint has a place (it is empty)"
        )
    mask = has_mark & annotated
    visible = marks.fillna(0).to_numpy().astype(bool) & mask
    _check_coordinates(path, lines, points, visible, outside)
    points = np.where(visible[..., None], points, np.nan)
    return Annotations(table["frame"].tolist(), points, visible, mask)


def write_annotations(
    path: str | Path,
    frames: Sequence[str],
    points: Float[np.ndarray, "n 8 2"],
    visible: Bool[np.ndarray, "n 8"],
    mask: Bool[np.ndarray, "n 8"] | None = None,
) -> None:
    """Write annotations.csv.

    Args:
        frames, points, visible, mask: as in `Annotations`. Without a mask, every keypoint is
            labelled.
    """
    columns: dict[str, Any] = {"frame": frames}
    points = np.where(visible[..., None], points, np.nan)
    mask = np.ones_like(visible) if mask is None else mask
    for i, name in enumerate(KEYPOINTS):
        columns[f"{name}_visible"] = pd.array(visible[:, i].astype(int), dtype="Int64")
        columns[f"{name}_visible"][~mask[:, i]] = pd.NA
        columns[f"{name}_x"] = points[:, i, 0]
        columns[f"{name}_y"] = points[:, i, 1]
    pd.DataFrame(columns).to_csv(path, index=False, float_format="%.6f", lineterminator="\n")


def label_fields(
    points: Float[np.ndarray, "8 2"], visible: Bool[np.ndarray, "8"], mask: Bool[np.ndarray, "8"]
) -> list[str]:
    """Return the labels of one frame as the fields of LABEL_COLUMNS."""
    fields = []
    for (x, y), is_visible, is_labelled in zip(points, visible, mask, strict=True):
        if not is_labelled:
            fields += ["", "", ""]
        elif not is_visible:
            fields += ["0", "", ""]
        else:
            fields += ["1", f"{x:.6f}", f"{y:.6f}"]
    return fields


def _schema() -> pa.DataFrameSchema:
    columns = {
        "frame": name_column(),
        "annotated": number_column("int64", between(0, 1), required=False),
    }
    for name in KEYPOINTS:
        columns[f"{name}_visible"] = number_column("Int64", between(0, 1), nullable=True)
        columns[f"{name}_x"] = number_column("float64", nullable=True)
        columns[f"{name}_y"] = number_column("float64", nullable=True)
    return pa.DataFrameSchema(columns)


def _check_coordinates(
    path: str | Path,
    lines: Int[np.ndarray, " n"],
    points: Float64[np.ndarray, "n 8 2"],
    visible: Bool[np.ndarray, "n 8"],
    outside: bool,
) -> None:
    """Refuse visible keypoints that lack coordinates or, unless `outside`, lie outside 0 to 1."""
    low, high = (-np.inf, np.inf) if outside else (0, 1)
    with np.errstate(invalid="ignore"):
        wrong = visible[..., None] & ~((points >= low) & (points <= high))
    if wrong.any():
        row, keypoint, axis = np.argwhere(wrong)[0]
        value = points[row, keypoint, axis]
        found = "it is empty" if np.isnan(value) else f"got {value:g}"
        raise InputError(
            f"{path}: line {lines[row]}: {KEYPOINTS[keypoint]}_{'xy'[axis]}: should be between 0"
            f" and 1, as the keypoint is visible ({found})"
        )
