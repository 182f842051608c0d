"""videos.csv and the recordings it lists: videos, or folders of frames already sampled."""

import math
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandera.pandas as pa

from cardpose.common.errors import InputError, short_repr
from cardpose.common.tables import between, name_column, number_column, read_table
from cardpose.dataset.names import check_recording_name
from cardpose.pictures.reading import read_picture
from cardpose.pictures.videos import sampled_frames

PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True)
class Recording:
    """One packet, filmed: `name` is the stem of its file or folder, `path` where that lies."""

    name: str
    path: Path
    cards: int
    total_cards: int

    @property
    def is_folder(self):
        return self.path.is_dir()


def read_recordings(dataset):
    """The recordings that `<dataset>/videos.csv` lists, in its order.

    Raises:
        InputError: see `read_table`; also a count above the deck, a video that does not lie in
            `<dataset>/videos`, is not there, or has the name of another.
    """
    path = Path(dataset) / "videos.csv"
    table = read_table(
        path,
        pa.DataFrameSchema(
            {
                "video": name_column(),
                "cards_counted": number_column("int64", between(1, 1000)),
                "total_cards": number_column("int64", between(1, 1000)),
            }
        ),
    )
    recordings, seen = [], {}
    for row in table.itertuples():
        where = f"{path}: line {row.Index}"
        if row.cards_counted > row.total_cards:
            raise InputError(
                f"{where}: cards_counted: should be at most total_cards, {row.total_cards}"
                f" (got {row.cards_counted})"
            )
        relative = PurePosixPath(row.video)
        given = short_repr(row.video)
        if not row.video.isprintable():
            raise InputError(f"{where}: video: holds a control character (got {given})")
        if "\\" in row.video:
            raise InputError(f"{where}: video: should have / between folders (got {given})")
        if relative.is_absolute() or ".." in relative.parts or not relative.name:
            raise InputError(f"{where}: video: should lie below videos/ (got {given})")
        file = Path(dataset) / "videos" / relative
        try:
            there = file.exists()
        except OSError as error:
            raise InputError(f"{where}: video: {error.strerror} (got {given})") from None
        name = relative.name if file.is_dir() else relative.stem
        check_recording_name(name, f"{where}: video")
        if not there:
            raise InputError(f"{where}: video: there is no {file}")
        if not (file.is_file() or file.is_dir()):
            raise InputError(f"{where}: video: should be a file or a folder (got {file})")
        if name in seen:
            raise InputError(f"{where}: video: {row.video} and {seen[name]} are both named {name}")
        seen[name] = row.video
        recordings.append(Recording(name, file, row.cards_counted, row.total_cards))
    return recordings


def numbered_pictures(folder):
    """The pictures in a folder of sampled frames, by the number at the end of their names.

    Returns:
        {index: path}, in the order of the indices.

    Raises:
        InputError: no pictures, one without a number, or two with the same.
    """
    pictures = {}
    for path in sorted(Path(folder).iterdir()):
        if path.suffix.lower() not in PICTURE_SUFFIXES or path.name.startswith("."):
            continue
        number_at_end = re.search(r"([0-9]+)$", path.stem)
        if not number_at_end:
            raise InputError(f"{path}: should end in the frame's number, like frame_20.jpg")
        index = int(number_at_end.group(1))
        if index in pictures:
            raise InputError(f"{path}: has the same number as {pictures[index].name}")
        pictures[index] = path
    if not pictures:
        raise InputError(f"{folder}: holds no pictures ({', '.join(sorted(PICTURE_SUFFIXES))})")
    return dict(sorted(pictures.items()))


def sampled_pictures(recording, step, wanted):
    """Yield (index, picture) of the frames that are sampled or wanted."""
    if recording.is_folder:
        for index, path in numbered_pictures(recording.path).items():
            yield index, read_picture(path)
        return
    every = math.gcd(step, *wanted)
    for index, picture in sampled_frames(recording.path, every):
        if picture is not None and (index % step == 0 or index in wanted):
            yield index, picture
