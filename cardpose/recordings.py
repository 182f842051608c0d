"""videos.csv and the recordings it lists: videos, or folders of frames already sampled."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import pandera.pandas as pa

from cardpose.errors import InputError
from cardpose.tables import between, number, read_table

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
                "video": pa.Column(str, unique=True, nullable=False),
                "cards_counted": number("int64", between(1, 1000)),
                "total_cards": number("int64", between(1, 1000)),
            }
        ),
    )
    recordings, seen = [], {}
    for row in table.itertuples():
        where = f"{path}: line {row.Index + 2}"
        if row.cards_counted > row.total_cards:
            raise InputError(
                f"{where}: cards_counted: should be at most total_cards, {row.total_cards}"
                f" (got {row.cards_counted})"
            )
        relative = PurePosixPath(row.video)
        if relative.is_absolute() or ".." in relative.parts or not relative.name:
            raise InputError(f"{where}: video: should lie below videos/ (got {row.video!r})")
        file = Path(dataset) / "videos" / relative
        if not file.exists():
            raise InputError(f"{where}: video: there is no {file}")
        name = relative.name if file.is_dir() else relative.stem
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


def read_picture(path):
    """(height, width, 3) uint8 BGR picture from a file, turned upright as its EXIF data says.

    Raises:
        InputError: the file is no picture that can be read.
    """
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise InputError(f"{path}: cannot be read as a picture")
    return picture


def sampled_frames(path, step):
    """Every `step`-th frame of a video, from the first, upright; the others are not converted.

    Yields:
        (index, picture): picture is (height, width, 3) uint8 BGR. After the last, (count, None)
        tells how many frames the video has.

    Raises:
        InputError: the video cannot be opened, has no frames, or ends before its header says.
    """
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    try:
        if not capture.isOpened():
            raise InputError(f"{path}: cannot be opened as a video")
        promised = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        index = 0
        while capture.grab():
            if index % step == 0:
                decoded, picture = capture.retrieve()
                if not decoded:
                    break
                yield index, picture
            index += 1
    finally:
        capture.release()
    if index == 0:
        raise InputError(f"{path}: holds no frame that can be decoded")
    # Containers round: a frame or two, or 1 %, may be missing from what the header promises.
    if index < promised - max(2, promised // 100):
        raise InputError(f"{path}: ends early: {index} frames of {promised} can be decoded")
    yield index, None


def frame_name(recording, index):
    """The name of frame `index` of a recording, as annotations.csv and the index spell it."""
    return f"{recording}_frame_{index}"


def sampled_before(frame, step):
    """The name of the last frame up to `frame` that is sampled when every `step`-th is."""
    recording, index = split_frame_name(frame)
    return frame_name(recording, index - index % step)


def split_frame_name(frame, where="frame"):
    """The recording and the index in a frame's name.

    Raises:
        InputError: the name is not `<recording>_frame_<index>`; `where` begins the message.
    """
    recording, separator, index = frame.rpartition("_frame_")
    if not (separator and recording and index.isascii() and index.isdigit()):
        raise InputError(f"{where}: should be like MyVideo_frame_20 (got {frame!r})")
    return recording, int(index)
