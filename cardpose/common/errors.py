"""Errors that a user can fix, reported in one line."""

import os
import reprlib
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import BrokenExecutor

from cardpose.common.process import (
    TextFile,
    drop_broken_output,
    ignore_signals,
    interrupt_status,
    keep_interrupts,
    prepare_process,
    raise_on_interrupt,
    raise_on_signals,
)

# Messages of torch (on the processor, on the GPU) and of OpenCV.
_NO_MEMORY = ("t allocate memory", "CUDA out of memory", "Insufficient memory")
# Message of Python when a system or a container allows no more threads.
_NO_THREADS = "can't start new thread"
# Messages of the loader of libraries.
_NO_ADDRESSES = ("failed to map segment", "cannot allocate memory")
# Messages of libraries that raise their own types of errors when the disk is full.
_NO_ROOM = ("No space left on device", "Disk quota exceeded")
# Modules of the extra `train`, which counting does without.
_TRAIN = {
    *("dvc", "dvclive", "jinja2", "joblib", "lightning", "matplotlib", "onnx", "pandas", "pandera"),
    *("pydantic", "requests", "ruamel", "safetensors", "scipy", "scmrepo", "sklearn", "torch"),
}
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_LONGEST = 380  # characters of a message


class InputError(Exception):
    """Fault in a file, row or parameter that the user provided and can fix.

    The message is one line. It names the faulty item and says how to fix it.
    """


def run_stage(main: Callable[[], object]) -> None:
    """Call `main`; print one line on stderr for an error that a user can fix.

    The process ends with status 1 after an InputError, a full disk, missing permissions or too
    little memory; with 130 after Ctrl-C; with 143 after SIGTERM; with 129 when the terminal is
    closed. Other errors are raised again.
    """
    prepare_process()
    raise_on_interrupt()
    raise_on_signals()
    silence_libraries()
    try:
        with keep_interrupts():
            main()
    except Exception as error:
        line = user_message(error)
        if line is None:  # a bug: the traceback helps more than one line
            raise
        status = 1
        print_line(f"error: {line}", sys.stderr)
    except KeyboardInterrupt as interrupt:
        ignore_signals()
        status = interrupt_status(interrupt)
        print_line("", sys.stderr)
        print_line(f"interrupted; {str(interrupt) or 'run it again to start over'}", sys.stderr)
    else:
        status = 0
    drop_broken_output()
    if status:
        sys.exit(status)


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
    if _NO_THREADS in str(error):
        return "the system allows no more threads: end other programs, or raise `ulimit -u`"
    if isinstance(error, ImportError) and any(sign in str(error) for sign in _NO_ADDRESSES):
        return "too little memory to load the libraries: raise `ulimit -v` or the container's limit"
    if isinstance(error, MemoryError) or any(sign in str(error) for sign in _NO_MEMORY):
        return (
            "out of memory: end other programs or raise `ulimit -v`; to train, make batch_size,"
            " image_size or model.widths smaller"
        )
    return None


def print_line(text: object, file: TextFile | None = None) -> None:
    """Print a line on stdout or `file`, above a progress bar if there is one.

    Everything that people read is printed this way. Names of files may hold escape sequences, so
    control characters are escaped. A line that cannot be written to stderr is dropped, for example
    because the terminal is closed.

    Raises:
        OSError: the line cannot be written to stdout.
    """
    bars = sys.modules.get("tqdm")  # there is no bar if it has not been imported
    write = bars.tqdm.write if bars else print
    try:
        write(printable(text), file=file or sys.stdout)
        (file or sys.stdout).flush()
    except OSError:
        if file is not sys.stderr:
            raise


def printable(text: object) -> str:
    """Return `str(text)` with line breaks and other control characters escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def one_line(text: object) -> str:
    """Return `printable(text)`, shortened in its middle if it is long.

    The beginning of a message names the faulty item, and its end says what would be right.
    """
    text = str(text)
    if len(text) > 2 * _LONGEST:  # escaping a long text takes long
        text = text[:_LONGEST] + text[-_LONGEST:]
    line, half = printable(text), _LONGEST // 2
    return line if len(line) <= _LONGEST else f"{line[:half]} ... {line[-half:]}"


def short_repr(value: object) -> str:
    """Return the repr of a value, shortened to about 80 characters."""
    return _SHORT.repr(value)


def silence_libraries() -> None:
    """Stop OpenCV, FFmpeg and tqdm from printing warnings, here and in worker processes.

    cardpose reports faulty files itself. tqdm's thread, which it could lack, only redraws bars.
    """
    import cv2  # takes a fifth of a second, and `cardpose --version` does without
    from tqdm import tqdm

    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    tqdm.monitor_interval = 0


def quantity(number: int, noun: str) -> str:
    """Return a number with its noun: "1 frame", "2 frames"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def join_names(names: Iterable[object], most: int = 3) -> str:
    """List the first `most` names in words: "a, b, c and 4 more"."""
    texts = [str(name) for name in names]
    listed = ", ".join(texts[:most])
    return listed if len(texts) <= most else f"{listed} and {len(texts) - most} more"
