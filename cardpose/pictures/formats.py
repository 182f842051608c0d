"""Recognise the format of picture files, and repair what decoders refuse without need."""

import re
import tempfile
import zlib
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import cv2

# Suffixes in lower case. OpenCV reads all formats but HEIC; of an animation, the first picture.
HEIC_SUFFIXES = {".heic", ".heif", ".hif"}
PICTURE_SUFFIXES = {
    *(".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo", ".png"),
    *(".tif", ".tiff", ".webp", *HEIC_SUFFIXES),
}
# Raw pictures of cameras. Many are TIFF files, of which OpenCV would read the thumbnail.
RAW_SUFFIXES = {
    *(".3fr", ".arw", ".cr2", ".cr3", ".dng", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2"),
    ".srw",
}
# Pictures that are named in an error, never skipped without a word.
UNREAD_SUFFIXES = RAW_SUFFIXES | {".jxl"}
# Brands of HEIF files. An AVIF file may list them in addition to its own.
_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_AVIF = {b"avif", b"avis"}
_JXL = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND\xaeB`\x82"
# Chunks of a PNG that matter besides the critical ones, and starts of texts with EXIF data.
_PNG_KEPT = (b"tRNS", b"pHYs", b"eXIf")
_PNG_TEXTS, _EXIF_TEXTS = (b"tEXt", b"zTXt", b"iTXt"), (b"Raw profile type exif", b"XML:com.adobe")
_LONGEST_TEXT = 2**16  # bytes
# Markers in a JPEG other than stuffed and fill bytes and restart markers.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


class JpegScans(NamedTuple):
    """Number of scans of a JPEG, and whether the marker of its end is there."""

    scans: int
    ended: bool


def is_picture(path: str | PathLike[str]) -> bool:
    """Return whether a file begins like a picture that OpenCV can read, or like HEIC or JPEG XL."""
    if not Path(path).is_file():  # opening a pipe would wait
        return False
    try:
        head = _head(path)
    except OSError:
        return False
    if is_heic(head) or is_jxl(head):
        return True
    with tempfile.TemporaryDirectory() as folder:
        # OpenCV crashes on names that are not UTF-8, so give it a link.
        link = Path(folder) / "picture"
        link.symlink_to(Path(path).absolute())
        return cv2.haveImageReader(str(link))


def begins_like_heic(path: str | PathLike[str]) -> bool:
    """Return whether a file begins like HEIC, whatever its name."""
    return is_heic(_head(path))


def is_heic(content: bytes) -> bool:
    """Return whether `content` begins like a HEIF file other than AVIF."""
    if content[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(content[:4], "big"), len(content))
    # The major brand, its version, then the compatible brands.
    brands = {content[8:12], *(content[at : at + 4] for at in range(16, end, 4))}
    return bool(brands & _HEIF) and not brands & _AVIF


def is_jxl(content: bytes) -> bool:
    """Return whether `content` begins like a JPEG XL file."""
    return content.startswith(_JXL)


def is_pfm(content: bytes) -> bool:
    """Return whether `content` begins like a PFM file, a picture of floating-point numbers."""
    return content.startswith((b"PF", b"Pf"))


def is_png(content: bytes) -> bool:
    """Return whether `content` begins like a PNG file."""
    return content.startswith(_PNG)


def is_jpeg(content: bytes) -> bool:
    """Return whether `content` begins like a JPEG file."""
    return content.startswith(b"\xff\xd8")


def essential_png(content: bytes) -> tuple[bytes, bool]:
    """Return a PNG with only the chunks that matter, and whether it had an end.

    Decoders refuse files with long texts or with a wrong checksum in a comment. Chunks with EXIF
    data move before the pixels, where Pillow finds them without decoding the pixels.
    """
    kept, pixels, ended = [content[:8]], [], False
    for kind, data, chunk in _chunks(content):
        if kind == b"IEND":
            ended = True
            break
        if kind == b"IDAT":
            pixels.append(chunk)
        elif kind[:1].isupper() or (_is_kept(kind, data) and _has_checksum(chunk)):
            kept.append(chunk)
    return b"".join([*kept, *pixels, _PNG_END]), ended


def jpeg_scans(content: bytes, most: int) -> JpegScans:
    """Count the scans of a JPEG, up to `most` + 1.

    Each segment begins with 0xff, a second byte, and two bytes for its length. 0xff 0xda begins a
    scan; its pixels follow, up to the next segment. The picture ends with 0xff 0xd9.
    """
    at, scans = 2, 0
    while scans <= most and (found := _MARKER.search(content, at)):
        if found[0] == b"\xff\xd9":
            # The end of a picture without pixels is the end of a thumbnail.
            return JpegScans(scans, scans > 0)
        scans += found[0] == b"\xff\xda"
        at = found.end() + int.from_bytes(content[found.end() : found.end() + 2])
    return JpegScans(scans, scans > most)


def _head(path: str | PathLike[str]) -> bytes:
    with open(path, "rb") as file:
        return file.read(4096)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield (kind, data, whole chunk) of each chunk of a PNG, up to one that is cut off."""
    at = len(_PNG)
    while at + 12 <= len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4])
        if end > len(content):
            return
        yield content[at + 4 : at + 8], content[at + 8 : end - 4], content[at:end]
        at = end


def _is_kept(kind: bytes, data: bytes) -> bool:
    texts = kind in _PNG_TEXTS and len(data) <= _LONGEST_TEXT and data.startswith(_EXIF_TEXTS)
    return kind in _PNG_KEPT or texts


def _has_checksum(chunk: bytes) -> bool:
    return zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:])
