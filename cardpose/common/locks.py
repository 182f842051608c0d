"""Let one process at a time write a file or folder; remove leftovers of killed processes.

While an output is written, two hidden names lie beside it: `.NAME.<8 hex digits>.part`, the scratch
folder of the new content, and `.NAME.part.lock`, the lock file. Both are removed at the end. If the
process is killed, the next process that writes NAME removes them.
"""

import contextlib
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from cardpose.common.errors import InputError

WAIT = 10.0  # longest wait for another writer of the same file, in seconds
OLD_FOLDER = "old folder"  # name of the replaced folder inside the scratch folder
_LONGEST_NAME = 200  # bytes; hidden names add up to 20, and file systems allow 255


@contextlib.contextmanager
def locked(path: str | Path, wait: int | float = WAIT) -> Iterator[None]:
    """Keep other processes from writing `path` during the block.

    The block itself may write it with `atomic_output`. The lock belongs to the file to which `path`
    leads, so it holds for all links to that file. The system releases it when its process dies.
    Scratch folders of killed processes are removed first.

    Args:
        wait: longest time to wait for another process, in seconds.

    Raises:
        InputError: another process writes `path` for longer than `wait`.
    """
    real = follow_links(path)
    file = _hidden_name(real, "part.lock")
    if file.is_symlink() or (file.exists() and not file.is_file()):
        raise InputError(f"{path}: cannot be written while {file} is there; remove that")
    killed = file.exists()  # only killed processes leave a lock file
    lock = FileLock(file, mode=0o666, is_singleton=True)  # other users may wait for it
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        raise InputError(
            f"{path}: is being written by another process; wait for its end, or name another"
        ) from None
    except OSError as error:  # for example on a read-only disk
        error.filename = str(path)
        raise
    clean = True
    try:
        if killed and lock.lock_counter == 1:
            for folder in _left_scratch_folders(real):
                clear_scratch(folder, real)
        yield
    except BaseException:
        clean = not _left_scratch_folders(real)
        raise
    finally:
        # Remove the file before releasing the lock, so that a waiting process creates a new one.
        if clean and lock.lock_counter == 1:
            with contextlib.suppress(OSError):
                file.unlink()
        lock.release()


def follow_links(path: str | Path) -> Path:
    """Return the path to which a link at `path` leads. The result always has a name."""
    path = Path(path)
    if path.is_symlink() or not path.name:  # "." has no name
        return Path(os.path.realpath(path))
    return path


def new_scratch(real: Path) -> Path:
    """Return an unused name for a scratch folder of `real`."""
    return _hidden_name(real, f"{secrets.token_hex(4)}.part")


def clear_scratch(folder: Path, real: Path) -> None:
    """Remove a scratch folder. If `real` was not replaced, first move its old folder back."""
    with contextlib.suppress(OSError):
        folder.rmdir()  # succeeds if it is empty, as after writing a file completely
        return
    over = folder.with_name(folder.name.removesuffix(".over") + ".over")
    if folder != over:
        if (folder / OLD_FOLDER).exists() and not real.exists():
            os.replace(folder / OLD_FOLDER, real)
        # The new name keeps workers from adding files during the removal. If the removal is
        # interrupted, the name also shows that the old folder may be incomplete.
        os.replace(folder, over)
    shutil.rmtree(over)


def _hidden_name(real: Path, ending: str) -> Path:
    name = os.fsencode(real.name)
    if len(name) > _LONGEST_NAME:
        name = hashlib.sha256(name).hexdigest().encode()
    return real.with_name(f".{os.fsdecode(name)}.{ending}")


def _left_scratch_folders(real: Path) -> list[Path]:
    """Return the scratch folders of `real`. If the caller holds the lock, no process uses them."""
    pattern = re.compile(re.escape(_hidden_name(real, "").name) + r"[0-9a-f]{8}\.part(\.over)?")
    with contextlib.suppress(OSError), os.scandir(real.parent) as entries:
        return [
            Path(entry.path)
            for entry in entries
            if pattern.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
        ]
    return []
