"""videos.csv and the recordings it lists: videos, or folders of frames already sampled."""

import os
import re
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import pandera.pandas as pa
from PIL import Image

from cardpose.errors import InputError, shown
from cardpose.tables import between, names, number, read_table

PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}

MOST_PIXELS = 2**28  # of a picture: more than any camera has, and 800 MB when decoded

_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_INDEX = re.compile("0|[1-9][0-9]{0,14}", re.ASCII)
_SIDE = 2**16  # as in a JPEG
_RESERVED = ("index.csv", "recordings.csv")  # what `extract_frames` writes beside the recordings
_LONGEST = 200  # bytes of a name: file systems take 255, and "_frame_123456.jpg" goes behind

# Pillow warns of a third of what MOST_PIXELS allows, and of what OpenCV has to judge.
warnings.filterwarnings("ignore", module="PIL")


# The columns of what `extraction.extract_frames` writes, index.csv and recordings.csv.
INDEX = ["frame", "recording", "file", "width", "height"]
SUMMARY = ["recording", "cards_counted", "total_cards", "kind", "frames", "step"]


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
                "video": names(),
                "cards_counted": number("int64", between(1, 1000)),
                "total_cards": number("int64", between(1, 1000)),
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
        given = shown(row.video)
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
        check_name(name, f"{where}: video")
        if not there:
            raise InputError(f"{where}: video: there is no {file}")
        if not (file.is_file() or file.is_dir()):
            raise InputError(f"{where}: video: should be a file or a folder (got {file})")
        if name in seen:
            raise InputError(f"{where}: video: {row.video} and {seen[name]} are both named {name}")
        seen[name] = row.video
        recordings.append(Recording(name, file, row.cards_counted, row.total_cards))
    return recordings


def check_name(name, where):
    """Refuse what cannot be a recording's name, since its frames' folder gets it.

    Raises:
        InputError: `where` begins the message.
    """
    if name in (".", "..", *_RESERVED) or not name.isprintable() or "\\" in name:
        raise InputError(f"{where}: no recording can be named {shown(name)}")
    if len(name.encode()) > _LONGEST:
        raise InputError(f"{where}: should be at most {_LONGEST} bytes long (got {shown(name)})")


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

    Grey pictures get three channels, 16 bits become 8, transparency is left out, and of an
    animation the first picture is taken.

    Raises:
        InputError: the file is no picture that can be read, not the whole of one, or one of more
            than MOST_PIXELS, which is not decoded.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if content[4:8] == b"ftyp" and content[8:12] in _HEIC:
        raise InputError(f"{path}: is a HEIC picture: convert it to JPEG first")
    if content[:2] == b"\xff\xd8" and _is_cut_off(content):
        raise InputError(f"{path}: ends early: a part of the picture is missing")
    _check_header(path, content)
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # nothing at all in the file, or a format that Pillow does not know
        picture = None
    if picture is None:
        raise InputError(f"{path}: cannot be read as a picture")
    return picture


def _check_header(path, content):
    """Refuse a picture that is too large to be decoded, or a PNG that is damaged."""
    try:
        picture = Image.open(BytesIO(content))
        small = picture.width * picture.height <= MOST_PIXELS and max(picture.size) < _SIDE
    except Image.DecompressionBombError:
        small = False
    except Exception:  # in a dozen ways: Pillow does not know it, and OpenCV may
        if content.startswith(b"\x89PNG"):  # here OpenCV would take any length for true: 4 GB
            raise InputError(f"{path}: cannot be read as a picture: it is damaged") from None
        return
    if not small:
        raise InputError(
            f"{path}: is too large a picture: it may have {MOST_PIXELS:,} pixels, and less than"
            f" {_SIDE:,} a side"
        )
    try:
        picture.verify()
    except Exception:
        raise InputError(f"{path}: cannot be read as a picture: it is damaged") from None


def _is_cut_off(jpeg):
    """Whether a JPEG file's end is missing: OpenCV would make up the rest of the picture.

    Its segments begin with two bytes, of which the first is 0xff, and their length, in two more;
    the picture itself, from 0xff 0xda on, holds no 0xff 0xd9, which ends it.
    """
    at = 2
    while jpeg[at : at + 1] == b"\xff" and jpeg[at : at + 2] != b"\xff\xda":
        filled = jpeg[at : at + 2] == b"\xff\xff"  # before a segment any number may stand
        at += 1 if filled else 2 + int.from_bytes(jpeg[at + 2 : at + 4])
    return b"\xff\xd9" not in jpeg[at:]


def sampled_frames(path, step):
    """Every `step`-th frame of a video, from the first, upright; the others are not converted.

    Yields:
        (index, picture): picture is (height, width, 3) uint8 BGR. After the last, (count, None)
        tells how many frames the video has.

    Raises:
        InputError: the video cannot be opened, is a picture, has no frames, or ends before its
            header says.
    """
    readable = os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids)
    if Path(path).exists() and not readable:
        raise InputError(f"{path}: cannot be read (Permission denied)")
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
    if index == 1 and cv2.haveImageReader(str(path)):  # FFmpeg calls that a video of one frame
        raise InputError(f"{path}: is a picture, not a video; name a folder of pictures")
    # Containers round: a frame or two, or 1 %, may be missing from what the header promises.
    if index < promised - max(2, promised // 100):
        raise InputError(f"{path}: ends early: {index} frames of {promised} can be decoded")
    yield index, None


def check_written(path, frames, name):
    """Refuse a video of which OpenCV, which says nothing, could not write all frames.

    Raises:
        InputError: the file at `path` holds fewer; it is called `name`.
    """
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    capture.release()
    if count < frames:
        raise InputError(f"{name}: cannot be written; is the disk full?")


def frame_name(recording, index):
    """The name of frame `index` of a recording, as annotations.csv and the index spell it."""
    return f"{recording}_frame_{index}"


def split_frame_name(frame, where="frame"):
    """The recording and the index in a frame's name.

    Raises:
        InputError: the name is not `<recording>_frame_<index>`; `where` begins the message.
    """
    recording, separator, index = frame.rpartition("_frame_")
    if not (separator and recording and _INDEX.fullmatch(index)):
        raise InputError(f"{where}: should be like MyVideo_frame_20 (got {shown(frame)})")
    return recording, int(index)
