"""Names of recordings and of their frames.

A recording is named after its file or folder. Frame 20 of the recording MyVideo is named
MyVideo_frame_20, in annotations.csv as well as in every table and file name that the stages write.
"""

import re

from cardpose.common.errors import InputError, short_repr

_MAX_DIGITS = 15  # of a frame's index
_INDEX = re.compile(f"0|[1-9][0-9]{{0,{_MAX_DIGITS - 1}}}", re.ASCII)
_RESERVED = ("index.csv", "recordings.csv")  # `extract_frames` writes these beside the recordings
# Longest name of a recording in bytes. File systems allow 255, and "_frame_123456.jpg" is appended.
_MAX_BYTES = 200


def frame_name(recording: str, index: int) -> str:
    """Return the name of frame `index` of a recording."""
    return f"{recording}_frame_{index}"


def split_frame_name(frame: str, where: str = "frame") -> tuple[str, int]:
    """Split a frame's name into its recording and its index.

    Args:
        where: start of the error message.

    Raises:
        InputError: the name is not `<recording>_frame_<index>`.
    """
    recording, separator, index = frame.rpartition("_frame_")
    if not (separator and recording and _INDEX.fullmatch(index)):
        raise InputError(f"{where}: should be like MyVideo_frame_20 (got {short_repr(frame)})")
    return recording, int(index)


def check_frame_number(digits: str, where: str) -> int:
    """Return the frame's index that the digits at the end of a picture's name give.

    Args:
        where: start of the error message.

    Raises:
        InputError: there are too many digits for a frame's name.
    """
    digits = digits.lstrip("0") or "0"
    if len(digits) > _MAX_DIGITS:
        raise InputError(
            f"{where}: the frame's number should have at most {_MAX_DIGITS} digits"
            f" (got {len(digits)})"
        )
    return int(digits)


def check_recording_name(name: str, where: str) -> None:
    """Refuse a name that no folder of frames can have.

    Args:
        where: start of the error message.

    Raises:
        InputError: the name is reserved, too long, or holds a character that paths cannot hold.
    """
    if name in (".", "..", *_RESERVED) or not name.isprintable() or "\\" in name:
        raise InputError(f"{where}: no recording can be named {short_repr(name)}")
    if len(name.encode()) > _MAX_BYTES:
        raise InputError(
            f"{where}: should be at most {_MAX_BYTES} bytes long (got {short_repr(name)})"
        )
