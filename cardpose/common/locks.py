"""Let one process at a time write a file or folder, and clear away what killed ones left.

Two hidden names lie beside an output while it is written: `.NAME.<8 hex digits>.part`, the scratch
folder in which the new content grows, and `.NAME.part.lock`, the lock file. Both are removed in
the end. A killed process leaves them; the next process that writes NAME removes them.
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

WAIT = 10.0  # seconds for which a second writer of the same file waits
OLD_FOLDER = "old folder"  # name in the scratch folder of the folder that is being replaced
_LONGEST_NAME = 200  # bytes; hidden names add 14 to it, and file systems allow 255


@contextlib.contextmanager
def locked(path: str | Path, wait: int | float = WAIT) -> Iterator[None]:
    """Let no other process write `path` during the block.

    The block itself may call `atomic_output`. The lock belongs to the file to which `path` leads,
    so it holds for all links to that file. The system releases it when its process dies. Scratch
    folders of killed processes are removed first.

    Args:
        wait: longest time to wait for another process, in seconds.

    Raises:
        InputError: another process writes `path` for longer than `wait`.
    """
    real = follow_links(path)
    file = _hidden_name(real, "part.lock")
    if file.is_symlink() or (file.exists() and not file.is_file()):
        raise InputError(f"{path}: cannot be written while {file} is there; remove that")
    killed = file.exists()  # a lock file is left by killed processes only
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
        # Remove the file before the lock is released: a waiting process then creates a new one.
        if clean and lock.lock_counter == 1:
            with contextlib.suppress(OSError):
                file.unlink()
        lock.release()


def follow_links(path: str | Path) -> Path:
    """Return the path to which links at `path` lead; it has a name and a parent folder."""
    path = Path(path)
    if path.is_symlink() or not path.name:  # "." has no name
        return Path(os.path.realpath(path))
    return path


def new_scratch(real: Path) -> Path:
    """Return an unused name for a scratch folder of `real`."""
    return _hidden_name(real, f"{secrets.token_hex(4)}.part")


def clear_scratch(folder: Path, real: Path) -> None:
    """Remove a scratch folder; move an old folder in it back if `real` was not replaced."""
    with contextlib.suppress(OSError):
        folder.rmdir()  # succeeds if it is empty, as it is after a complete write
        return
    over = folder.with_name(folder.name.removesuffix(".over") + ".over")
    if folder != over:
        if (folder / OLD_FOLDER).exists() and not real.exists():
            os.replace(folder / OLD_FOLDER, real)
        # The new name keeps workers from adding files during the removal. It also shows that the
        # old folder in it may be incomplete if the removal is interrupted.
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
