"""Write frames and proposals for labelling tools."""

import csv
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandera.pandas as pa

from cardpose.common.errors import InputError, join_names
from cardpose.common.files import atomic_output
from cardpose.common.tables import name_column, read_own_table, read_table
from cardpose.dataset.annotations import LABEL_COLUMNS, label_fields, read_annotations
from cardpose.dataset.layout import INDEX_COLUMNS, labelling_folder
from cardpose.labelling import coco, label_studio
from cardpose.labelling.proposals import read_proposals

FORMATS = {"label-studio": "label-studio.json", "coco": "coco.json", "csv": "labels.csv"}
CONFIGURATION = "label-studio.xml"


class Sheet(NamedTuple):
    """n frames to be looked at: `files` of their pictures, relative to labelling/frames; `sizes`
    (n, 2) in pixels; `points` (n, 8, 2) fractions, where labelled, proposed or NaN; `visible` (n,
    8); `mask` (n, 8) whether labelled; `confidence` (n, 8), 1 for labels, NaN where nothing is
    said; `labelled` (n,) whether anything of the frame is."""

    frames: list
    files: list
    sizes: np.ndarray
    points: np.ndarray
    visible: np.ndarray
    mask: np.ndarray
    confidence: np.ndarray
    labelled: np.ndarray


def sampled_frames_index(dataset):
    """The frames of labelling/frames: {frame: (file, (width, height))}, in their order.

    Raises:
        InputError: there are none.
    """
    path = labelling_folder(dataset) / "frames" / "index.csv"
    if not path.is_file():
        raise InputError(f"{path}: there is no such file: `cardpose label start` makes it")
    table = read_own_table(path, INDEX_COLUMNS)
    return {row.frame: (row.file, (row.width, row.height)) for row in table.itertuples()}


def choose_frames(dataset, next_only=False, labelled=False):
    """The frames to be exported: a `Sheet`.

    Args:
        next_only: take those of labelling/next.csv, in its order.
        labelled: take those that have a label, instead of those that have none.

    Raises:
        InputError: a file is missing or wrong, or no frame is left.
    """
    index, folder = sampled_frames_index(dataset), labelling_folder(dataset)
    labels, proposals = (
        labels_by_frame(dataset),
        proposals_by_frame(folder / "proposals.csv", labelled),
    )
    taken, where = list(index), folder / "frames" / "index.csv"
    if next_only:
        where = folder / "next.csv"
        taken = read_table(where, pa.DataFrameSchema({"frame": name_column()}))["frame"].tolist()
        strange = [frame for frame in taken if frame not in index]
        if strange:
            raise InputError(
                f"{where}: {join_names(strange)}: not in {folder / 'frames'}: `cardpose label next`"
                " chooses anew"
            )
    taken = [frame for frame in taken if (frame in labels) == labelled]
    if not taken:
        raise InputError(
            f"{where}: names no frame that has a label"
            if labelled
            else f"{where}: every frame it names has a label already; --labelled takes those"
        )
    n = len(taken)
    points, confidence = np.full((n, 8, 2), np.nan), np.full((n, 8), np.nan)
    visible, mask = np.zeros((n, 8), bool), np.zeros((n, 8), bool)
    for row, frame in enumerate(taken):
        if frame in proposals:
            points[row], visible[row], confidence[row] = proposals[frame]
        if frame in labels:
            place, shows, said = labels[frame]
            points[row, said], visible[row, said] = place[said], shows[said]
            confidence[row, said], mask[row] = 1, said
    # A proposal may lie a little outside, where no tool can show a mark.
    points = np.where(visible[..., None], np.clip(points, 0, 1), points)
    files, sizes = zip(*(index[frame] for frame in taken), strict=True)
    sizes = np.array(sizes).reshape(n, 2)
    return Sheet(taken, list(files), sizes, points, visible, mask, confidence, mask.any(axis=1))


def served(dataset):
    """Where a data set's frames lie, relative to the folder beside it that Label Studio serves."""
    return f"{Path(dataset).resolve().name}/labelling/frames"


def labels_by_frame(dataset):
    """{frame: its points, visible, mask} of frames of which anything is known."""
    path = Path(dataset) / "annotations.csv"
    if not path.exists():
        return {}
    frames, *values = read_annotations(path, outside=True)
    rows = zip(*values, strict=True)
    return {frame: row for frame, row in zip(frames, rows, strict=True) if row[2].any()}


def proposals_by_frame(path, labelled):
    if labelled and not path.exists():  # they only fill in what labels leave open
        return {}
    if not path.exists():
        raise InputError(f"{path}: there is no such file: `cardpose label start` makes it")
    proposals = read_proposals(path)
    rows = zip(proposals.points, proposals.visible, proposals.confidence, strict=True)
    return dict(zip(proposals.frames, rows, strict=True))


def write_tasks(sheet, kind, path, root):
    """Write a sheet to `path`, in one of FORMATS; Label Studio's configuration lies beside it.

    Args:
        root: where the pictures lie, relative to the folder that Label Studio serves.
    """
    if kind == "csv":
        with atomic_output(path) as new:
            _write_csv(sheet, new)
        return
    if kind == "coco":
        content = coco.coco_dataset(sheet)
    else:
        content = label_studio.studio_tasks(sheet, root)
        with atomic_output(Path(path).parent / CONFIGURATION) as new:
            new.write_text(label_studio.configuration(), encoding="utf-8")
    with atomic_output(path) as new:
        new.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _write_csv(sheet, path):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["frame", "annotated", *LABEL_COLUMNS])
        for row, frame in enumerate(sheet.frames):
            labelled = sheet.labelled[row]
            said = sheet.mask[row] if labelled else ~np.isnan(sheet.confidence[row])
            text = label_fields(sheet.points[row], sheet.visible[row], said)
            writer.writerow([frame, int(labelled), *text])


def picture_sizes(frames, index):
    """(n, 2) width and height in pixels of n frames' pictures."""
    return np.array([index[frame][1] for frame in frames])
