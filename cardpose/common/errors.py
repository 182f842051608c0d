"""What a user can put right, said in one line."""

import os
import reprlib
import signal
import sys
from concurrent.futures import BrokenExecutor

import cv2

# What torch says, on a processor and on a GPU, and OpenCV.
_NO_MEMORY = ("t allocate memory", "CUDA out of memory", "Insufficient memory")
# Libraries have kinds of errors of their own for a full disk.
_NO_ROOM = ("No space left on device", "Disk quota exceeded")
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


class InputError(Exception):
    """A file, row or parameter that the user handed in and can put right.

    The message is one line: it names the culprit and says what would be right.
    """


class Terminated(KeyboardInterrupt):
    """Somebody, a cluster or a container that stops, ends the process by SIGTERM."""


def run(main):
    """Call `main()`, a stage; end the process with one line on stderr and status 1 on an
    InputError, and where the disk, the rights or the memory do not suffice; with 130 or 143, as
    shells expect, after Ctrl-C or SIGTERM."""
    silence_opencv()
    signal.signal(signal.SIGTERM, _terminate)
    try:
        main()
    except Exception as error:
        line = user_message(error)
        if line is None:  # a fault of the program: its traceback is what helps
            raise
        print(f"error: {line}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt as interrupt:
        advice = str(interrupt) or "run it again to start over"
        print(f"\ninterrupted; {advice}", file=sys.stderr)
        sys.exit(128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT))


def _terminate(number, frame):
    raise Terminated


def user_message(error):
    """An exception as one line for users, or None where it is no fault of theirs."""
    if isinstance(error, InputError):
        return one_line(error)
    if isinstance(error, OSError):
        # Of a copy or a move, the second is where it was to go.
        where = error.filename2 or error.filename or "writing or reading a file"
        return one_line(f"{where}: {error.strerror or error}")
    if any(sign in str(error) for sign in _NO_ROOM):
        return _NO_ROOM[0]
    if isinstance(error, BrokenExecutor):  # the system kills who takes too much
        return "a worker process was killed: free some memory, or take smaller or fewer videos"
    if isinstance(error, MemoryError) or any(sign in str(error) for sign in _NO_MEMORY):
        return "out of memory: make batch_size, image_size or model.widths smaller"
    return None


def one_line(text):
    """Text without line breaks and other control characters, which file names may hold."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def short_repr(value):
    """A value that a user gave, as Python writes it, but short whatever it is."""
    return _SHORT.repr(value)


def silence_opencv():
    """What is wrong with a file is said by this program; OpenCV and FFmpeg say nothing, in worker
    processes neither."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def join_names(names, most=3):
    """List the first `most` of `names` in words: "a, b, c and 4 more"."""
    names = [str(name) for name in names]
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
