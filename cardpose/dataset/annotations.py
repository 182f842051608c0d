"""annotations.csv: where the eight corners are in each labelled frame.

A row is `frame`, then `<keypoint>_visible,<keypoint>_x,<keypoint>_y` for each keypoint. `frame` is
`<recording>_frame_<index>`; x runs right as a fraction of the picture's width, y runs down as a
fraction of its height; both may be empty where the keypoint is not visible. Where all three are
empty, nobody has said anything of the keypoint. There may be a column `annotated`, in which 0 says
so of the whole row.
"""

import numpy as np
import pandas as pd
import pandera.pandas as pa

from cardpose.common.errors import InputError
from cardpose.common.tables import between, name_column, number_column, read_table
from cardpose.dataset.names import split_frame_name
from cardpose.geometry.keypoints import KEYPOINTS

LABEL_COLUMNS = [f"{name}_{what}" for name in KEYPOINTS for what in ("visible", "x", "y")]


def _schema():
    columns = {
        "frame": name_column(),
        "annotated": number_column("int64", between(0, 1), required=False),
    }
    for name in KEYPOINTS:
        columns[f"{name}_visible"] = number_column("Int64", between(0, 1), nullable=True)
        columns[f"{name}_x"] = number_column("float64", nullable=True)
        columns[f"{name}_y"] = number_column("float64", nullable=True)
    return pa.DataFrameSchema(columns)


def read_annotations(path, outside=False):
    """Read and check annotations.csv.

    Args:
        outside: whether visible keypoints may lie outside the picture.

    Returns:
        frames: list of n frame names.
        points: (n, 8, 2) float64 fractions of width and height, NaN where not visible.
        visible: (n, 8) bool, False where unknown.
        mask: (n, 8) bool, whether anything is said of a keypoint.

    Raises:
        InputError: see `read_table`; also a frame that is there twice or badly named, and a
            visible keypoint without coordinates or with coordinates outside 0 to 1.
    """
    table = read_table(path, _schema())
    lines = table.index.to_numpy()
    for line, frame in zip(lines, table["frame"], strict=True):
        split_frame_name(frame, f"{path}: line {line}: frame")
    n = len(table)
    visible = table[[f"{name}_visible" for name in KEYPOINTS]]
    mask, annotated = visible.notna().to_numpy(), np.ones((n, 1), bool)
    if "annotated" in table:
        annotated[:, 0] = table["annotated"] == 1
    named = [f"{name}_{axis}" for name in KEYPOINTS for axis in "xy"]
    points = table[named].to_numpy(float).reshape(n, 8, 2)
    lost = np.isfinite(points).any(axis=2) & ~mask & annotated
    if lost.any():
        row, keypoint = np.argwhere(lost)[0]
        raise InputError(
            f"{path}: line {lines[row]}: {KEYPOINTS[keypoint]}_visible: should be 0 or 1, as the"
            " keypoint has a place (it is empty)"
        )
    mask = mask & annotated
    visible = visible.fillna(0).to_numpy().astype(bool) & mask
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
    points = np.where(visible[..., None], points, np.nan)
    return table["frame"].tolist(), points, visible, mask


def write_annotations(path, frames, points, visible, mask=None):
    """Write annotations.csv; arguments as `read_annotations` returns them."""
    columns = {"frame": frames}
    points = np.where(visible[..., None], points, np.nan)
    mask = np.ones_like(visible) if mask is None else mask
    for i, name in enumerate(KEYPOINTS):
        columns[f"{name}_visible"] = pd.array(visible[:, i].astype(int), dtype="Int64")
        columns[f"{name}_visible"][~mask[:, i]] = pd.NA
        columns[f"{name}_x"] = points[:, i, 0]
        columns[f"{name}_y"] = points[:, i, 1]
    pd.DataFrame(columns).to_csv(path, index=False, float_format="%.6f", lineterminator="\n")


def label_fields(points, visible, mask):
    """The values of COLUMNS of one frame."""
    text = []
    for (x, y), shows, said in zip(points, visible, mask, strict=True):
        text += ["1", f"{x:.6f}", f"{y:.6f}"] if said and shows else ["0" if said else "", "", ""]
    return text
