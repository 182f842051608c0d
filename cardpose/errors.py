"""What a user can put right, said in one line."""

import signal
import sys

_FULL = ("No space left on device", "Disk quota exceeded")


class InputError(Exception):
    """A file, row or parameter that the user handed in and can put right.

    The message is one line: it names the culprit and says what would be right.
    """


class Terminated(KeyboardInterrupt):
    """Somebody, a cluster or a container that stops, ends the process by SIGTERM."""


def run(main):
    """Call `main()`, a stage; end the process with one line on stderr and status 1 on an
    InputError or a full disk, and as shells expect, 130 or 143, after Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except Exception as error:  # libraries have their own kinds for a full disk
        if not any(words in str(error) for words in _FULL):
            raise
        where = getattr(error, "filename", None)
        print(f"error: {f'{where}: ' if where else ''}the disk is full", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt as interrupt:
        said = str(interrupt) or "run it again to start over"
        print(f"\ninterrupted; {said}", file=sys.stderr)
        sys.exit(128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT))


def _terminate(number, frame):
    raise Terminated


def some(names, most=3):
    """List the first `most` of `names` in words: "a, b, c and 4 more"."""
    names = [str(name) for name in names]
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
