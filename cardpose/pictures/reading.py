"""Read pictures of all common formats, upright, with square pixels, in BGR."""

import math
import tempfile
import warnings
from collections.abc import Iterator
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from cardpose.common.errors import InputError

# Suffixes in lower case. OpenCV reads all of these formats.
PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
MOST_PIXELS = 2**28  # largest number of pixels of a picture; decoded, it takes 800 MB
# Brands of HEIF files. An AVIF file may list them in addition to its own.
_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_AVIF = {b"avif", b"avis"}
_SIDE = 2**16  # pixels; sides must be shorter, as in JPEG
_ORIENTATION, _RESOLUTIONS = 0x0112, (0x011A, 0x011B)  # tags of EXIF and TIFF
_SQUARE = 0.01  # tolerance of square pixels, because densities are rounded
_FLATTEST = 4  # largest plausible ratio of a pixel's longer side to its shorter one
# Hide Pillow's warnings of large pictures and of files that OpenCV may still read.
warnings.filterwarnings("ignore", module="PIL")


class Turn(NamedTuple):
    """Steps to turn a stored picture upright: swap rows and columns, then mirror."""

    swap: bool = False
    left_right: bool = False
    up_down: bool = False


class Marks(NamedTuple):
    """Turn and pixel shape that a picture file specifies.

    `turn` is None if OpenCV turns the picture. `aspect` is the width / height of a stored pixel.
    """

    turn: Turn | None = None
    aspect: float = 1.0


# Turns by EXIF orientation. All other values, such as 1, mean an upright picture.
_EXIF_TURNS: dict[Any, Turn] = {
    2: Turn(False, True, False),
    3: Turn(False, True, True),
    4: Turn(False, False, True),
    5: Turn(True, False, False),
    6: Turn(True, True, False),
    7: Turn(True, True, True),
    8: Turn(True, False, True),
}


def read_picture(path: str | PathLike[str]) -> UInt8[np.ndarray, "h w 3"]:
    """Read a BGR picture, upright and with square pixels.

    Grey pictures get three channels. 16 bits become 8. Transparency is ignored. Only the first
    picture of an animation is read.

    Raises:
        InputError: the file is not a readable picture, is cut off, is too large, or specifies an
            unsupported pixel shape or a crop.
    """
    return read_marked_picture(path)[0]


def read_marked_picture(
    path: str | PathLike[str],
) -> tuple[UInt8[np.ndarray, "h w 3"], bool]:
    """Return the result of `read_picture`, and whether the file has square pixels."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if is_heic(content):
        raise InputError(f"{path}: is a HEIC picture: convert it to JPEG first")
    if content[:2] == b"\xff\xd8" and _is_cut_off(content):
        raise InputError(f"{path}: ends early: a part of the picture is missing")
    marks = _marks(path, content)
    # OpenCV turns only a few formats, so the flag disables it. OpenCV ignores the flag for TIFF,
    # see `_turn`.
    flags = cv2.IMREAD_COLOR | (0 if marks.turn is None else cv2.IMREAD_IGNORE_ORIENTATION)
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:  # an empty file, or a format that Pillow cannot read
        picture = None
    if picture is None:
        raise InputError(f"{path}: cannot be read as a picture")
    shown = turned(squared(picture, marks.aspect, path), marks.turn or Turn())
    return shown, _is_square(marks.aspect)


def turned(picture: UInt8[np.ndarray, "h w 3"], turn: Turn) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Turn a picture upright."""
    if turn.swap:
        picture = cv2.transpose(picture)
    if turn.left_right or turn.up_down:
        code = -1 if turn.left_right and turn.up_down else 1 if turn.left_right else 0
        picture = cv2.flip(picture, code)
    return picture


