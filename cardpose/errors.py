"""What a user can put right, said in one line."""

import sys


class InputError(Exception):
    """A file, row or parameter that the user handed in and can put right.

    The message is one line: it names the culprit and says what would be right.
    """


def run(main):
    """Call `main()`; end the process with one line on stderr and status 1 on an InputError."""
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def some(names, most=3):
    """List the first `most` of `names` in words: "a, b, c and 4 more"."""
    names = [str(name) for name in names]
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
