"""Recognise files that cardpose wrote. Commands overwrite them without --force.

Tables are recognised by their header, records by their keys, exports by their exact text, drawings
by a mark. The mark has a fixed position, so a drawing that another program saved again is not
recognised.
"""

import csv
import io
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from cardpose.common.devices import check_special, is_special
from cardpose.common.errors import InputError
from cardpose.geometry.keypoints import KEYPOINTS

_MARK = "cardpose"
_EXIF_SOFTWARE = 0x0131  # tag for the program that wrote the picture
_LONGEST_LINE = 100_000  # largest number of bytes to read of a first line
# Header of the table that `label export` writes.
_EXPORT_COLUMNS = [
    "frame",
    "annotated",
    *(f"{k}_{what}" for k in KEYPOINTS for what in ("visible", "x", "y")),
]
_EXPORT_HEADER = (",".join(_EXPORT_COLUMNS) + "\n").encode()
_PNG_START = 33  # bytes of a PNG file's signature and its first chunk, IHDR


def check_free(path: str | Path, is_ours: Callable[[str | Path], bool], force: bool) -> None:
    """Refuse to overwrite a file of another program.

    Args:
        path: path of the output; it need not exist.
        is_ours: function that tells whether cardpose wrote the file at a path.
        force: overwrite it all the same.

    Raises:
        InputError: `path` is a file of another program, a socket or a disk.
    """
    if is_special(path):
        check_special(path)
    elif not force and os.path.exists(path) and os.path.getsize(path) and not is_ours(path):
        raise _not_ours(path)


def check_drawing(path: Path, force: bool, folder: Path | None = None) -> None:
    """Refuse to draw into a file that is not a drawing by cardpose.

    Args:
        force: overwrite it all the same.
        folder: refuse links that lead out of this folder.

    Raises:
        InputError: `path` is a device or a file of another program, or lies outside `folder`.
    """
    if is_special(path):
        raise InputError(f"{path}: is no file, and cannot be drawn into; name another")
    inside = folder is None or Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
    if not force and not inside:
        raise _not_ours(path)
    check_free(path, is_drawing, force)


def has_header(*columns: str) -> Callable[[str | Path], bool]:
    """Return a function that tells whether a file is a CSV table with exactly these columns."""
    header = (",".join(columns) + "\n").encode()

    def is_ours(path: str | Path) -> bool:
        return _first_line(path) == header

    return is_ours


def has_records(path: str | Path) -> bool:
    """Return whether the first line of a file is a record that `cardpose predict` writes."""
    try:
        record = json.loads(_first_line(path))
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and {"kind", "input", "packet", "cards"} <= record.keys()


def is_export(path: str | Path) -> bool:
    """Return whether a file is an unedited export by `cardpose label export`."""
    content = Path(path).read_bytes()
    try:
        text = content.decode()
        if content.startswith(_EXPORT_HEADER):
            return len({row["annotated"] for row in csv.DictReader(io.StringIO(text))}) < 2
        found = json.loads(text)
    except (ValueError, RecursionError, csv.Error):
        return False
    if text != json.dumps(found, indent=1) + "\n":
        return False
    if isinstance(found, dict):
        return {"images", "annotations", "categories"} <= found.keys()
    return isinstance(found, list) and all(
        isinstance(task, dict) and task.keys() <= {"data", "predictions"} for task in found
    )


def is_drawing(path: str | Path) -> bool:
    """Return whether a JPEG, PNG or MP4 file contains the mark of this module."""
    with open(path, "rb") as file:
        head = file.read(200)
        file.seek(max(0, os.path.getsize(path) - len(_MP4_MARK)))
        tail = file.read()
    # In a JPEG file the mark follows the first two bytes, or the JFIF header after them.
    return (
        head.startswith(_JPEG_MARK, 2)
        or head.startswith(_JPEG_MARK, 20)
        or head.startswith(_PNG_MARK, _PNG_START)
        or tail == _MP4_MARK
    )


def marked_jpeg(content: bytes) -> bytes:
    """Return the bytes of a JPEG picture with the mark after its JFIF header."""
    # Two bytes start the picture, and two its JFIF header. The length of the header follows.
    end = 4 + int.from_bytes(content[4:6]) if content[2:4] == b"\xff\xe0" else 2
    return content[:end] + _JPEG_MARK + content[end:]


def marked_png(content: bytes) -> bytes:
    """Return the bytes of a PNG picture with the mark after its header."""
    return content[:_PNG_START] + _PNG_MARK + content[_PNG_START:]


def mark_video(path: Path) -> None:
    """Append the mark to an MP4 file."""
    with open(path, "ab") as file:
        file.write(_MP4_MARK)


def _not_ours(path: str | Path) -> InputError:
    return InputError(
        f"{path}: is there already and not written by cardpose; name another, or add --force"
    )


def _first_line(path: str | Path) -> bytes:
    with open(path, "rb") as file:
        return file.readline(_LONGEST_LINE)


def _jpeg_segment() -> bytes:
    """Return an APP1 segment whose EXIF data name the program."""
    exif = Image.Exif()
    exif[_EXIF_SOFTWARE] = _MARK
    content = exif.tobytes()
    return b"\xff\xe1" + (2 + len(content)).to_bytes(2) + content


def _png_chunk() -> bytes:
    """Return a tEXt chunk that names the program."""
    kind, content = b"tEXt", b"Software\0" + _MARK.encode()
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


_JPEG_MARK = _jpeg_segment()
_PNG_MARK = _png_chunk()
# MP4 box of type `free`, which players skip.
_MP4_MARK = struct.pack(">I4s", 8 + len(_MARK), b"free") + _MARK.encode()
