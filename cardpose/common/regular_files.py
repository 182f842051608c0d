"""Read files of users with a bound on memory, and without waiting for pipes or devices."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from cardpose.common.errors import InputError

_LINE = 2**20  # characters of the longest line of a table


def check_regular(path: str | os.PathLike[str]) -> None:
    """Refuse a device, a pipe or a socket, which could block or have no end.

    Links are followed. A missing file and a folder pass: opening them says what is wrong.

    Raises:
        InputError: `path` is none of a file, a folder and a missing file.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(f"{path}: should be a file, not a device, a pipe or a socket")


def read_file(path: str | os.PathLike[str], most: int) -> bytes:
    """Return the content of a file.

    Args:
        most: largest size of the file in bytes.

    Raises:
        InputError: the file cannot be read, is not a regular file, or is larger than `most`.
    """
    check_regular(path)
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if os.fstat(file.fileno()).st_size <= most:
                content = file.read(most + 1)  # some files of the system have no size
                if len(content) <= most:
                    return content
    except (OSError, ValueError) as error:  # the latter for a name with a null character
        reason = getattr(error, "strerror", error)
        raise InputError(f"{path}: cannot be read ({reason})") from None
    raise InputError(f"{path}: is too large a file: it may have {most:,} bytes")


def read_text_file(path: str | os.PathLike[str], most: int) -> str:
    """Return the content of a file of UTF-8 text, like `read_file`. Line ends become `\\n`."""
    try:
        text = read_file(path, most).decode()
    except UnicodeDecodeError:
        raise InputError(f"{path}: should be UTF-8 text") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def bounded_lines(path: str | Path, file: TextIO) -> Iterator[str]:
    """Yield the lines of an open file.

    Raises:
        InputError: a line is longer than 2**20 characters. The message begins with `path`.
    """
    for number, line in enumerate(iter(lambda: file.readline(_LINE), ""), 1):
        if len(line) == _LINE:
            raise InputError(f"{path}: line {number}: should have less than {_LINE:,} characters")
        yield line


def _open_at_once(path: str, flags: int) -> int:
    """Open a file without waiting for the other end, if a pipe has taken its place by now."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
