"""Writing so that an interruption leaves the old file or the new one, never half of one."""

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
    scratch = path.with_name(f".{path.name}.part{path.suffix}")
    old = path.with_name(f".{path.name}.old")
    for left_behind in (scratch, old):
        _remove(left_behind)
    try:
        yield scratch
        if path.is_dir() and not scratch.is_dir():
            raise InputError(f"{path}: is a folder, and stays; name a file")
        if path.is_dir():
            os.replace(path, old)  # a folder cannot be replaced in one step
        os.replace(scratch, path)
    except OSError as error:
        if error.filename == str(scratch):  # a name that nobody has chosen says nothing
            error.filename = str(path)
        raise
    finally:
        if old.exists() and not path.exists():
            os.replace(old, path)
        for left_behind in (scratch, old):
            _remove(left_behind)


def _remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
