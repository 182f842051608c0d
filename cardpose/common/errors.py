"""Errors that a user can fix, reported in one line."""

import getpass
import os
import reprlib
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import BrokenExecutor
from types import FrameType

# Messages of torch (on the processor, on the GPU) and of OpenCV.
_NO_MEMORY = ("t allocate memory", "CUDA out of memory", "Insufficient memory")
# Messages of libraries that raise their own types of errors when the disk is full.
_NO_ROOM = ("No space left on device", "Disk quota exceeded")
# Modules of the extra `train`, which counting does without.
_TRAIN = {
    *("dvc", "dvclive", "joblib", "lightning", "matplotlib", "onnx", "pandas", "pandera"),
    *("pydantic", "requests", "ruamel", "safetensors", "scipy", "scmrepo", "sklearn", "torch"),
}
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


class InputError(Exception):
    """Fault in a file, row or parameter that the user provided and can fix.

    The message is one line. It names the faulty item and says how to fix it.
    """


class Terminated(KeyboardInterrupt):
    """SIGTERM, which clusters and containers send to stop a process."""


def run_stage(main: Callable[[], object]) -> None:
    """Call `main`; print one line on stderr for an error that a user can fix.

    The process ends with status 1 after an InputError, a full disk, missing permissions or too
    little memory; with 130 after Ctrl-C; with 143 after SIGTERM. Other errors are raised again.
    """
    silence_opencv()
    _name_user()
    signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        main()
    except Exception as error:
        line = user_message(error)
        if line is None:  # a bug: the traceback helps more than one line
            raise
        print(f"error: {line}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt as interrupt:
        advice = str(interrupt) or "run it again to start over"
        print(f"\ninterrupted; {advice}", file=sys.stderr)
        sys.exit(128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT))


def _name_user() -> None:
    """Set LOGNAME and HOME for a user whom the system does not list, as in many containers.

    DVC asks for the user's name and home, and fails if it finds none.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):  # KeyError until Python 3.12
        os.environ["LOGNAME"] = str(os.getuid())
        os.environ.setdefault("HOME", tempfile.gettempdir())


def _raise_terminated(number: int, frame: FrameType | None) -> None:
    raise Terminated


def user_message(error: BaseException) -> str | None:
    """Return one line about an error that the user can fix, or None for a bug."""
    if isinstance(error, InputError):
        return one_line(error)
    if isinstance(error, ModuleNotFoundError):
        name = (error.name or "").partition(".")[0]
        needed = f'this needs {name}, which pip install "cardpose[train]" installs'
        return needed if name in _TRAIN else None
    if isinstance(error, OSError):
        # For a copy or a move, filename2 is the destination.
        where = error.filename2 or error.filename or "writing or reading a file"
        return one_line(f"{where}: {error.strerror or error}")
    if any(sign in str(error) for sign in _NO_ROOM):
        return _NO_ROOM[0]
    if isinstance(error, BrokenExecutor):  # the system killed a process that used too much memory
        return "a worker process was killed: free some memory, or take smaller or fewer videos"
    if isinstance(error, MemoryError) or any(sign in str(error) for sign in _NO_MEMORY):
        return "out of memory: make batch_size, image_size or model.widths smaller"
    return None


def one_line(text: object) -> str:
    """Return `str(text)` with line breaks and other control characters escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def short_repr(value: object) -> str:
    """Return the repr of a value, shortened to about 80 characters."""
    return _SHORT.repr(value)


def silence_opencv() -> None:
    """Stop OpenCV and FFmpeg from printing, here and in worker processes.

    cardpose reports faulty files itself.
    """
    import cv2  # takes a fifth of a second, and `cardpose --version` does without

    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def join_names(names: Iterable[object], most: int = 3) -> str:
    """List the first `most` names in words: "a, b, c and 4 more"."""
    texts = [str(name) for name in names]
    listed = ", ".join(texts[:most])
    return listed if len(texts) <= most else f"{listed} and {len(texts) - most} more"
