"""Writing so that an interruption leaves the old file or the new one, never half of one.

That holds for an error, Ctrl-C, kill -9, and a machine that loses power. A stage with several
outputs replaces one after the other; killed in between, it leaves new ones beside old ones. DVC
notes a stage as done only after all of them, so it runs that stage again.
"""

import contextlib
import os
import shutil
from pathlib import Path

from cardpose.errors import InputError


@contextlib.contextmanager
def replacing(path):
    """Give a scratch path beside `path`; put what was written there in its place on success.

    Works for a file or a folder. When the block raises, the scratch is removed and `path` is
    left as it was.

    Raises:
        InputError: what was written is a file, and `path` a folder.
    """
    path = Path(path)
    if not path.name:  # like ".", which has no place beside it
        path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.part{path.suffix}")
    old = path.with_name(f".{path.name}.old")
    _put_back(old, path)  # where a run was killed between the two steps below
    for left_behind in (new, old):
        remove(left_behind)
    try:
        yield new
        if path.is_dir() and not new.is_dir():
            raise InputError(f"{path}: is a folder, and stays; name a file")
        _to_disk(new)
        if path.is_dir():
            os.replace(path, old)  # a folder cannot be replaced in one step
        os.replace(new, path)
        with contextlib.suppress(OSError):  # not every file system can
            _flush(path.parent)
    except OSError as error:
        if error.filename == str(new):  # a name that nobody has chosen says nothing
            error.filename = str(path)
        raise
    finally:
        _put_back(old, path)
        for left_behind in (new, old):
            remove(left_behind)


@contextlib.contextmanager
def scratch(path):
    """Give `path`, where nothing is, for what is not kept: it is removed at the end; what a killed
    run left there, now."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove(path)
    try:
        yield path
    finally:
        remove(path)


def remove(path):
    """Remove a file or a folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _put_back(old, path):
    if old.exists() and not path.exists():
        os.replace(old, path)


def _to_disk(path):
    """Wait until what was written is on the disk: a name that reaches it sooner than the content
    would, after a power cut, be that of an empty file."""
    if path.is_dir():
        os.sync()  # all at once: file by file takes long for thousands of frames
    else:
        _flush(path)


def _flush(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
