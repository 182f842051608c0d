"""Write files and folders atomically: an interruption leaves the old or the new content.

An interruption is an error, Ctrl-C, kill -9 or a loss of power. A stage with several outputs
replaces them one by one. If it is killed in between, some are new and some are old. DVC records a
stage as done only after all of them, so it runs that stage again.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cardpose.common.devices import device_descriptor, device_output, is_special
from cardpose.common.errors import InputError
from cardpose.common.locks import (
    OLD_FOLDER,
    WAIT,
    clear_scratch,
    follow_links,
    locked,
    new_scratch,
)
from cardpose.common.process import TextFile

# Error numbers of failed writes. NumPy's errors have None.
_FAILED_WRITE = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO, errno.EROFS, None)
# Names of files that are not UTF-8 are escaped.
_TEXT: dict[str, Any] = {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""}
_EFFECTIVE_IDS = os.access in os.supports_effective_ids
# Mode of scratch folders. On Windows, files keep the access rights of the folder they are made in.
_SCRATCH_MODE = 0o700 if os.name == "posix" else 0o777


@contextlib.contextmanager
def atomic_output(path: str | Path, wait: int | float = WAIT) -> Iterator[Path]:
    """Yield a scratch path; move the file or folder written there to `path` on success.

    If the block raises an error, `path` stays as it was. The scratch path does not exist yet. It
    has the same name as `path`.

    - A symbolic link stays. The file or folder to which it leads is replaced.
    - Owner, group, mode, ACL and extended attributes stay; the owner and the group only if the
      process may set them. A read-only file is refused.
    - Other hard links of the file keep the old content. Changing them too would need overwriting
      in place, and an interruption would then leave a partial file. For the same reason a file in
      a read-only folder is refused.
    - A device, a pipe or a terminal stays. The file is copied to it.

    Args:
        wait: longest time to wait for another process that writes `path`, in seconds.

    Raises:
        InputError: another process writes `path`; or a file was written and `path` is a folder;
            or no file can be copied to `path`.
    """
    path = Path(path)
    if is_special(path):
        with _name_in_errors(path), device_output(path) as new, _name_in_errors(path, new):
            yield new
        return
    real = follow_links(path)
    folder = new_scratch(real)
    new = folder / real.name
    with _name_in_errors(path, new, folder), _parent_folders(real), locked(path, wait):
        # root may write to read-only files
        if real.exists() and not os.access(real, os.W_OK, effective_ids=_EFFECTIVE_IDS):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        folder.mkdir(_SCRATCH_MODE)  # fails if the name is taken, so no planted link is followed
        try:
            yield new
            if real.is_dir() and not new.is_dir():
                raise InputError(f"{path}: is a folder, and stays; name a file")
            _replace(real, new, folder / OLD_FOLDER)
        finally:
            clear_scratch(folder, real)


@contextlib.contextmanager
def atomic_text(path: str | Path, wait: int | float = WAIT) -> Iterator[TextFile]:
    """Yield a text file; move it to `path` on success, like `atomic_output`.

    A device or a pipe is opened directly, so that its reader gets each line at once.
    """
    path = Path(path)
    if is_special(path):
        with (
            _name_in_errors(path),
            device_descriptor(path) as handle,
            open(handle, "w", 1, **_TEXT, closefd=False) as file,
        ):
            yield file
    else:
        with atomic_output(path, wait) as new, new.open("w", **_TEXT) as file:
            yield file


@contextlib.contextmanager
def scratch_folder(path: str | Path) -> Iterator[Path]:
    """Yield `path` as an empty scratch path and delete it on exit.

    Files that a killed process left at `path` are deleted first.

    Raises:
        InputError: another process uses `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path):
        remove(path)
        try:
            yield path
        finally:
            remove(path)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _replace(real: Path, new: Path, old: Path) -> None:
    """Move `new` to `real`. An existing folder is moved to `old` first."""
    if real.exists():
        _copy_attributes(real, new)
    _write_to_disk(new)
    if real.is_dir():
        os.replace(real, old)  # a folder cannot be replaced in one step
    os.replace(new, real)
    with contextlib.suppress(OSError):  # some file systems cannot flush a folder
        _flush(real.parent)


def _copy_attributes(old: Path, new: Path) -> None:
    """Give `new` the owner, group, mode, ACL and extended attributes of `old`.

    In a folder, a file also gets the mode of the old file of its name.
    """
    for path in new.rglob("*"):
        was_there = old / path.relative_to(new)
        if path.is_file() and was_there.is_file() and not was_there.is_symlink():
            shutil.copymode(was_there, path)
    was = old.stat()
    if hasattr(os, "chown"):  # not on Windows
        with contextlib.suppress(OSError):  # users may set one of their groups; root the owner too
            os.chown(new, -1, was.st_gid)
            os.chown(new, was.st_uid, -1)
    shutil.copystat(old, new)
    os.utime(new)  # copystat also copies the old times


def _write_to_disk(path: Path) -> None:
    """Wait until the content of `path` is on the disk.

    If the name reached the disk first, a loss of power could leave an empty file.
    """
    if not path.is_dir():
        _flush(path)
    elif hasattr(os, "sync"):  # flushing thousands of frames one by one takes long
        os.sync()
    else:  # on Windows
        for file in path.rglob("*"):
            if file.is_file():
                _flush(file)


def _flush(path: Path) -> None:
    # Windows flushes only files that are open for writing. Folders can only be read.
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _parent_folders(real: Path) -> Iterator[None]:
    """Create the parent folders of `real`; remove them again if `real` is not created."""
    fresh = [folder for folder in real.parents if not folder.exists()]
    real.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        if not real.exists():
            for folder in fresh:
                with contextlib.suppress(OSError):  # another process has put something there
                    folder.rmdir()


@contextlib.contextmanager
def _name_in_errors(path: Path, *hidden: Path) -> Iterator[None]:
    """Replace the hidden names by `path` in errors."""

    def named(text: object) -> str:
        for name in hidden:
            text = str(text).replace(str(name), str(path))
        return str(text)

    try:
        yield
    except InputError as error:
        raise InputError(named(error)) from None
    except OSError as error:
        if error.filename2:
            error.filename2 = named(error.filename2)
        if error.filename:
            error.filename = named(error.filename)
        elif error.errno in _FAILED_WRITE:  # errors of a write name no file
            error.filename = str(path)
        raise
