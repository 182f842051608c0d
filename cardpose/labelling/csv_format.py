"""A CSV table as a labelling tool's file.

It is an annotations.csv with a column `annotated`: 0 in rows that hold proposals, until a person
who has checked them writes 1.
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
    """Write tasks as a table. Rows of labelled frames hold the label alone, no proposals."""
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
        InputError: it cannot be read, or holds the proposals themselves.
    """
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        header = file.readline()
    if f"{KEYPOINTS[0]}_confidence" in header:
        raise InputError(
            f"{path}: holds proposals, which nobody has looked at: `cardpose label export` them,"
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
