"""What a packet is looked for in: photographs, folders of them, videos, a camera."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cardpose.common.errors import InputError
from cardpose.dataset.recordings import PICTURE_SUFFIXES
from cardpose.inference.predictor import BATCH_PICTURES, BATCH_PIXELS
from cardpose.pictures.reading import is_picture
from cardpose.pictures.videos import sampled_frames

PICTURES = PICTURE_SUFFIXES | {".avif", ".heic", ".heif"}
VIDEOS = {
    *(".3gp", ".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".webm", ".wmv"),
}


@dataclass(frozen=True)
class Source:
    """`kind` is picture, video or camera; `path` is a file, or a camera's number as text."""

    kind: str
    path: Path


def find_sources(name):
    """What an argument of the command line stands for: a file, a folder of files, a camera.

    Of a folder, the pictures and videos that lie right in it, frame_2 before frame_10.

    Raises:
        InputError: there is no such file, or the folder holds nothing to look at.
    """
    path = Path(name)
    if path.is_dir():
        known = [
            file
            for file in path.iterdir()
            if file.suffix.lower() in PICTURES | VIDEOS and not file.name.startswith(".")
        ]
        if not known:
            raise InputError(f"{path}: holds no pictures or videos")
        return [Source(_kind(file), file) for file in sorted(known, key=_natural)]
    if not path.exists():
        if re.fullmatch("[0-9]{1,4}", name):
            return [Source("camera", path)]
        raise InputError(f"{path}: there is no such file or folder")
    return [Source(_kind(path), path)]


def video_frames(path, every):
    """Yield (index, picture) for every `every`-th frame, upright; see `sampled_frames`."""
    return ((i, picture) for i, picture in sampled_frames(path, every) if picture is not None)


def batch_frames(frames, pixels=BATCH_PIXELS, most=BATCH_PICTURES):
    """Yield lists of consecutive frames, of at most so many pictures and about so many pixels.

    What comes before an error is yielded before the error is raised.
    """
    batch, full, broken = [], 1, None
    try:
        for frame in frames:
            if not batch:
                full = max(1, min(most, pixels // frame[1][..., 0].size))
            batch.append(frame)
            if len(batch) == full:
                yield batch
                batch = []
    except InputError as error:
        broken = error
    if batch:
        yield batch
    if broken:
        raise broken


def read_ahead(items):
    """The same items; while one is worked on, a thread reads the next."""
    items = iter(items)
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = reader.submit(next, items, None)
            yield item


def _kind(path):
    suffix = path.suffix.lower()
    if suffix in PICTURES or (suffix not in VIDEOS and is_picture(path)):
        return "picture"
    return "video"


def _natural(path):
    """A key that sorts numbers in names as numbers."""
    parts = re.split("([0-9]+)", path.name.lower())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]
