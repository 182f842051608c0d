"""Write files and folders so that an interruption leaves the old one or the new one, never half.

That holds for an error, Ctrl-C, kill -9, and a loss of power. A stage with several outputs replaces
one after the other; killed in between, it leaves new ones beside old ones. DVC notes a stage as
done only after all of them, so it runs that stage again.

Hidden names beside an output, all removed in the end: `.NAME.<8 random digits>.part` is a folder in
which the new content is written, and `.NAME.part.lock` is held by the process that writes. A
process that is killed leaves both; the next that writes NAME clears them away.
"""

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import secrets
import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from cardpose.common.devices import copied_into, is_special, opened
from cardpose.common.errors import InputError

WAIT = 10.0  # seconds for which a second writer of the same file waits
# What a write may fail with; None is what numpy says.
_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO, errno.EROFS, None)
_OLD = "old folder"  # in the scratch folder
_LONG = 200  # bytes of a file's name; the names beside it add 14, and 255 are allowed


@contextlib.contextmanager
def atomic_output(path, wait=WAIT):
    """Yield a scratch path; put what was written there in the place of `path` on success.

    Works for a file or a folder. When the block raises, `path` stays as it was. The scratch path
    does not exist yet, and ends as `path` does.

    - A symbolic link stays: the file or folder that it leads to is replaced, where that lies.
    - Owner, group, mode, ACL and extended attributes stay as they were; the owner and the group
      only if the process may set them. A file that may not be written to is refused.
    - Other hard links of a file keep the old content. Only writing into the file could keep them
      together, and an interruption would leave half of it. For the same reason a folder that may
      not be written to is an error even where the file may be.
    - A device, a pipe or a terminal is neither replaced nor removed: the file is copied into it.

    Args:
        path: file or folder to be written.
        wait: seconds to wait for another process that writes `path`.

    Raises:
        InputError: another process writes `path`; or what was written is a file and `path` a
            folder; or `path` is something that no file can be copied into.
    """
    path = Path(path)
    if is_special(path):
        with _naming(path), copied_into(path) as new, _naming(path, new):
            yield new
        return
    real = _followed(path)
    folder = _beside(real, f"{secrets.token_hex(4)}.part")
    new, old = folder / real.name, folder / _OLD
    with _naming(path, new, folder), _parents(real), locked(path, wait):
        # As root, nothing is forbidden.
        if real.exists() and not os.access(real, os.W_OK, effective_ids=_EFFECTIVE):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        folder.mkdir(mode=0o700)  # fails where anything is, so nobody else's link is followed
        try:
            yield new
            if real.is_dir() and not new.is_dir():
                raise InputError(f"{path}: is a folder, and stays; name a file")
            if real.exists():
                _keep_attributes(real, new)
            _to_disk(new)
            if real.is_dir():
                os.replace(real, old)  # a folder cannot be replaced in one step
            os.replace(new, real)
            with contextlib.suppress(OSError):  # not every file system can
                _flush(real.parent)
        finally:
            _clear(folder, real)


@contextlib.contextmanager
def atomic_text(path, wait=WAIT):
    """Yield a text file to be written: a scratch as of `atomic_output`, or the device or pipe
    itself, whose reader gets each line at once."""
    path = Path(path)
    if is_special(path):
        with _naming(path), opened(path) as handle:
            mode = {"encoding": "utf-8", "newline": "", "buffering": 1, "closefd": False}
            with open(handle, "w", **mode) as file:
                yield file
    else:
        with atomic_output(path, wait) as new, new.open("w", encoding="utf-8", newline="") as file:
            yield file


