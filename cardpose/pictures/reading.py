"""Read pictures of all common formats, upright, with square pixels, in BGR."""

import warnings
from collections.abc import Sequence
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from cardpose.common.errors import InputError
from cardpose.common.regular_files import read_file
from cardpose.pictures import formats
from cardpose.pictures.heic import decode_heic, heic_header
from cardpose.pictures.marks import (
    Marks,
    Turn,
    is_square,
    picture_marks,
    squared,
    squared_size,
    turned,
)

# Limits. A picture is refused before it is decoded; docs/explanation/reliability.md has a table.
MOST_BYTES = 2**28  # size of a picture file
MOST_PIXELS = 2**27  # pixels to decode; they take 400 MB
MOST_JPEG_PIXELS = 2**28  # pixels of a JPEG of one scan, which is decoded at a reduced size
LARGE = 2**25  # larger pictures are reduced, so that reading several at a time needs no more memory
_SCANNED = 10 * MOST_PIXELS  # pixels times scans of a JPEG; decoding them takes half a minute
_SIDE = 2**16  # pixels; sides must be shorter, as in JPEG
_REDUCED = {  # flags of OpenCV
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
# Formats that Pillow reads here. For EPS, it would run Ghostscript on a stranger's program.
_PILLOW = (
    *("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PPM", "SUN", "TGA"),
    *("TIFF", "WEBP"),
)
_FLOATS = "picture of 32 bits a channel"
# Hide Pillow's warnings of large pictures and of files that OpenCV may still read. The limits of
# this module replace Pillow's own.
warnings.filterwarnings("ignore", module="PIL")


class Photograph(NamedTuple):
    """Picture as it was read from a file.

    Attributes:
        pixels: in BGR, upright and square. Pictures of more than `LARGE` pixels are reduced to a
            half, a quarter or an eighth of their sides.
        size: width and height of the picture in pixels, not reduced.
        square: whether the pixels in the file are square.
    """

    pixels: UInt8[np.ndarray, "h w 3"]
    size: tuple[int, int]
    square: bool


def read_picture(path: str | PathLike[str]) -> UInt8[np.ndarray, "h w 3"]:
    """Read the pixels of a picture; see `read_photograph`."""
    return read_photograph(path).pixels


def read_photograph(path: str | PathLike[str]) -> Photograph:
    """Read a BGR picture, upright and with square pixels. Large pictures are reduced.

    Grey pictures get three channels. 16 bits become 8. Transparency is ignored. Only the first
    picture of an animation is read.

    Raises:
        InputError: the file is not a readable picture, is cut off, is too large, or specifies an
            unsupported pixel shape or a crop.
    """
    content = read_file(path, MOST_BYTES)
    _check_format(path, content)
    if formats.is_png(content):
        content = _without_comments(path, content)
    size, marks = _header(path, content)
    factor = _factor(size, marks.aspect) if size and formats.is_jpeg(content) else 1
    # OpenCV turns only a few formats, so the flag disables it. OpenCV ignores the flag for TIFF,
    # see `picture_marks`.
    flags = _REDUCED[factor] | (0 if marks.turn is None else cv2.IMREAD_IGNORE_ORIENTATION)
    if formats.is_jpeg(content):
        content = _with_end(path, content, size or (1, 1), factor)
    pixels = decode_heic(path, content) if formats.is_heic(content) else _decoded(content, flags)
    if pixels is None:
        raise InputError(f"{path}: cannot be read as a picture")
    if factor == 1 or size is None:
        size = pixels.shape[1::-1]  # OpenCV swaps the sides of some TIFF files
        pixels = _shrunk(pixels, _factor(size, marks.aspect))
    pixels = turned(squared(pixels, marks.aspect), marks.turn or Turn())
    width, height = squared_size(size, marks.aspect)
    swap = marks.turn is not None and marks.turn.swap
    return Photograph(pixels, (height, width) if swap else (width, height), is_square(marks.aspect))


def _check_format(path: str | PathLike[str], content: bytes) -> None:
    """Refuse formats that no decoder here reads."""
    if formats.is_jxl(content):
        raise _unsupported(path, "JPEG XL picture")
    if formats.is_pfm(content):
        raise _unsupported(path, _FLOATS)
    if Path(path).suffix.lower() in formats.RAW_SUFFIXES:
        raise _unsupported(path, "camera's raw picture")


def _unsupported(path: str | PathLike[str], name: str) -> InputError:
    return InputError(f"{path}: is a {name}: convert it to JPEG first")


def _check_size(path: str | PathLike[str], size: tuple[int, int], most: int) -> None:
    if size[0] * size[1] > most or max(size) >= _SIDE:
        raise InputError(
            f"{path}: is too large a picture: it may have {most:,} pixels, and less than"
            f" {_SIDE:,} a side"
        )


def _without_comments(path: str | PathLike[str], png: bytes) -> bytes:
    """Return a PNG without comments.

    Raises:
        InputError: the file is cut off, and pixels are missing.
    """
    content, ended = formats.essential_png(png)
    if not ended:
        _header(path, content)
        if _by_pillow(content) is None:
            raise InputError(f"{path}: cannot be read as a picture: it is damaged")
    return content


def _header(path: str | PathLike[str], content: bytes) -> tuple[tuple[int, int] | None, Marks]:
    """Read width and height in stored pixels, or None if only OpenCV may know them, and the marks.

    Raises:
        InputError: the picture is too large, is damaged, or specifies an unsupported pixel shape
            or a crop.
    """
    if formats.is_heic(content):
        return None, _heic_marks(path, content)
    try:
        picture = _opened(content)
    except Image.DecompressionBombError:  # more pixels than `MOST_PIXELS`
        _check_size(path, (_SIDE, _SIDE), MOST_PIXELS)
    except Exception:  # Pillow raises many kinds; OpenCV may still read the format
        if formats.is_png(content):  # OpenCV would trust its chunk lengths of up to 4 GB
            raise InputError(f"{path}: cannot be read as a picture: it is damaged") from None
        return None, Marks()
    if picture.mode == "F" or (picture.format, picture.mode) == ("TIFF", "I"):
        raise _unsupported(path, _FLOATS)  # what would be white is unknown
    jpeg = formats.is_jpeg(content)
    _check_size(path, picture.size, MOST_JPEG_PIXELS if jpeg else MOST_PIXELS)
    if jpeg:
        _check_scans(path, content, picture.size)
    marks = picture_marks(path, picture, content)
    _check_size(path, squared_size(picture.size, marks.aspect), MOST_JPEG_PIXELS)
    try:
        picture.verify()
    except Exception:
        raise InputError(f"{path}: cannot be read as a picture: it is damaged") from None
    return picture.size, marks


def _heic_marks(path: str | PathLike[str], heic: bytes) -> Marks:
    """Return the marks of a HEIC picture. libheif turns it.

    Raises:
        InputError: the picture or one of its tiles is too large, or the file states no size.
    """
    sizes, aspect = heic_header(path, heic)
    for size in sizes:
        _check_size(path, size, MOST_PIXELS)
        _check_size(path, squared_size(size, aspect), MOST_JPEG_PIXELS)
    return Marks(Turn(), aspect)


def _opened(content: bytes) -> Image.Image:
    """Open a picture in Pillow, and a JPEG of any size, whose pixels Pillow does not decode."""
    try:
        return Image.open(BytesIO(content), formats=_PILLOW)
    except Image.DecompressionBombError:
        if formats.is_jpeg(content):
            return JpegImageFile(BytesIO(content))
        raise


def _check_scans(path: str | PathLike[str], jpeg: bytes, size: tuple[int, int]) -> None:
    """Refuse a JPEG of so many scans or pixels that decoding takes minutes or gigabytes."""
    most = _most_scans(size)
    scans = formats.jpeg_scans(jpeg, most).scans
    if scans > 1:  # the decoder has to hold them all
        _check_size(path, size, MOST_PIXELS)
    if scans > most:
        raise InputError(f"{path}: has more scans than {most}, the most at its size: save it again")


def _most_scans(size: tuple[int, int]) -> int:
    return max(1, _SCANNED // max(1, size[0] * size[1]))


def _with_end(path: str | PathLike[str], jpeg: bytes, size: tuple[int, int], factor: int) -> bytes:
    """Return a JPEG with the marker of its end.

    If it is missing, pixels may be, too. A decoder would invent them from whatever follows, so
    decode the file with several endings, and compare. Pillow does so without printing.

    Raises:
        InputError: pixels are missing.
    """
    if formats.jpeg_scans(jpeg, _most_scans(size)).ended:
        return jpeg
    endings = (b"", b"\x55" * 64, b"\xaa" * 64)
    first, *others = (jpeg.rstrip(b"\xff") + ending + b"\xff\xd9" for ending in endings)
    pixels = _by_pillow(first, factor)
    for other in others:
        again = _by_pillow(other, factor)
        if pixels is None or again is None or not np.array_equal(pixels, again):
            raise InputError(f"{path}: ends early: a part of the picture is missing")
    return first


def _decoded(content: bytes, flags: int) -> UInt8[np.ndarray, "h w 3"] | None:
    """Decode a picture by OpenCV, or by Pillow if OpenCV cannot. Return None if neither can."""
    pixels = _by_opencv(content, flags)
    return _by_pillow(content) if pixels is None else pixels


def _by_opencv(content: bytes, flags: int) -> UInt8[np.ndarray, "h w 3"] | None:
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:  # an empty file, or a format that Pillow cannot read
        return None


def _by_pillow(content: bytes, factor: int = 1) -> UInt8[np.ndarray, "h w 3"] | None:
    """Decode a picture; a JPEG at a size that is reduced by a factor."""
    try:
        with _opened(content) as picture:
            if factor > 1:
                width, height = picture.size
                picture.draft("RGB", (width // factor, height // factor))
            if picture.mode.startswith("I"):  # 16 bits
                grey = (np.asarray(picture) // 257).clip(0, 255).astype(np.uint8)
                return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
            return cv2.cvtColor(np.asarray(picture.convert("RGB")), cv2.COLOR_RGB2BGR)
    except Exception:  # Pillow raises many kinds
        return None


def _factor(size: Sequence[int], aspect: float) -> int:
    """Return the factor, 1, 2, 4 or 8, that reduces a picture to at most `LARGE` pixels."""
    width, height = squared_size(size, aspect)
    return next((k for k in _REDUCED if width * height <= LARGE * k * k), 8)


def _shrunk(pixels: UInt8[np.ndarray, "h w 3"], factor: int) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Reduce the sides of a picture by a whole factor."""
    if factor == 1:
        return pixels
    height, width = pixels.shape[:2]
    size = -(-width // factor), -(-height // factor)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
