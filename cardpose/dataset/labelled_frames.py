"""Join annotations to the extracted frames."""

from pathlib import Path

import numpy as np

from cardpose.common.errors import InputError, join_names
from cardpose.common.tables import read_own_table
from cardpose.dataset.layout import INDEX_COLUMNS, SUMMARY_COLUMNS
from cardpose.dataset.names import split_frame_name


def match_labels(extracted, labelled, path, mask=None, unlabelled=False):
    """Join labels to the extracted frames.

    Args:
        extracted: folder that `extract_frames` wrote.
        labelled: list of the labelled frames' names.
        path: the annotations' file, for messages.
        mask: (m, 8) bool, of which keypoints each label says anything, where one may say nothing:
            that is none.
        unlabelled: whether to take the frames without a label, too.

    Returns:
        frames: a table with a row for each frame that has a label, or for each: `frame, recording,
            cards_counted, total_cards, file, width, height`.
        rows: (n,) which label belongs to each, -1 if none.
        missing: how many extracted frames have no label.

    Raises:
        InputError: a label names a frame that its recording does not have. Labels of frames that
            a video has but that were not sampled are no fault.
    """
    extracted = Path(extracted)
    index = read_own_table(extracted / "index.csv", INDEX_COLUMNS)
    summary = read_own_table(extracted / "recordings.csv", SUMMARY_COLUMNS)
    says = np.ones(len(labelled), bool) if mask is None else mask.any(axis=1)
    label_row = {frame: row for row, frame in enumerate(labelled) if says[row]}
    sampled = set(index["frame"])
    videos = {r.recording: r for r in summary.itertuples() if r.kind == "video"}
    lost = []
    for frame in labelled:
        if frame not in sampled:
            recording, number = split_frame_name(frame, f"{path}: frame")
            video = videos.get(recording)
            if not (video and number < video.frames and number % video.step):
                lost.append(frame)
    if lost:
        raise InputError(
            f"{path}: {len(lost)} label{'s' * (len(lost) > 1)} without a frame: {join_names(lost)}"
        )
    has_label = index["frame"].isin(label_row.keys())
    if not has_label.any():
        raise InputError(f"{path}: no label belongs to any of the {len(index)} sampled frames")
    wanted = index if unlabelled else index[has_label]
    frames = wanted.merge(summary, on="recording", how="left", validate="m:1")
    rows = np.array([label_row.get(frame, -1) for frame in frames["frame"]])
    columns = ["frame", "recording", "cards_counted", "total_cards", "file", "width", "height"]
    return frames[columns], rows, int((~has_label).sum())
