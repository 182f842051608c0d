"""Recordings to sampled frames on disk, several recordings at a time."""

import contextlib
import csv
import shutil
import uuid
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import cv2
from pydantic import ConfigDict, Field, TypeAdapter
from tqdm import tqdm

from cardpose.common.dask_cluster import map_on_cluster
from cardpose.common.errors import InputError
from cardpose.common.parallel import map_parallel
from cardpose.dataset.layout import INDEX_COLUMNS, SUMMARY_COLUMNS
from cardpose.dataset.names import frame_name
from cardpose.dataset.recordings import numbered_pictures
from cardpose.pictures.reading import read_marked_picture
from cardpose.pictures.videos import sampled_frames

# Quality 98 with full-resolution colour: differs from the decoded frame by less than its noise.
_JPEG = [
    cv2.IMWRITE_JPEG_QUALITY,
    98,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]


def extract_frames(recordings, step, folder, jobs=-1, dask=None, dask_tls=None):
    """Write the sampled frames of all recordings, and what they are, into `folder`.

    `folder` gets a sub-folder of pictures a recording, and two tables: `index.csv` (`frame,
    recording, file, width, height`) and `recordings.csv` (`recording, cards_counted, total_cards,
    kind, frames, step`: kind is video or folder, frames is how many the recording holds).

    Args:
        step: takes frames 0, step, 2 step, ... of a video; folders of frames are taken whole.
        jobs: recordings worked on side by side; -1 for one a core.
        dask: address of a Dask scheduler, whose workers do it instead; see `map_on_cluster`.
        dask_tls: the certificates that encrypt the connection to it, or None.
    """
    folder = Path(folder)
    folder.mkdir(parents=True)
    # The longest first: begun last, it would keep everybody waiting.
    order = sorted(range(len(recordings)), key=lambda i: -recordings[i].path.stat().st_size)
    queue = [recordings[i] for i in order]
    with contextlib.ExitStack() as stack:
        if dask is None:
            work = map_parallel(partial(_extract, step=step, folder=folder), queue, jobs)
        else:
            # Workers have working directories of their own.
            queue = [replace(each, path=each.path.absolute()) for each in queue]
            target = stack.enter_context(_used_once(folder.absolute()))
            extract, accept = partial(_extract, step=step, folder=target), partial(_accept, step)
            work = map_on_cluster(dask, extract, queue, target, dask_tls, accept)
        index, summary = (
            csv.writer(stack.enter_context(_text(folder / name)), lineterminator="\n")
            for name in ("index.csv", "recordings.csv")
        )
        index.writerow(INDEX_COLUMNS)
        summary.writerow(SUMMARY_COLUMNS)
        bar = tqdm(work, "extract frames", len(queue), unit="recording")
        for recording, found in zip(recordings, _in_turn(order, bar), strict=True):
            name = recording.name
            kind, frames, step_taken, pictures = found
            for number, suffix, width, height in pictures:
                frame = frame_name(name, number)
                index.writerow([frame, name, f"{name}/{frame}{suffix}", width, height])
            counts = (recording.cards, recording.total_cards)
            summary.writerow([name, *counts, kind, frames, step_taken])


def _in_turn(order, results):
    """Yield results, which come in the order of the numbers `order`, in that of 0, 1, 2, ..."""
    waiting, turn = {}, 0
    for number, result in zip(order, results, strict=True):
        waiting[number] = result
        while turn in waiting:
            yield waiting.pop(turn)
            turn += 1


def _text(path):
    return open(path, "w", newline="", encoding="utf-8")


@contextlib.contextmanager
def _used_once(folder):
    """A folder inside `folder`, whose contents move up into that in the end.

    Workers that nobody waits for any more may still be writing, after an error or a lost
    connection: they have to come to nothing, and not into a later run's way.
    """
    scratch = folder / uuid.uuid4().hex
    scratch.mkdir()
    try:
        yield scratch
        for path in sorted(scratch.iterdir()):
            path.rename(folder / path.name)
    finally:
        # Under another name nobody can add to it while it is removed.
        shutil.rmtree(scratch.rename(scratch.with_suffix(".over")))


# What `_extract` returns, to the letter: it names the files in index.csv.
_FOUND = TypeAdapter(
    tuple[
        Literal["folder", "video"],
        Annotated[int, Field(ge=1)],
        Annotated[int, Field(ge=1)],
        list[
            tuple[
                Annotated[int, Field(ge=0)],
                Annotated[str, Field(pattern=r"^\.[a-z0-9]{1,5}$")],
                Annotated[int, Field(ge=1)],
                Annotated[int, Field(ge=1)],
            ]
        ],
    ],
    config=ConfigDict(strict=True),
)


def _accept(step, recording, found):
    """Raise a ValueError where a worker's answer is nothing that `_extract` returns."""
    kind, frames, step_taken, pictures = _FOUND.validate_python(found)
    numbers = [number for number, *_ in pictures]
    expected = ("folder", 1) if recording.is_folder else ("video", step)
    known = recording.is_folder or all(n < frames and n % step == 0 for n in numbers)
    if (kind, step_taken) != expected or numbers != sorted(set(numbers)) or not known:
        raise ValueError("other frames than those of the recording")


def _extract(recording, step, folder):
    """Write one recording's frames, once more if need be.

    Returns:
        kind, frames and step of its row of recordings.csv, and a tuple a picture: the frame's
        number, the file's suffix, width, height. Short ones: many wait in memory.
    """
    cv2.setNumThreads(1)
    target = folder / recording.name
    target.mkdir(exist_ok=True)
    found = []
    if recording.is_folder:
        pictures = numbered_pictures(recording.path)
        for index, source in pictures.items():
            picture, square = read_marked_picture(source)
            # Nobody else heeds the shape of pixels: browsers and tools for labels do not.
            suffix = source.suffix.lower() if square else ".jpg"
            file = target / f"{frame_name(recording.name, index)}{suffix}"
            if square:
                shutil.copyfile(source, file)
            else:
                _write(file, picture)
            found.append((index, suffix, *picture.shape[1::-1]))
        return "folder", len(pictures), 1, found
    for index, picture in sampled_frames(recording.path, step):
        if picture is None:
            break
        file = target / f"{frame_name(recording.name, index)}.jpg"
        _write(file, picture)
        found.append((index, ".jpg", *picture.shape[1::-1]))
    return "video", index, step, found


def _write(file, picture):
    if not cv2.imwrite(str(file), picture, _JPEG):
        raise InputError(f"{file}: cannot be written; is the disk full?")