@contextlib.contextmanager
def locked(path, wait=WAIT):
    """Let no other process write `path` during the block, which may itself use `atomic_output`.

    The lock belongs to the file that `path` leads to, so that it holds for all links to it. The
    system releases it when its process dies. What killed processes left is cleared away first.

    Raises:
        InputError: another process writes `path` for longer than `wait` seconds.
    """
    real = _followed(path)
    file = _lock_file(real)
    if file.is_symlink() or (file.exists() and not file.is_file()):
        raise InputError(f"{path}: cannot be written while {file} is there; remove that")
    killed = file.exists()  # who was killed left its lock file, so only then is there a search
    lock = FileLock(file, mode=0o666, is_singleton=True)  # any user may wait for it
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        raise InputError(
            f"{path}: is being written by another process; wait for its end, or name another"
        ) from None
    except OSError as error:  # a disk that is read-only, for instance
        error.filename = str(path)
        raise
    clean = True
    try:
        if killed and lock.lock_counter == 1:
            for folder in _left_behind(real):
                _clear(folder, real)
        yield
    except BaseException:
        clean = not _left_behind(real)
        raise
    finally:
        # Removed while it is held: who waits for it notices, and takes a new one.
        if clean and lock.lock_counter == 1:
            with contextlib.suppress(OSError):
                file.unlink()
        lock.release()


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
def scratch_folder(path):
    """Yield `path`, emptied of what a killed run left there, and remove it in the end.

    Raises:
        InputError: another process uses it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path):
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


# The names beside a file, and what killed processes left there.

_EFFECTIVE = os.access in os.supports_effective_ids


def _followed(path):
    """Where the links at `path` lead to; a path that has a name, and a place beside it."""
    path = Path(path)
    if path.is_symlink() or not path.name:  # like "."
        return Path(os.path.realpath(path))
    return path


def _beside(real, ending):
    """A hidden name beside `real`."""
    name = os.fsencode(real.name)
    if len(name) > _LONG:
        name = hashlib.sha256(name).hexdigest().encode()
    return real.with_name(f".{os.fsdecode(name)}.{ending}")


def _lock_file(real):
    return _beside(real, "part.lock")


def _left_behind(real):
    """The scratch folders of `real`; whose process is dead if the caller holds the lock."""
    pattern = re.compile(re.escape(_beside(real, "").name) + r"[0-9a-f]{8}\.part(\.over)?")
    with contextlib.suppress(OSError), os.scandir(real.parent) as entries:
        return [
            Path(entry.path)
            for entry in entries
            if pattern.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
        ]
    return []


def _clear(folder, real):
    """Remove a scratch folder; an old folder in it goes back where no new one has replaced it."""
    with contextlib.suppress(OSError):
        folder.rmdir()  # all that was in it is in its place
        return
    over = folder.with_name(folder.name.removesuffix(".over") + ".over")
    if folder != over:
        if (folder / _OLD).exists() and not real.exists():
            os.replace(folder / _OLD, real)
        # Under another name, no worker can add to it while it is removed, and a removal that is
        # interrupted never passes for an old folder that waits to go back.
        os.replace(folder, over)
    shutil.rmtree(over)


@contextlib.contextmanager
def _parents(real):
    """Make the folders on the way to `real`; remove them again where nothing came of it."""
    fresh = [folder for folder in real.parents if not folder.exists()]
    real.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        if not real.exists():
            for folder in fresh:
                with contextlib.suppress(OSError):  # something else is in there by now
                    folder.rmdir()


@contextlib.contextmanager
def _naming(path, *hidden):
    """Let errors name `path`, not the names `hidden` beside it, which nobody has chosen."""

    def named(text):
        for name in hidden:
            text = str(text).replace(str(name), str(path))
        return text

    try:
        yield
    except InputError as error:
        raise InputError(named(error)) from None
    except OSError as error:
        if error.filename2:
            error.filename2 = named(error.filename2)
        if error.filename:
            error.filename = named(error.filename)
        elif error.errno in _FULL:  # as a write says it, which knows no name
            error.filename = str(path)
        raise


# Attributes and the disk.


def _keep_attributes(old, new):
    """Give `new` the owner, group, mode, ACL and extended attributes of `old`."""
    was = old.stat()
    with contextlib.suppress(OSError):  # only root gives files away, but a group of one's own goes
        os.chown(new, -1, was.st_gid)
        os.chown(new, was.st_uid, -1)
    shutil.copystat(old, new)
    os.utime(new)  # copied, too, but it is written now


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


def is_number(value):
    """Whether a value of a JSON file is a finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False
