"""Join labels to the sampled frames that they belong to."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int

from cardpose.common.errors import InputError, join_names, quantity
from cardpose.common.tables import read_own_table
from cardpose.dataset.annotations import read_annotations
from cardpose.dataset.layout import INDEX_COLUMNS, SUMMARY_COLUMNS
from cardpose.dataset.names import split_frame_name
from cardpose.dataset.tensors import write_tensors

_COLUMNS = ["frame", "recording", "cards_counted", "total_cards", "file", "width", "height"]


def write_labelled(
    folder: str | Path,
    extracted: str | Path,
    path: str | Path,
    image_size: Sequence[int],
    stride: int,
    sigma: float,
    unlabelled: bool = False,
) -> tuple[int, int]:
    """Write the tensors of the labelled frames, or of all frames, into `folder`.

    Args:
        extracted: folder that `extract_frames` wrote.
        path: path of annotations.csv.
        image_size, stride, sigma: see `write_tensors`.
        unlabelled: whether to include frames without a label.

    Returns:
        the number of extracted frames with a label, and the number without.
    """
    labels = read_annotations(path)
    frames, rows, missing = match_labels(extracted, labels.frames, path, labels.mask, unlabelled)
    has_label = rows >= 0
    # A frame without a label has row -1, which reads the last label: clear its mask.
    mask = labels.mask[rows] & has_label[:, None]
    points, visible = labels.points[rows], labels.visible[rows]
    write_tensors(folder, extracted, frames, points, visible, image_size, stride, sigma, mask)
    return int(has_label.sum()), missing


def match_labels(
    extracted: str | Path,
    labelled: Sequence[str],
    path: str | Path,
    mask: Bool[np.ndarray, "m 8"] | None = None,
    unlabelled: bool = False,
) -> tuple[pd.DataFrame, Int[np.ndarray, " n"], int]:
    """Match labels to the extracted frames by name.

    Args:
        extracted: folder that `extract_frames` wrote.
        labelled: names of the m frames in annotations.csv.
        path: path of annotations.csv, for messages.
        mask: which keypoints are labelled; by default all. A frame with none counts as unlabelled.
        unlabelled: whether to include frames without a label.

    Returns:
        frames: table of n frames: `frame, recording, cards_counted, total_cards, file, width,
            height`.
        rows: index into `labelled` of each frame's label, -1 for none.
        missing: number of extracted frames without a label.

    Raises:
        InputError: a label names a frame that its recording does not have, or no sampled frame
            has a label. Labels of frames that a video has but that were not sampled are allowed.
    """
    extracted = Path(extracted)
    index = read_own_table(extracted / "index.csv", INDEX_COLUMNS)
    summary = read_own_table(extracted / "recordings.csv", SUMMARY_COLUMNS)
    absent = _absent_frames(labelled, index, summary, path)
    if absent:
        raise InputError(
            f"{path}: {quantity(len(absent), 'label')} without a frame: {join_names(absent)}"
        )
    row_of_frame = {
        frame: row for row, frame in enumerate(labelled) if mask is None or mask[row].any()
    }
    has_label = index["frame"].isin(row_of_frame.keys())
    if not has_label.any():
        raise InputError(f"{path}: no label belongs to any of the {len(index)} sampled frames")
    wanted = index if unlabelled else index[has_label]
    frames = wanted.merge(summary, on="recording", how="left", validate="m:1")
    rows = np.array([row_of_frame.get(frame, -1) for frame in frames["frame"]])
    return frames[_COLUMNS], rows, int((~has_label).sum())


def _absent_frames(
    labelled: Sequence[str], index: pd.DataFrame, summary: pd.DataFrame, path: str | Path
) -> list[str]:
    """Return the labelled frames that their recordings do not have."""
    sampled = set(index["frame"])
    videos = {row.recording: row for row in summary.itertuples() if row.kind == "video"}
    absent = []
    for frame in labelled:
        if frame in sampled:
            continue
        recording, number = split_frame_name(frame, f"{path}: frame")
        video = videos.get(recording)
        # A frame between two sampled ones exists. Its label is not used.
        if not (video and number < video.frames and number % video.step):
            absent.append(frame)
    return absent
