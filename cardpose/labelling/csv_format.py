"""Read and write tasks as a CSV table, for tools that edit tables.

The table is an annotations.csv with the column `annotated`. Rows with proposals have 0 there. A
person who has checked such a row changes it to 1.
"""

import csv
from pathlib import Path

import numpy as np

from cardpose.common.errors import InputError
from cardpose.dataset.annotations import LABEL_COLUMNS, label_fields, read_annotations
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.labelling.labels import Labels, plain_origin
from cardpose.labelling.tasks import Tasks


def write_csv(tasks: Tasks, path: Path) -> None:
    """Write tasks as a table. Rows of labelled frames hold only labels, no proposals."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["frame", "annotated", *LABEL_COLUMNS])
        for row, (frame, labelled) in enumerate(zip(tasks.frames, tasks.labelled, strict=True)):
            filled = tasks.mask[row] if labelled else ~np.isnan(tasks.confidence[row])
            fields = label_fields(tasks.points[row], tasks.visible[row], filled)
            writer.writerow([frame, int(labelled), *fields])


def csv_labels(path: Path) -> Labels:
    """Read the labels in a table; see `read_annotations`.

    Raises:
        InputError: the table cannot be read, or is proposals.csv.
    """
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        header = file.readline()
    if f"{KEYPOINTS[0]}_confidence" in header:
        raise InputError(
            f"{path}: holds proposals that have not been checked: `cardpose label export` them,"
            " and import what comes back"
        )
    frames, points, visible, mask = read_annotations(path, outside=True)
    left_out = {}
    rows = np.flatnonzero(mask.any(axis=1))
    if len(rows) < len(frames):
        left_out["whose `annotated` is not 1, or that are empty"] = len(frames) - len(rows)
    origin = plain_origin(points, "annotated" not in _column_names(header))
    return Labels(frames, points, visible, mask, origin, left_out).take(rows)


def _column_names(header: str) -> list[str]:
    return [name.strip() for name in next(csv.reader([header], skipinitialspace=True), [])]
