"""What commands and stages need of their process: standard streams, signals, a user's name.

Imports only the standard library, so it works while other imports, which take seconds, still run.
"""

import getpass
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, TextIO

TextFile = TextIO | io.TextIOBase
_raised: list[KeyboardInterrupt] = []  # by signals, since `keep_interrupts` began


class Terminated(KeyboardInterrupt):
    """SIGTERM, which clusters and containers send to stop a process."""


class HungUp(KeyboardInterrupt):
    """SIGHUP, which a terminal sends when it is closed."""


class Stop(threading.Event):
    """Event that Ctrl-C and other signals set.

    Attributes:
        status: exit status that shells expect after the signal; 0 before it.
    """

    status = 0


class Screen(io.TextIOBase):
    """Output that people read or another program, like stdout; other outputs do not depend on it.

    Once it cannot be written, for example because its reader has ended or the terminal is closed,
    what is written is dropped.

    Args:
        file: the output.
        stop: set once `file` cannot be written.

    Attributes:
        error: why `file` cannot be written; None if it can.
    """

    def __init__(self, file: TextFile, stop: threading.Event):
        self._file, self._stop = file, stop
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        if self.error is None:
            try:
                self._file.write(text)
                self._file.flush()  # a reader may wait
            except OSError as error:
                self.error = error
                self._stop.set()
        return len(text)

    def isatty(self) -> bool:
        return self._file.isatty()


def exit_on_interrupt() -> None:
    """End the process at once on a Ctrl-C while a module is being imported.

    An exception in the middle of an import can become another one or vanish. Commands and stages
    import their modules before they write anything that could be lost.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def prepare_process() -> None:
    """Make the standard streams and the user's name safe to use.

    - What is written to a closed stdout or stderr is dropped. Otherwise the next file that is
      opened would take its place.
    - Characters that an output cannot hold are escaped.
    - A user whom the system does not list gets a name and a home.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    _name_user()


def raise_on_interrupt() -> None:
    """Raise KeyboardInterrupt on Ctrl-C again, even during imports."""
    if signal.getsignal(signal.SIGINT) is _interrupt:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def raise_on_signals() -> None:
    """Raise `Terminated` on SIGTERM and `HungUp` on SIGHUP.

    A process that ignores SIGHUP, as under nohup, goes on ignoring it.
    """
    for error, number in _signals().items():
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, partial(_raise, error))


@contextmanager
def keep_interrupts() -> Iterator[None]:
    """Raise `Terminated` or `HungUp` again if it became another error, as it may in an import."""
    _raised.clear()
    try:
        yield
    except Exception:
        if _raised:
            raise _raised[0] from None
        raise


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Yield an event that a signal sets. A Ctrl-C after it interrupts as usual.

    Programs and closed terminals may send SIGTERM and SIGHUP twice, so later ones have no effect.
    """
    stop = Stop()
    before: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def set_stop(number: int, frame: FrameType | None) -> None:
        stop.status = stop.status or 128 + number
        stop.set()
        signal.signal(signal.SIGINT, before[signal.SIGINT])

    for number in (signal.SIGINT, *_signals().values()):
        if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, set_stop)
    try:
        yield stop
    finally:
        restore()


def interrupt_status(interrupt: KeyboardInterrupt) -> int:
    """Return the exit status that shells expect after Ctrl-C, SIGTERM or SIGHUP."""
    return 128 + _signals().get(type(interrupt), signal.SIGINT)


def ignore_signals() -> None:
    """Ignore later signals while the process ends; each would print a traceback."""
    for number in (*_signals().values(), signal.SIGINT):
        signal.signal(number, _ignore)


def drop_broken_output() -> None:
    """Empty the standard streams; drop what cannot be written, so that Python's exit is silent."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _name_user() -> None:
    """Set LOGNAME and HOME for a user whom the system does not list, as in many containers.

    DVC and torch ask for the user's name and home, and fail if they find none.
    """
    import tempfile  # not above, so that Ctrl-C is handled soon after the start

    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):  # the last two are those of Windows and Python 3.13
        os.environ["LOGNAME"] = str(os.getuid() if hasattr(os, "getuid") else "user")
        os.environ.setdefault("HOME", tempfile.gettempdir())


def _interrupt(number: int, frame: FrameType | None) -> None:
    while frame:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os._exit(128 + number)
        frame = frame.f_back
    raise KeyboardInterrupt


def _signals() -> dict[type[KeyboardInterrupt], int]:
    """Return {error: signal that raises it}. Windows has no SIGHUP."""
    names = {Terminated: "SIGTERM", HungUp: "SIGHUP"}
    return {error: getattr(signal, name) for error, name in names.items() if hasattr(signal, name)}


def _raise(error: type[KeyboardInterrupt], number: int, frame: FrameType | None) -> None:
    signal.signal(number, _ignore)  # `timeout` sends SIGTERM twice
    _raised.append(error())
    raise _raised[-1]


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing. Unlike SIG_IGN, programs that this process starts do not inherit it."""