def squared(
    picture: UInt8[np.ndarray, "h w 3"], aspect: float | int, path: str | PathLike[str]
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Stretch a picture whose pixels are `aspect` times as wide as high until they are square.

    Only one side grows and none shrinks, so no detail is lost.

    Raises:
        InputError: the stretched picture would be too large. The message begins with `path`.
    """
    if _is_square(aspect):
        return picture
    height, width = picture.shape[:2]
    size = round(width * max(1, aspect)), round(height * max(1, 1 / aspect))
    _check_size(path, size)
    return cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)


def is_picture(path: str | PathLike[str]) -> bool:
    """Return whether a file begins like a picture that OpenCV can read or like a HEIC picture."""
    try:
        with open(path, "rb") as file:
            if is_heic(file.read(4096)):
                return True
    except OSError:
        return False
    with tempfile.TemporaryDirectory() as folder:
        # OpenCV crashes on names that are not UTF-8, so give it a link.
        link = Path(folder) / "picture"
        link.symlink_to(Path(path).absolute())
        return cv2.haveImageReader(str(link))


def is_heic(content: bytes) -> bool:
    """Return whether `content` begins like a HEIF file other than AVIF."""
    if content[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(content[:4], "big"), len(content))
    # The major brand, its version, then the compatible brands.
    brands = {content[8:12], *(content[at : at + 4] for at in range(16, end, 4))}
    return bool(brands & _HEIF) and not brands & _AVIF


def _is_square(aspect: float | int) -> bool:
    return abs(aspect - 1) <= _SQUARE


def _check_size(path: str | PathLike[str], size: tuple[int, int]) -> None:
    if size[0] * size[1] > MOST_PIXELS or max(size) >= _SIDE:
        raise InputError(
            f"{path}: is too large a picture: it may have {MOST_PIXELS:,} pixels, and less than"
            f" {_SIDE:,} a side"
        )


def _marks(path: str | PathLike[str], content: bytes) -> Marks:
    """Read the turn and the pixel shape from a picture's header.

    Raises:
        InputError: the picture is too large, is damaged, or specifies an unsupported pixel shape
            or a crop.
    """
    try:
        picture = Image.open(BytesIO(content))
    except Image.DecompressionBombError:
        _check_size(path, (_SIDE, _SIDE))
    except Exception:  # Pillow raises many kinds; OpenCV may still read the format
        if content.startswith(b"\x89PNG"):  # OpenCV would trust its chunk lengths of up to 4 GB
            raise InputError(f"{path}: cannot be read as a picture: it is damaged") from None
        return Marks()
    _check_size(path, picture.size)
    exif = _exif(picture, content)
    marks = Marks(_turn(picture, exif), _aspect(path, picture, exif))
    if picture.format == "AVIF":
        marks = _avif_marks(path, content, marks)
    if picture.format == "TIFF" and _EXIF_TURNS.get((exif or {}).get(_ORIENTATION), Turn()).swap:
        marks = marks._replace(aspect=1 / marks.aspect)  # OpenCV swaps the sides
    try:
        picture.verify()
    except Exception:
        raise InputError(f"{path}: cannot be read as a picture: it is damaged") from None
    return marks


def _exif(picture: Image.Image, content: bytes) -> dict[int, Any] | None:
    """Read the EXIF data, or all tags of a TIFF. Return None if they are damaged.

    Pillow decodes a whole PNG to find EXIF data, so skip a PNG without any.
    """
    hints = (b"eXIf", b"Raw profile type exif", b"tiff:Orientation")
    if picture.format == "PNG" and not any(hint in content for hint in hints):
        return {}
    try:
        return dict(picture.getexif())
    except Exception:  # invalid data raise struct.error, SyntaxError and others
        return None


def _turn(picture: Image.Image, exif: dict[int, Any] | None) -> Turn | None:
    """Return the turn of a picture, or None if the turn is left to OpenCV.

    OpenCV turns every TIFF. An AVIF is turned by its properties irot and imir alone, which Pillow
    converts to an EXIF orientation.
    """
    if exif is None or picture.format == "TIFF":
        return None
    return _EXIF_TURNS.get(exif.get(_ORIENTATION), Turn())


def _aspect(path: str | PathLike[str], picture: Image.Image, exif: dict[int, Any] | None) -> float:
    """Return the width / height of a pixel, computed from the densities in the file.

    Densities are in pixels per inch or per another length.
    """
    info = picture.info
    if picture.format in ("JPEG", "MPO"):
        # JFIF densities without a unit are still pixels per length. FFmpeg alone writes the pixel's
        # width and height instead.
        across, down = info.get("jfif_density", (0, 0))
        if info.get("jfif_unit") == 0 and info.get("comment", b"").startswith(b"Lavc"):
            across, down = down, across
        densities = [(across, down)]
    else:
        densities = [info.get("dpi", (0, 0))]
    densities.append(tuple((exif or {}).get(tag, 0) for tag in _RESOLUTIONS))
    for across, down in densities:
        aspect = _ratio(down, across)
        if not _is_square(aspect):
            return aspect
    aspect = _ratio(*info.get("aspect", (1, 1)))
    if not _is_square(aspect):
        # A PNG should hold densities here, but FFmpeg writes the pixel's width and height.
        raise InputError(
            f"{path}: has pixels that are not square, of {aspect:.3g} to 1, and does not say which"
            " side is the longer: save it with square pixels"
        )
    return 1.0


def _ratio(width: Any, height: Any) -> float:
    """Return width / height, or 1 if the numbers are implausible."""
    try:
        aspect = float(width) / float(height)
    except (TypeError, ValueError, ZeroDivisionError):
        return 1.0
    return aspect if math.isfinite(aspect) and 1 / _FLATTEST <= aspect <= _FLATTEST else 1.0


def _avif_marks(path: str | PathLike[str], content: bytes, marks: Marks) -> Marks:
    """Add the pixel shape of an AVIF, which Pillow ignores. Reject a crop."""
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


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (name, body) of each box of an ISO base media file.

    A box here is a block of data, not a model of a packet.
    """
    at = 0
    while (size := int.from_bytes(content[at : at + 4])) >= 8:
        yield content[at + 4 : at + 8], content[at + 8 : at + size]
        at += size


def _is_cut_off(jpeg: bytes) -> bool:
    """Return whether the end of a JPEG file is missing, which OpenCV would fill in silently.

    Each segment begins with 0xff, a second byte, and two bytes for its length. The picture itself
    begins with 0xff 0xda and ends with the first 0xff 0xd9 after that.
    """
    at = 2
    while jpeg[at : at + 1] == b"\xff" and jpeg[at : at + 2] != b"\xff\xda":
        filled = jpeg[at : at + 2] == b"\xff\xff"  # any number of 0xff may precede a segment
        at += 1 if filled else 2 + int.from_bytes(jpeg[at + 2 : at + 4])
    return b"\xff\xd9" not in jpeg[at:]
