"""Read HEIC pictures, that is HEIF files whose pictures are coded in HEVC, by libheif."""

from os import PathLike
from typing import NamedTuple

import cv2
import numpy as np
import pi_heif
from jaxtyping import UInt8

from cardpose.common.errors import InputError
from cardpose.pictures.marks import aspect_ratio, file_boxes, heif_properties


class HeicHeader(NamedTuple):
    """Sizes and pixel shape that a HEIC file specifies.

    Attributes:
        sizes: width and height of every picture in the file, tiles and thumbnails included, in
            stored pixels.
        aspect: width / height of a pixel of the shown picture.
    """

    sizes: list[tuple[int, int]]
    aspect: float


def heic_header(path: str | PathLike[str], content: bytes) -> HeicHeader:
    """Read sizes and pixel shape without decoding the picture.

    Raises:
        InputError: the file states no size.
    """
    sizes, aspect, quarter_turn = [], 1.0, False
    for kind, body in heif_properties(content):
        if kind == b"ispe":
            sizes.append((int.from_bytes(body[4:8]), int.from_bytes(body[8:12])))
        elif kind == b"pasp":
            aspect = aspect_ratio(body)
        elif kind == b"irot":
            quarter_turn = body[:1] in (b"\x01", b"\x03")
    if not sizes:
        raise _unreadable(path)
    return HeicHeader(sizes, 1 / aspect if quarter_turn else aspect)


def decode_heic(path: str | PathLike[str], content: bytes) -> UInt8[np.ndarray, "h w 3"]:
    """Decode the primary picture of a HEIC file to BGR.

    libheif crops, turns and mirrors it by the properties clap, irot and imir. An orientation in
    EXIF data describes the same turn, and is ignored. 10 and 12 bits become 8.

    Raises:
        InputError: the file is cut off or damaged, or holds something else than a HEVC picture,
            such as a sequence. libheif refuses pixels of another size than the file states.
    """
    opaque = _opaque(path, content)
    try:
        return _bgr(pi_heif.open_heif(opaque))
    except Exception as error:  # libheif's errors have many kinds
        if "end of file" in str(error):
            raise InputError(f"{path}: ends early: a part of the picture is missing") from None
        raise _unreadable(path) from None


def _opaque(path: str | PathLike[str], content: bytes) -> bytes:
    """Return a HEIC file without transparency.

    libheif waits for ever if the transparency is made of the picture that it belongs to. It draws
    overlays before it checks their size.

    Raises:
        InputError: the picture is an overlay of others.
    """
    for kind, body in file_boxes(content):
        if kind == b"meta":
            if b"iovl" in body:
                raise InputError(f"{path}: is an overlay of pictures: convert it to JPEG first")
            content = content.replace(body, body.replace(b"auxl", b"skip"))
    return content


def _bgr(image: pi_heif.HeifFile) -> UInt8[np.ndarray, "h w 3"]:
    """Copy the pixels of a picture. The array below is a view that does not keep `image` alive."""
    pixels = np.atleast_3d(np.asarray(image))
    if pixels.dtype == np.uint16:  # grey pictures of more than 8 bits
        pixels = (pixels >> 8).astype(np.uint8)
    if pixels.shape[2] < 3:
        return cv2.cvtColor(pixels[..., 0], cv2.COLOR_GRAY2BGR)
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)


def _unreadable(path: str | PathLike[str]) -> InputError:
    return InputError(
        f"{path}: cannot be read as a HEIC picture: it is damaged, or a sequence, or not coded in"
        " HEVC; convert it to JPEG"
    )
