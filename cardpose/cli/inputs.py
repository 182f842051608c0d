"""Inputs of `cardpose predict`: photographs, videos, folders of both, and cameras."""

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from cardpose.common.errors import InputError
from cardpose.inference.picture_like import Picture
from cardpose.inference.predictor import BATCH_PICTURES, BATCH_PIXELS
from cardpose.pictures.formats import PICTURE_SUFFIXES, UNREAD_SUFFIXES, is_picture
from cardpose.pictures.videos import sampled_frames

PHOTO_SUFFIXES = PICTURE_SUFFIXES | UNREAD_SUFFIXES  # an error names those that are not read
VIDEO_SUFFIXES = {
    *(".3g2", ".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
}

Kind = Literal["picture", "video", "camera"]
_Item = TypeVar("_Item")
IndexedFrame = tuple[int, Picture]  # index and pixels


@dataclass(frozen=True)
class Source:
    """Input of `cardpose predict`.

    Attributes:
        path: file, or number of a camera.
    """

    kind: Kind
    path: Path


def find_sources(name: str) -> list[Source]:
    """Return the inputs that an argument names: a file, the files in a folder, or a camera.

    A folder stands for its own pictures and videos, without those of its subfolders. They are
    sorted by name, and numbers in names by value: frame_2 before frame_10.

    Raises:
        InputError: there is no such file, or the folder holds no picture and no video.
    """
    path = Path(name)
    if path.is_dir():
        files = [
            file
            for file in path.iterdir()
            if not file.name.startswith(".")
            and (file.suffix.lower() in PHOTO_SUFFIXES | VIDEO_SUFFIXES or is_picture(file))
        ]
        if not files:
            raise InputError(f"{path}: holds no pictures or videos")
        return [Source(_kind(file), file) for file in sorted(files, key=_natural_order)]
    if not path.exists():
        if re.fullmatch("[0-9]{1,4}", name):
            return [Source("camera", path)]
        raise InputError(f"{path}: there is no such file or folder")
    return [Source(_kind(path), path)]


def video_frames(path: Path, step: int) -> Iterator[IndexedFrame]:
    """Yield (index, upright picture) for every `step`-th frame of a video."""
    return ((i, picture) for i, picture in sampled_frames(path, step) if picture is not None)


def batch_frames(
    frames: Iterable[IndexedFrame], pixels: int = BATCH_PIXELS, most: int = BATCH_PICTURES
) -> Iterator[list[IndexedFrame]]:
    """Yield lists of consecutive frames.

    If reading a frame fails, yield the frames before it, then raise the error.

    Args:
        pixels: largest number of pixels in a list; a larger picture gets its own list.
        most: largest number of pictures in a list.
    """
    batch: list[IndexedFrame] = []
    size, error = 1, None
    try:
        for frame in frames:
            if not batch:
                size = max(1, min(most, pixels // frame[1][..., 0].size))
            batch.append(frame)
            if len(batch) == size:
                yield batch
                batch = []
    except InputError as raised:
        error = raised
    if batch:
        yield batch
    if error:
        raise error


def read_ahead(items: Iterable[_Item]) -> Iterator[_Item]:
    """Yield the items while a thread reads the next one. No item may be None."""
    iterator = iter(items)
    with ThreadPoolExecutor(1) as reader:
        following = reader.submit(next, iterator, None)
        while (item := following.result()) is not None:
            following = reader.submit(next, iterator, None)
            yield item


def _kind(path: Path) -> Kind:
    suffix = path.suffix.lower()
    if suffix in PHOTO_SUFFIXES or (suffix not in VIDEO_SUFFIXES and is_picture(path)):
        return "picture"
    return "video"


def _natural_order(path: Path) -> list[int | str]:
    """Return a sorting key that compares numbers in names as numbers."""
    parts = re.split("([0-9]+)", path.name.lower())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]
