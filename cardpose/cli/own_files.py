"""Which files a command may write over unasked: those that it wrote before.

Tables are known by their header, records by their names, exports by how they are written, drawings
by a mark in them. A mark stands at a fixed place, so that what another program has made of a
drawing does not count as ours.
"""

import csv
import io
import json
import os
import struct
import zlib
from pathlib import Path

from PIL import Image

from cardpose.common.devices import check_special, is_special
from cardpose.common.errors import InputError
from cardpose.geometry.keypoints import KEYPOINTS

_NAME = "cardpose"
_SOFTWARE = 0x0131  # of EXIF: the program that wrote the picture
_LINE = 100_000  # bytes of a first line, at most
# The header of a table that `label export` writes.
_COLUMNS = [
    "frame",
    "annotated",
    *(f"{k}_{what}" for k in KEYPOINTS for what in ("visible", "x", "y")),
]
_EXPORT = (",".join(_COLUMNS) + "\n").encode()
# A box that players skip, at the end of an MP4 file.
_FREE = struct.pack(">I4s", 8 + len(_NAME), b"free") + _NAME.encode()


def check_free(path, ours, force):
    """Refuse to write over what is not ours.

    Args:
        path: to be written; may be free.
        ours: tells whether a file is ours, by its path.
        force: whether somebody has allowed it.

    Raises:
        InputError: there is another file, or something that cannot be written to.
    """
    if is_special(path):
        check_special(path)
    elif not force and os.path.exists(path) and os.path.getsize(path) and not ours(path):
        raise _strange(path)


def check_drawing(path, force, folder=None):
    """Refuse to draw into what is no drawing of ours, as `check_free` does.

    Args:
        folder: what is drawn has to stay in it; links that lead out of it are not ours.
    """
    if is_special(path):
        raise InputError(f"{path}: is no file, and cannot be drawn into; name another")
    inside = folder is None or Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
    if not force and not inside:
        raise _strange(path)
    check_free(path, is_drawing, force)


def has_header(*columns):
    """A function that tells whether a file is a table that begins with these columns."""
    header = (",".join(columns) + "\n").encode()

    def ours(path):
        return _first_line(path) == header

    return ours


def has_records(path):
    """Whether the first line of a file is one of the records that `reports` writes as JSON."""
    try:
        record = json.loads(_first_line(path))
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and {"kind", "input", "packet", "cards"} <= record.keys()


def is_export(path):
    """Whether a file is what `label export` writes, and has not been worked on since."""
    content = Path(path).read_bytes()
    try:
        text = content.decode()
        if content.startswith(_EXPORT):
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


def is_drawing(path):
    """Whether a file bears one of the marks of this module."""
    with open(path, "rb") as file:
        head = file.read(200)
        file.seek(max(0, os.path.getsize(path) - len(_FREE)))
        tail = file.read()
    places = (head.startswith(_JPEG, 2), head.startswith(_JPEG, 20), head.startswith(_PNG, 33))
    return any(places) or tail == _FREE


def marked_jpeg(content):
    """The bytes of a JPEG picture, with the mark after its JFIF header."""
    # Two bytes that begin the picture, two that begin the header, its length.
    end = 4 + int.from_bytes(content[4:6]) if content[2:4] == b"\xff\xe0" else 2
    return content[:end] + _JPEG + content[end:]


def marked_png(content):
    """The bytes of a PNG picture, with the mark after its header, which is 33 bytes long."""
    return content[:33] + _PNG + content[33:]


def mark_video(path):
    """Add the mark to an MP4 file."""
    with open(path, "ab") as file:
        file.write(_FREE)


def _strange(path):
    return InputError(
        f"{path}: is there already and not written by cardpose; name another, or add --force"
    )


def _exif():
    exif = Image.Exif()
    exif[_SOFTWARE] = _NAME
    return exif.tobytes()


def _segment(content):
    return b"\xff\xe1" + (2 + len(content)).to_bytes(2) + content


def _chunk(kind, content):
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


_JPEG = _segment(_exif())
_PNG = _chunk(b"tEXt", b"Software\0" + _NAME.encode())


def _first_line(path):
    with open(path, "rb") as file:
        return file.readline(_LINE)
