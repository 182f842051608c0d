"""Writing so that an interruption leaves the old file or the new one, never half of one.

That holds for an error, Ctrl-C, kill -9, and a machine that loses power. A stage with several
outputs replaces one after the other; killed in between, it leaves new ones beside old ones. DVC
notes a stage as done only after all of them, so it runs that stage again.
"""

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
    new = path.with_name(f".{path.name}.part{path.suffix}")
    old = path.with_name(f".{path.name}.old")
    failed = path.with_name(f".{path.name}.failed")
    _put_back(old, path)  # where a run was killed between the two steps below
    for left_behind in (new, old, failed):
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
    # A name that nobody has chosen says nothing.
    except InputError as error:
        raise InputError(str(error).replace(str(new), str(path))) from None
    except OSError as error:
        if error.filename2:
            error.filename2 = str(error.filename2).replace(str(new), str(path))
        if error.filename:
            error.filename = str(error.filename).replace(str(new), str(path))
        elif error.errno in _FULL:  # as a write says it, which knows no name
            error.filename = str(path)
        raise
    finally:
        _put_back(old, path)
        if new.is_dir():  # under another name, no worker can add to it while it is removed
            os.replace(new, failed)
        for left_behind in (new, old, failed):
            remove(left_behind)
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
