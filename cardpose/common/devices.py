"""Write to devices, pipes, terminals and files that are already open, such as /dev/stdout.

Unlike other outputs, these must not be replaced by a new file.
"""

import contextlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cardpose.common.errors import InputError

_MOST_LINKS = 40  # limit of the operating system


def is_special(path: str | Path) -> bool:
    """Return whether `path` exists and must not be replaced.

    This holds for devices, pipes, terminals and sockets. It also holds for the open file of a
    process, under a name like `/dev/stdout` or `/dev/fd/5`.

    Raises:
        OSError: the path cannot be followed, for example because its links form a circle.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) or _open_file(path) is not None


def is_stdout(path: str | Path) -> bool:
    """Return whether `path` names this process's standard output, like /dev/stdout."""
    return _open_file(path) == (os.getpid(), 1)


def check_special(path: str | Path) -> None:
    """Refuse a special `path` that must not be written.

    Raises:
        InputError: `path` is a socket, or a disk, which would lose its content.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISSOCK(mode) and _own_descriptor(path) is None:
        raise InputError(f"{path}: is a socket; name a file")
    if stat.S_ISBLK(mode):
        raise InputError(f"{path}: is a disk, and would be overwritten; name a file")


@contextlib.contextmanager
def device_output(path: Path) -> Iterator[Path]:
    """Yield a scratch path; copy the file written there to the special `path` on success."""
    check_special(path)
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder, path.name)
        yield new
        if new.is_dir():
            raise InputError(f"{path}: is no folder, and cannot be replaced by one")
        with (
            new.open("rb") as file,
            device_descriptor(path) as handle,
            open(handle, "wb", closefd=False) as target,
        ):
            shutil.copyfileobj(file, target)


@contextlib.contextmanager
def device_descriptor(path: Path) -> Iterator[int]:
    """Yield a file descriptor that writes to the special `path` without truncating it."""
    check_special(path)
    own = _own_descriptor(path)
    flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOCTTY", 0)  # Windows lacks the last
    # A duplicated descriptor shares its position, so `>> file` keeps the old content.
    handle = os.open(path, flags) if own is None else os.dup(own)
    try:
        yield handle
    finally:
        os.close(handle)


def _own_descriptor(path: str | Path) -> int | None:
    process, number = _open_file(path) or (None, None)
    return number if process == os.getpid() else None


def _open_file(path: str | Path) -> tuple[int, int] | None:
    """Return (process, descriptor) of the open file to which `path` leads, like /dev/fd/1."""
    path = os.fspath(path)
    for _ in range(_MOST_LINKS):
        folder = os.path.realpath(os.path.dirname(path))
        found = re.fullmatch(r"/proc/(\d+)(/task/\d+)?/fd", folder)
        if os.path.basename(path).isdecimal():
            number = int(os.path.basename(path))
            if found:
                return int(found[1]), number
            if folder == "/dev/fd":  # on macOS; on Linux it is a link to /proc
                return os.getpid(), number
        if not os.path.islink(path):
            return None
        path = os.path.join(folder, os.readlink(path))
    return None
