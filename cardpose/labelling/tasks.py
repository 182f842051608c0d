"""Frames to label, with their labels and proposals."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandera.pandas as pa
from jaxtyping import Bool, Float, Int

from cardpose.common.errors import InputError, join_names
from cardpose.common.tables import name_column, read_own_table, read_table
from cardpose.dataset.annotations import read_annotations
from cardpose.dataset.layout import INDEX_COLUMNS, labelling_folder
from cardpose.labelling.labels import Label
from cardpose.labelling.proposals import Proposal, read_proposals

# {frame: (file of its picture, relative to labelling/frames; (width, height) in pixels)}
FrameIndex = dict[str, tuple[str, tuple[int, int]]]


class Tasks(NamedTuple):
    """Frames to label, n of them.

    Attributes:
        frames: their names.
        files: their pictures, relative to labelling/frames.
        sizes: width and height of the pictures in pixels.
        points: fractions of width and height, from the label or otherwise the proposal; NaN where
            there is neither.
        visible: visibility, from the label or otherwise the proposal.
        mask: whether each keypoint is labelled.
        confidence: confidence of proposals, 0 to 1; 1 for labels; NaN where there is neither.
    """

    frames: list[str]
    files: list[str]
    sizes: Int[np.ndarray, "n 2"]
    points: Float[np.ndarray, "n 8 2"]
    visible: Bool[np.ndarray, "n 8"]
    mask: Bool[np.ndarray, "n 8"]
    confidence: Float[np.ndarray, "n 8"]

    @property
    def labelled(self) -> Bool[np.ndarray, " n"]:
        """Whether any keypoint of each frame is labelled."""
        return np.any(self.mask, axis=1)


def sampled_frames_index(dataset: str | Path) -> FrameIndex:
    """Read the index of the frames in labelling/frames.

    Raises:
        InputError: there is no index.
    """
    path = labelling_folder(dataset) / "frames" / "index.csv"
    if not path.is_file():
        raise InputError(f"{path}: there is no such file: `cardpose label start` makes it")
    table = read_own_table(path, INDEX_COLUMNS)
    return {row.frame: (row.file, (row.width, row.height)) for row in table.itertuples()}


def picture_sizes(frames: list[str], index: FrameIndex) -> Int[np.ndarray, "n 2"]:
    """Return width and height in pixels of the frames' pictures."""
    return np.array([index[frame][1] for frame in frames])


def labels_by_frame(dataset: str | Path) -> dict[str, Label]:
    """Read the labelled frames in annotations.csv. Without that file, there are none."""
    path = Path(dataset) / "annotations.csv"
    if not path.exists():
        return {}
    frames, *values = read_annotations(path, outside=True)
    labels = map(Label, *values)
    return {frame: each for frame, each in zip(frames, labels, strict=True) if each.mask.any()}


def proposals_by_frame(dataset: str | Path, optional: bool = False) -> dict[str, Proposal]:
    """Read labelling/proposals.csv.

    Raises:
        InputError: the file is damaged, or it is missing and not `optional`.
    """
    path = labelling_folder(dataset) / "proposals.csv"
    if not path.exists():
        if optional:
            return {}
        raise InputError(f"{path}: there is no such file: `cardpose label start` makes it")
    frames, *values = read_proposals(path)
    return dict(zip(frames, map(Proposal, *values), strict=True))


def choose_tasks(dataset: str | Path, next_only: bool = False, labelled: bool = False) -> Tasks:
    """Choose the frames to label.

    Args:
        next_only: take only frames of labelling/next.csv, in its order.
        labelled: take frames that have a label, instead of frames that have none.

    Raises:
        InputError: a file is missing or faulty, or no frame is left.
    """
    index, labels = sampled_frames_index(dataset), labels_by_frame(dataset)
    # In labelled frames, proposals only fill in the unlabelled keypoints.
    proposals = proposals_by_frame(dataset, optional=labelled)
    path, listed = labelling_folder(dataset) / "frames" / "index.csv", list(index)
    if next_only:
        path = labelling_folder(dataset) / "next.csv"
        listed = _read_next(path, index)
    frames = [frame for frame in listed if (frame in labels) == labelled]
    if not frames:
        raise InputError(
            f"{path}: names no frame that has a label"
            if labelled
            else f"{path}: every frame it names has a label already; --labelled takes those"
        )
    return _combine(frames, index, labels, proposals)


def _read_next(path: Path, index: FrameIndex) -> list[str]:
    table = read_table(path, pa.DataFrameSchema({"frame": name_column()}))
    strange = [frame for frame in table["frame"] if frame not in index]
    if strange:
        raise InputError(
            f"{path}: {join_names(strange)}: not in {path.parent / 'frames'}: `cardpose label next`"
            " chooses anew"
        )
    return table["frame"].tolist()


def _combine(
    frames: list[str],
    index: FrameIndex,
    labels: dict[str, Label],
    proposals: dict[str, Proposal],
) -> Tasks:
    n = len(frames)
    points, confidence = np.full((n, 8, 2), np.nan), np.full((n, 8), np.nan)
    visible, mask = np.zeros((n, 8), bool), np.zeros((n, 8), bool)
    for row, frame in enumerate(frames):
        if frame in proposals:
            points[row], visible[row], confidence[row] = proposals[frame]
        if frame in labels:
            label = labels[frame]
            mask[row] = label.mask
            points[row, label.mask] = label.points[label.mask]
            visible[row, label.mask] = label.visible[label.mask]
            confidence[row, label.mask] = 1
    # Move proposals outside the picture to its edge: tools cannot mark places outside.
    points = np.where(visible[..., None], np.clip(points, 0, 1), points)
    files = [index[frame][0] for frame in frames]
    return Tasks(frames, files, picture_sizes(frames, index), points, visible, mask, confidence)
