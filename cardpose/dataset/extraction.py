"""Write the sampled frames of recordings to disk, several recordings at a time."""

import contextlib
import csv
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TextIO, TypeVar

import cv2
import numpy as np
from jaxtyping import UInt8
from pydantic import ConfigDict, Field, TypeAdapter
from tqdm import tqdm

from cardpose.common.dask_cluster import map_on_cluster
from cardpose.common.errors import InputError
from cardpose.common.parallel import map_parallel
from cardpose.common.tls import CertificatePaths
from cardpose.dataset.layout import INDEX_COLUMNS, SUMMARY_COLUMNS
from cardpose.dataset.names import frame_name
from cardpose.dataset.recordings import Recording, numbered_pictures
from cardpose.pictures.formats import HEIC_SUFFIXES, begins_like_heic
from cardpose.pictures.reading import read_photograph
from cardpose.pictures.videos import sampled_frames

T = TypeVar("T")

_NOT_IN_BROWSERS = {".jp2", ".mpo", *HEIC_SUFFIXES}
# Quality 98 with full-resolution colour: the error is smaller than the frame's own noise.
_JPEG = [
    cv2.IMWRITE_JPEG_QUALITY,
    98,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]


class FoundFrames(NamedTuple):
    """Sampled frames of one recording.

    Attributes:
        kind: "video" or "folder".
        frames: number of frames in the recording.
        step: number of frames from one sampled frame to the next.
        pictures: (index, file suffix, width, height) of each sampled frame.
    """

    kind: str
    frames: int
    step: int
    pictures: list[tuple[int, str, int, int]]


def extract_frames(
    recordings: Sequence[Recording],
    step: int,
    folder: str | Path,
    jobs: int = -1,
    dask: str | None = None,
    dask_tls: CertificatePaths | None = None,
) -> None:
    """Write the sampled frames of all recordings and two tables into a new `folder`.

    Each recording gets a subfolder of pictures. index.csv has the columns `frame, recording, file,
    width, height`. recordings.csv has the columns `recording, cards_counted, total_cards, kind,
    frames, step`; see `FoundFrames` for the last three.

    Args:
        step: sample frames 0, step, 2 step, ... of a video, but all pictures of a folder.
        jobs: number of recordings processed in parallel; -1 for one per core.
        dask: address of a Dask scheduler whose workers do the work; see `map_on_cluster`.
        dask_tls: certificates that encrypt the connection to the scheduler.
    """
    folder = Path(folder)
    folder.mkdir(parents=True)
    # Start with the largest file: started last, it would run alone at the end.
    order = sorted(range(len(recordings)), key=lambda i: -recordings[i].path.stat().st_size)
    queue = [recordings[i] for i in order]
    with contextlib.ExitStack() as stack:
        if dask is None:
            work = map_parallel(partial(_extract, step=step, folder=folder), queue, jobs)
        else:
            # Dask workers run in other working directories, so make paths absolute.
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
        for recording, result in zip(recordings, _in_turn(order, bar), strict=True):
            name, found = recording.name, FoundFrames(*result)
            for number, suffix, width, height in found.pictures:
                frame = frame_name(name, number)
                index.writerow([frame, name, f"{name}/{frame}{suffix}", width, height])
            counts = (recording.cards, recording.total_cards)
            summary.writerow([name, *counts, found.kind, found.frames, found.step])


def _in_turn(order: Sequence[int], results: Iterable[T]) -> Iterator[T]:
    """Yield results sorted by number; `order` lists the numbers in order of arrival."""
    waiting: dict[int, T] = {}
    turn = 0
    for number, result in zip(order, results, strict=True):
        waiting[number] = result
        while turn in waiting:
            yield waiting.pop(turn)
            turn += 1


def _text(path: Path) -> TextIO:
    return open(path, "w", newline="", encoding="utf-8")


@contextlib.contextmanager
def _used_once(folder: Path) -> Iterator[Path]:
    """Yield a new folder inside `folder`, and move its contents into `folder` at the end.

    After an error or a lost connection, workers may keep writing. Removing the new folder keeps
    them from disturbing a later run.
    """
    scratch = folder / uuid.uuid4().hex
    scratch.mkdir()
    try:
        yield scratch
        for path in sorted(scratch.iterdir()):
            path.rename(folder / path.name)
    finally:
        # Rename the folder first, so that no worker adds files during its removal.
        shutil.rmtree(scratch.rename(scratch.with_suffix(".over")))


# Strict form of `FoundFrames` for answers of Dask workers, which become file names in index.csv.
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


def _accept(step: int, recording: Recording, found: object) -> None:
    """Refuse a worker's answer that `_extract` cannot return.

    Raises:
        ValueError: the answer has wrong types, or frames that the recording cannot have.
    """
    kind, frames, step_taken, pictures = _FOUND.validate_python(found)
    indices = [index for index, *_ in pictures]
    expected = ("folder", 1) if recording.is_folder else ("video", step)
    possible = recording.is_folder or all(k < frames and k % step == 0 for k in indices)
    if (kind, step_taken) != expected or indices != sorted(set(indices)) or not possible:
        raise ValueError("other frames than those of the recording")


def _extract(recording: Recording, step: int, folder: Path) -> tuple:
    """Write the sampled frames of one recording. A second call overwrites the first.

    Returns:
        the fields of `FoundFrames` as a plain tuple, which can be sent between processes.
    """
    cv2.setNumThreads(1)
    target = folder / recording.name
    target.mkdir(exist_ok=True)
    if recording.is_folder:
        return _copy_pictures(recording, target)
    found, index = [], 0
    for index, picture in sampled_frames(recording.path, step):
        if picture is None:
            break
        _write(target / f"{frame_name(recording.name, index)}.jpg", picture)
        found.append((index, ".jpg", *picture.shape[1::-1]))
    return "video", index, step, found


def _copy_pictures(recording: Recording, target: Path) -> tuple:
    """Copy the pictures of a folder of frames; see `_extract`."""
    found = []
    pictures = numbered_pictures(recording.path)
    for index, source in pictures.items():
        picture = read_photograph(source)
        # Browsers and labelling tools assume square pixels. Copy pictures that have these, and
        # write the others anew, and formats that browsers do not show.
        suffix = source.suffix.lower()
        browsers_read = suffix not in _NOT_IN_BROWSERS and not begins_like_heic(source)
        keep = picture.square and browsers_read
        suffix = suffix if keep else ".jpg"
        file = target / f"{frame_name(recording.name, index)}{suffix}"
        if keep:
            shutil.copyfile(source, file)
        else:
            _write(file, picture.pixels)
        size = picture.size if keep else picture.pixels.shape[1::-1]
        found.append((index, suffix, *size))
    return "folder", len(pictures), 1, found


def _write(file: Path, picture: UInt8[np.ndarray, "h w 3"]) -> None:
    if not cv2.imwrite(str(file), picture, _JPEG):
        raise InputError(f"{file}: cannot be written; is the disk full?")
