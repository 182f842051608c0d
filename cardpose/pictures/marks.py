"""Read the turn and the pixel shape that a picture file specifies, and apply them."""

import math
from collections.abc import Iterator, Sequence
from os import PathLike
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from cardpose.common.errors import InputError

_ORIENTATION, _RESOLUTIONS = 0x0112, (0x011A, 0x011B)  # tags of EXIF and TIFF
_SQUARE = 0.01  # tolerance of square pixels, because densities are rounded
_FLATTEST = 4  # largest plausible ratio of a pixel's longer side to its shorter one


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


def picture_marks(path: str | PathLike[str], picture: Image.Image, content: bytes) -> Marks:
    """Read the turn and the pixel shape from a picture's header.

    Raises:
        InputError: the picture specifies an unsupported pixel shape or a crop.
    """
    exif = _exif(picture, content)
    marks = Marks(_turn(picture, exif), _aspect(path, picture, exif))
    if picture.format == "AVIF":
        marks = _avif_marks(path, content, marks)
    if picture.format == "TIFF" and _EXIF_TURNS.get((exif or {}).get(_ORIENTATION), Turn()).swap:
        marks = marks._replace(aspect=1 / marks.aspect)  # OpenCV swaps the sides
    return marks


def turned(picture: UInt8[np.ndarray, "h w 3"], turn: Turn) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Turn a picture upright."""
    if turn.swap:
        picture = cv2.transpose(picture)
    if turn.left_right or turn.up_down:
        code = -1 if turn.left_right and turn.up_down else 1 if turn.left_right else 0
        picture = cv2.flip(picture, code)
    return picture


def squared(
    picture: UInt8[np.ndarray, "h w 3"], aspect: float | int
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Stretch a picture whose pixels are `aspect` times as wide as high until they are square."""
    if is_square(aspect):
        return picture
    size = squared_size(picture.shape[1::-1], aspect)
    return cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)


def squared_size(size: Sequence[int], aspect: float | int) -> tuple[int, int]:
    """Return the width and height of a picture whose pixels were made square.

    Only one side grows and none shrinks, so no detail is lost.
    """
    width, height = size
    if is_square(aspect):
        return width, height
    return round(width * max(1, aspect)), round(height * max(1, 1 / aspect))


def is_square(aspect: float | int) -> bool:
    """Return whether pixels `aspect` times as wide as high count as square."""
    return abs(aspect - 1) <= _SQUARE


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
        if not is_square(aspect):
            return aspect
    aspect = _ratio(*info.get("aspect", (1, 1)))
    if not is_square(aspect):
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
    for kind, body in heif_properties(content):
        if kind == b"clap":
            raise InputError(f"{path}: says to show only a part of itself: save that part alone")
        if kind == b"pasp":
            marks = marks._replace(aspect=aspect_ratio(body))
    return marks


def heif_properties(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Return the (name, body) of each property of the pictures in a HEIF or AVIF file."""
    for kind in (b"meta", b"iprp", b"ipco"):
        content = next((body for name, body in file_boxes(content) if name == kind), b"")
        content = content[4:] if kind == b"meta" else content
    return file_boxes(content)


def aspect_ratio(pasp: bytes) -> float:
    """Return the width / height of a pixel by the body of the property pasp."""
    return _ratio(int.from_bytes(pasp[:4]), int.from_bytes(pasp[4:8]))


def file_boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (name, body) of each box of an ISO base media file.

    A box here is a block of data, not a model of a packet.
    """
    at = 0
    while at + 8 <= len(content):
        start, size = 8, int.from_bytes(content[at : at + 4])
        if size == 1:  # a size of 64 bits follows
            start, size = 16, int.from_bytes(content[at + 8 : at + 16])
        if size < start:
            return
        yield content[at + 4 : at + 8], content[at + start : at + size]
        at += size
