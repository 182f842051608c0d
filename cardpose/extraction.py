"""Recordings to sampled frames on disk, several recordings at a time."""

import shutil
from pathlib import Path

import cv2
import joblib
import pandas as pd
from tqdm import tqdm

from cardpose.errors import InputError
from cardpose.recordings import (
    INDEX,
    SUMMARY,
    frame_name,
    numbered_pictures,
    read_picture,
    sampled_frames,
)

# Quality 98 with full-resolution colour: differs from the decoded frame by less than its noise.
_JPEG = [
    cv2.IMWRITE_JPEG_QUALITY,
    98,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]


def extract_frames(recordings, step, folder, jobs=-1):
    """Write the sampled frames of all recordings, and what they are, into `folder`.

    `folder` gets a sub-folder of pictures a recording, and two tables: `index.csv` (`frame,
    recording, file, width, height`) and `recordings.csv` (`recording, cards_counted, total_cards,
    kind, frames, step`: kind is video or folder, frames is how many the recording holds).

    Args:
        step: takes frames 0, step, 2 step, ... of a video; folders of frames are taken whole.
        jobs: recordings worked on side by side; -1 for one a core.
    """
    folder = Path(folder)
    folder.mkdir(parents=True)
    work = joblib.Parallel(n_jobs=jobs, return_as="generator")(
        joblib.delayed(_extract)(recording, step, folder) for recording in recordings
    )
    index, summary = [], []
    for rows, row in tqdm(work, "extract frames", len(recordings), unit="recording"):
        index += rows
        summary.append(row)
    _write(folder / "index.csv", index, INDEX)
    _write(folder / "recordings.csv", summary, SUMMARY)


def _extract(recording, step, folder):
    """Write one recording's frames; returns its rows of index.csv and of recordings.csv."""
    cv2.setNumThreads(1)
    target = folder / recording.name
    target.mkdir()
    rows = []
    if recording.is_folder:
        kind, step = "folder", 1
        pictures = numbered_pictures(recording.path)
        count = len(pictures)
        for index, source in pictures.items():
            height, width = read_picture(source).shape[:2]
            name = frame_name(recording.name, index)
            file = target / f"{name}{source.suffix.lower()}"
            shutil.copyfile(source, file)
            rows.append((name, recording.name, f"{recording.name}/{file.name}", width, height))
    else:
        kind = "video"
        for index, picture in sampled_frames(recording.path, step):
            if picture is None:
                count = index
                continue
            name = frame_name(recording.name, index)
            file = target / f"{name}.jpg"
            if not cv2.imwrite(str(file), picture, _JPEG):
                raise InputError(f"{file}: cannot be written; is the disk full?")
            height, width = picture.shape[:2]
            rows.append((name, recording.name, f"{recording.name}/{file.name}", width, height))
    summary = (recording.name, recording.cards, recording.total_cards, kind, count, step)
    return rows, summary


def _write(path, rows, columns):
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False, lineterminator="\n")
