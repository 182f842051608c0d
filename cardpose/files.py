"""Writing so that an interruption leaves the old file or the new one, never half of one."""

import contextlib
import os
import shutil
from pathlib import Path


@contextlib.contextmanager
def replacing(path):
    """Give a scratch path beside `path`; put what was written there in its place on success.

    Works for a file or a folder. When the block raises, the scratch is removed and `path` is
    left as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.part{path.suffix}")
    _remove(scratch)
    try:
        yield scratch
        if scratch.is_dir():
            _remove(path)
        os.replace(scratch, path)
    finally:
        _remove(scratch)


def _remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
