"""Read pictures."""

import math
import tempfile
import warnings
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from cardpose.common.errors import InputError

# In lower case. OpenCV reads all of them.
PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
MOST_PIXELS = 2**28  # of a picture: more than any camera has, and 800 MB when decoded
# Brands of the HEIF family. An AVIF file may list some of them beside its own.
_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_AVIF = {b"avif", b"avis"}
_SIDE = 2**16  # as in a JPEG
_ORIENTATION, _RESOLUTIONS = 0x0112, (0x011A, 0x011B)  # tags of EXIF and TIFF
_SQUARE = 0.01  # pixels whose sides differ by less are square: densities are rounded
_FLATTEST = 4  # times as wide as high, or as high as wide: anything beyond is nonsense
# Pillow warns of a third of what MOST_PIXELS allows, and of what OpenCV has to judge.
warnings.filterwarnings("ignore", module="PIL")


class Turn(NamedTuple):
    """How to show a stored picture: swap its rows and columns first, then mirror it."""

    swap: bool = False
    left_right: bool = False
    up_down: bool = False


class Marks(NamedTuple):
    """What a file says of its picture.

    `turn` is None where that is left to OpenCV. `aspect` is a stored pixel's width / height.
    """

    turn: Turn | None = None
    aspect: float = 1.0


# By the number that EXIF gives them. 1 stands for an upright picture, and so do unknown numbers.
_EXIF_TURNS = {
    2: Turn(False, True, False),
    3: Turn(False, True, True),
    4: Turn(False, False, True),
    5: Turn(True, False, False),
    6: Turn(True, True, False),
    7: Turn(True, True, True),
    8: Turn(True, False, True),
}


def read_picture(path):
    """Read a (height, width, 3) uint8 BGR picture, upright and with square pixels.

    Grey pictures get three channels, 16 bits become 8, transparency is left out, and of an
    animation the first picture is taken.

    Raises:
        InputError: the file is no picture that can be read, is cut off, has more than MOST_PIXELS,
            or says of its pixels or its frame what cannot be applied.
    """
    return read_marked_picture(path)[0]


