"""What is no file, and is written into but never replaced: devices, pipes, terminals, and files
that a process has open already, like /dev/stdout."""

import contextlib
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path

from cardpose.common.errors import InputError


def is_special(path):
    """Whether `path` is neither a file nor a folder nor free: a device, a pipe, a terminal, or
    (`/dev/stdout`, `/dev/fd/5`) a file that a process has open already.

    Raises:
        OSError: links that lead in a circle, for instance.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) or _descriptor(path) is not None


def is_stdout(path):
    """Whether `path` is another name of this process's standard output, like /dev/stdout."""
    return _descriptor(path) == (os.getpid(), 1)


def check_special(path):
    """Refuse a `path` for which `is_special` holds and that no file can be copied into.

    Raises:
        InputError: it is a socket, or a disk, which would lose all that it holds.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISSOCK(mode) and _own(path) is None:
        raise InputError(f"{path}: is a socket; name a file")
    if stat.S_ISBLK(mode):
        raise InputError(f"{path}: is a disk, and would be overwritten; name a file")


@contextlib.contextmanager
def copied_into(path):
    """Yield a scratch path elsewhere; copy the file written there into the device at `path`."""
    check_special(path)
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder, path.name)
        yield new
        if new.is_dir():
            raise InputError(f"{path}: is no folder, and cannot be replaced by one")
        with (
            new.open("rb") as file,
            opened(path) as handle,
            open(handle, "wb", closefd=False) as target,
        ):
            shutil.copyfileobj(file, target)


@contextlib.contextmanager
def opened(path):
    """Yield a descriptor to write to what is at `path` and no file, which nothing truncates."""
    check_special(path)
    own = _own(path)
    # A copy of an own descriptor writes on where the others are: `>> file` stays whole.
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY) if own is None else os.dup(own)
    try:
        yield handle
    finally:
        os.close(handle)


def _own(path):
    process, number = _descriptor(path) or (None, None)
    return number if process == os.getpid() else None


def _descriptor(path):
    """(process, number) of the open file that `path` leads to, like /dev/fd/1, or None."""
    for _ in range(40):  # links on the way, at most; the system allows no more either
        folder = os.path.realpath(os.path.dirname(path))
        found = re.fullmatch(r"/proc/(\d+)(/task/\d+)?/fd", folder)
        if found and os.path.basename(path).isdecimal():
            return int(found[1]), int(os.path.basename(path))
        if not os.path.islink(path):
            return None
        path = os.path.join(folder, os.readlink(path))
    return None
