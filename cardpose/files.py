"""Writing so that an interruption leaves the old file or the new one, never half of one."""

import contextlib
import errno
import json
import os
import shutil
from pathlib import Path

from cardpose.errors import InputError

# What a write may fail with; None is what numpy says.
_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO, errno.EROFS, None)


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
    fresh = [folder for folder in path.parents if not folder.exists()]
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
    # A name that nobody has chosen says nothing.
    except InputError as error:
        raise InputError(str(error).replace(str(scratch), str(path))) from None
    except OSError as error:
        if error.filename:
            error.filename = str(error.filename).replace(str(scratch), str(path))
        elif error.errno in _FULL:  # as a write says it, which knows no name
            error.filename = str(path)
        raise
    finally:
        if old.exists() and not path.exists():
            os.replace(old, path)
        for left_behind in (scratch, old):
            _remove(left_behind)
        if not path.exists():
            for folder in fresh:
                with contextlib.suppress(OSError):  # something else is in there by now
                    folder.rmdir()


def read_json(path, names=()):
    """The dict in a JSON file that an earlier stage wrote.

    Raises:
        InputError: it is missing, or damaged: not all `names` are there.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or not set(names) <= values.keys():
        raise InputError(f"{path}: is damaged: delete it, and `dvc repro` makes it again")
    return values


def _remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
