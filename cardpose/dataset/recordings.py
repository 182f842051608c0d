"""Read videos.csv and the recordings it lists: videos, or folders of frames already sampled."""

import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandera.pandas as pa
from jaxtyping import UInt8

from cardpose.common.errors import InputError, short_repr
from cardpose.common.tables import between, name_column, number_column, read_table
from cardpose.dataset.names import check_frame_number, check_recording_name
from cardpose.pictures.formats import PICTURE_SUFFIXES, UNREAD_SUFFIXES, is_picture
from cardpose.pictures.reading import read_picture
from cardpose.pictures.videos import sampled_frames


@dataclass(frozen=True)
class Recording:
    """A video, or folder of frames, of one packet.

    `name` is the stem of the file or the name of the folder at `path`. `cards` is the
    number of cards in the packet, `total_cards` the number in the whole deck.
    """

    name: str
    path: Path
    cards: int
    total_cards: int

    @property
    def is_folder(self) -> bool:
        return self.path.is_dir()


def read_recordings(dataset: str | Path) -> list[Recording]:
    """Return the recordings that `<dataset>/videos.csv` lists, in its order.

    Raises:
        InputError: the table is faulty (see `read_table`), a count exceeds the deck's, or a
            recording is missing, lies outside `<dataset>/videos` or shares its name with another.
    """
    path = Path(dataset) / "videos.csv"
    table = read_table(path, _schema())
    recordings: list[Recording] = []
    video_of_name: dict[str, str] = {}
    for row in table.itertuples():
        where = f"{path}: line {row.Index}"
        if row.cards_counted > row.total_cards:
            raise InputError(
                f"{where}: cards_counted: should be at most total_cards, {row.total_cards}"
                f" (got {row.cards_counted})"
            )
        name, file = _locate(Path(dataset) / "videos", row.video, where)
        if name in video_of_name:
            raise InputError(
                f"{where}: video: {row.video} and {video_of_name[name]} are both named {name}"
            )
        video_of_name[name] = row.video
        recordings.append(Recording(name, file, row.cards_counted, row.total_cards))
    return recordings


def numbered_pictures(folder: str | Path) -> dict[int, Path]:
    """Find the pictures in a folder of frames, and the number at the end of each name.

    Returns:
        {index: path}, in the order of the indices.

    Raises:
        InputError: there are no pictures, one has no number or too long a one, two have the same
            number, or one has a format that is not read.
    """
    pictures: dict[int, Path] = {}
    for path in sorted(Path(folder).iterdir()):
        suffix = path.suffix.lower()
        if path.name.startswith("."):
            continue
        if suffix not in PICTURE_SUFFIXES:
            if suffix in UNREAD_SUFFIXES or is_picture(path):
                raise InputError(
                    f"{path}: is a picture, and would be left out: convert it to JPEG, or move it"
                    " out of the folder"
                )
            continue
        number_at_end = re.search(r"([0-9]+)$", path.stem)
        if not number_at_end:
            raise InputError(f"{path}: should end in the frame's number, like frame_20.jpg")
        index = check_frame_number(number_at_end.group(1), str(path))
        if index in pictures:
            raise InputError(f"{path}: has the same number as {pictures[index].name}")
        pictures[index] = path
    if not pictures:
        raise InputError(f"{folder}: holds no pictures ({', '.join(sorted(PICTURE_SUFFIXES))})")
    return dict(sorted(pictures.items()))


def sampled_pictures(
    recording: Recording, step: int, wanted: Collection[int]
) -> Iterator[tuple[int, UInt8[np.ndarray, "_ _ 3"]]]:
    """Yield (index, BGR picture) of every `step`-th frame of a video and of the `wanted` ones.

    Yield all pictures of a folder of frames.
    """
    if recording.is_folder:
        for index, path in numbered_pictures(recording.path).items():
            yield index, read_picture(path)
        return
    every = math.gcd(step, *wanted)
    for index, picture in sampled_frames(recording.path, every):
        if picture is not None and (index % step == 0 or index in wanted):
            yield index, picture


def _schema() -> pa.DataFrameSchema:
    return pa.DataFrameSchema(
        {
            "video": name_column(),
            "cards_counted": number_column("int64", between(1, 1000)),
            "total_cards": number_column("int64", between(1, 1000)),
        }
    )


def _locate(videos: Path, video: str, where: str) -> tuple[str, Path]:
    """Return the name and the path of the recording that an entry of videos.csv names."""
    relative, given = PurePosixPath(video), short_repr(video)
    if not video.isprintable():
        raise InputError(f"{where}: video: holds a control character (got {given})")
    if "\\" in video:
        raise InputError(f"{where}: video: should have / between folders (got {given})")
    if relative.is_absolute() or ".." in relative.parts or not relative.name:
        raise InputError(f"{where}: video: should lie below videos/ (got {given})")
    file = videos / relative
    try:
        exists = file.exists()
    except OSError as error:
        raise InputError(f"{where}: video: {error.strerror} (got {given})") from None
    name = relative.name if file.is_dir() else relative.stem
    check_recording_name(name, f"{where}: video")
    if not exists:
        raise InputError(f"{where}: video: there is no {file}")
    if not (file.is_file() or file.is_dir()):
        raise InputError(f"{where}: video: should be a file or a folder (got {file})")
    return name, file