def read_marked_picture(path):
    """Read a picture as `read_picture` does; return it and whether its file has square pixels."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if is_heic(content):
        raise InputError(f"{path}: is a HEIC picture: convert it to JPEG first")
    if content[:2] == b"\xff\xd8" and _is_cut_off(content):
        raise InputError(f"{path}: ends early: a part of the picture is missing")
    marks = _marks(path, content)
    # OpenCV turns some formats by itself and others not, so it turns none here. It does not heed
    # the flag with TIFF, see `_turn`.
    flags = cv2.IMREAD_COLOR | (0 if marks.turn is None else cv2.IMREAD_IGNORE_ORIENTATION)
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:  # an empty file, or a format that Pillow does not know
        picture = None
    if picture is None:
        raise InputError(f"{path}: cannot be read as a picture")
    shown = turned(squared(picture, marks.aspect, path), marks.turn or Turn())
    return shown, _is_square(marks.aspect)


def turned(picture, turn):
    """Turn a picture upright."""
    if turn.swap:
        picture = cv2.transpose(picture)
    if turn.left_right or turn.up_down:
        code = -1 if turn.left_right and turn.up_down else 1 if turn.left_right else 0
        picture = cv2.flip(picture, code)
    return picture


def squared(picture, aspect, path):
    """Make a picture's pixels square, where they are `aspect` times as wide as high.

    One side grows and none shrinks, so nothing of what the camera saw is lost.

    Raises:
        InputError: the picture would be too large; `path` begins the message.
    """
    if _is_square(aspect):
        return picture
    height, width = picture.shape[:2]
    size = round(width * max(1, aspect)), round(height * max(1, 1 / aspect))
    _check_size(path, size)
    return cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)


def is_picture(path):
    """Whether a file begins like a picture, one that can be read or a HEIC."""
    try:
        with open(path, "rb") as file:
            if is_heic(file.read(4096)):
                return True
    except OSError:
        return False
    with tempfile.TemporaryDirectory() as folder:
        # Names that are not UTF-8 crash OpenCV.
        link = Path(folder) / "picture"
        link.symlink_to(Path(path).absolute())
        return cv2.haveImageReader(str(link))


def is_heic(content):
    """Whether bytes begin like a file of the HEIF family, other than AVIF."""
    if content[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(content[:4], "big"), len(content))
    # The major brand, its version, then the compatible brands.
    brands = {content[8:12], *(content[at : at + 4] for at in range(16, end, 4))}
    return bool(brands & _HEIF) and not brands & _AVIF


def _is_square(aspect):
    return abs(aspect - 1) <= _SQUARE


def _check_size(path, size):
    if size[0] * size[1] > MOST_PIXELS or max(size) >= _SIDE:
        raise InputError(
            f"{path}: is too large a picture: it may have {MOST_PIXELS:,} pixels, and less than"
            f" {_SIDE:,} a side"
        )


def _marks(path, content):
    """Read what a picture's header says.

    Raises:
        InputError: the picture is too large to be decoded, a PNG that is damaged, or says what
            cannot be applied.
    """
    try:
        picture = Image.open(BytesIO(content))
    except Image.DecompressionBombError:
        _check_size(path, (_SIDE, _SIDE))
    except Exception:  # in a dozen ways: Pillow does not know it, and OpenCV may
        if content.startswith(b"\x89PNG"):  # here OpenCV would take any length for true: 4 GB
            raise InputError(f"{path}: cannot be read as a picture: it is damaged") from None
        return Marks()
    _check_size(path, picture.size)
    exif = _exif(picture, content)
    marks = Marks(_turn(picture, exif), _aspect(path, picture, exif))
    if picture.format == "AVIF":
        marks = _avif_marks(path, content, marks)
    if picture.format == "TIFF" and _EXIF_TURNS.get(exif.get(_ORIENTATION), Turn()).swap:
        marks = marks._replace(aspect=1 / marks.aspect)  # OpenCV has swapped its sides
    try:
        picture.verify()
    except Exception:
        raise InputError(f"{path}: cannot be read as a picture: it is damaged") from None
    return marks


def _exif(picture, content):
    """Read the EXIF data, of a TIFF all its tags; None where they are damaged.

    Pillow decodes a whole PNG to look for them, so it is asked only where there are some.
    """
    hints = (b"eXIf", b"Raw profile type exif", b"tiff:Orientation")
    if picture.format == "PNG" and not any(hint in content for hint in hints):
        return {}
    try:
        return dict(picture.getexif())
    except Exception:  # struct.error, SyntaxError, ...: cameras write what they like
        return None


def _turn(picture, exif):
    """The turn that is left to do; None leaves it to OpenCV, which does a TIFF's in any case.

    Of an AVIF, Pillow gives as EXIF orientation what irot and imir say: only they count there.
    """
    if exif is None or picture.format == "TIFF":
        return None
    return _EXIF_TURNS.get(exif.get(_ORIENTATION), Turn())


def _aspect(path, picture, exif):
    """A pixel's width / height by the densities: pixels per inch, or per any other length."""
    info = picture.info
    if picture.format in ("JPEG", "MPO"):
        # JFIF: with no unit, the densities still stand for pixels per length. FFmpeg alone writes
        # a pixel's width and height in their places.
        across, down = info.get("jfif_density", (0, 0))
        if info.get("jfif_unit") == 0 and info.get("comment", b"").startswith(b"Lavc"):
            across, down = down, across
        densities = [(across, down)]
    else:
        densities = [info.get("dpi", (0, 0))]
    densities.append([(exif or {}).get(tag, 0) for tag in _RESOLUTIONS])
    for across, down in densities:
        aspect = _ratio(down, across)
        if not _is_square(aspect):
            return aspect
    aspect = _ratio(*info.get("aspect", (1, 1)))
    if not _is_square(aspect):
        # PNG means densities; FFmpeg writes a pixel's width and height.
        raise InputError(
            f"{path}: has pixels that are not square, of {aspect:.3g} to 1, and does not say which"
            " side is the longer: save it with square pixels"
        )
    return 1.0


def _ratio(width, height):
    """width / height, or 1 where that is nonsense."""
    try:
        aspect = float(width) / float(height)
    except (TypeError, ValueError, ZeroDivisionError):
        return 1.0
    return aspect if math.isfinite(aspect) and 1 / _FLATTEST <= aspect <= _FLATTEST else 1.0


def _avif_marks(path, content, marks):
    """Add what Pillow leaves out of an AVIF's properties: pixel aspect and crop."""
    for kind in (b"meta", b"iprp", b"ipco"):
        content = next((body for name, body in _boxes(content) if name == kind), b"")
        content = content[4:] if kind == b"meta" else content
    for kind, body in _boxes(content):
        if kind == b"clap":
            raise InputError(f"{path}: says to show only a part of itself: save that part alone")
        if kind == b"pasp":
            aspect = _ratio(int.from_bytes(body[:4]), int.from_bytes(body[4:8]))
            marks = marks._replace(aspect=aspect)
    return marks


def _boxes(content):
    """Yield (name, body) of the boxes of an ISO base media file."""
    at = 0
    while (size := int.from_bytes(content[at : at + 4])) >= 8:
        yield content[at + 4 : at + 8], content[at + 8 : at + size]
        at += size


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
