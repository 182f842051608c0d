"""The command `cardpose`: its subcommands and its exit status."""

import argparse
import os
import sys
from collections.abc import Sequence

from cardpose.cli import app, label
from cardpose.cli.check import add_check_arguments, run_check
from cardpose.cli.predict import INTERRUPTED, add_predict_arguments, run_predict
from cardpose.cli.shared import print_error
from cardpose.common.errors import InputError, silence_opencv, user_message

_FORCE_HELP = "also overwrite files that cardpose did not write"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and end the process with its exit status.

    The status is 0 on success, 1 after an error, 2 for invalid arguments and 130 after
    Ctrl-C. For `check`, 1 means that something looks wrong, and 2 that some recording could not be
    checked.
    """
    silence_opencv()
    chosen = _parser().parse_args(arguments)
    try:
        status = chosen.run(chosen) or 0
        sys.stdout.flush()
    except BrokenPipeError:  # the program that reads the output has ended, like `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = chosen.failed
    except (InputError, OSError, RuntimeError, MemoryError) as error:
        line = user_message(error)
        if line is None:
            raise
        print_error(line)
        status = chosen.failed
    except KeyboardInterrupt:
        status = INTERRUPTED
    sys.exit(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "cardpose", description="Count the cards in packets of playing cards."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    predict = commands.add_parser(
        "predict",
        help="count the cards in photographs, in videos or in front of a camera",
        description="Count the cards in photographs, in videos or in front of a camera. Also"
        " locate the corners of the packet, in pixels of the input.",
    )
    add_predict_arguments(predict, _FORCE_HELP)
    predict.set_defaults(run=run_predict, failed=1)
    check = commands.add_parser(
        "check",
        help="list likely faults of a data set before training on it",
        description="List likely faults of a data set, the worst first: labels that fit no packet,"
        " swapped names, wrong counts, copied recordings. Exit status 0: nothing looks wrong;"
        " 1: something looks wrong; 2: some recording could not be checked.",
    )
    add_check_arguments(check, _FORCE_HELP)
    check.set_defaults(run=run_check, failed=2)
    labels = commands.add_parser(
        "label",
        help="label your own recordings, with the network's help",
        description="Label new recordings, with the network's help.",
    )
    label.add_label_arguments(labels)
    page = commands.add_parser("app", help="count cards in a browser", description=app.DESCRIPTION)
    app.add_app_arguments(page)
    page.set_defaults(run=app.run_app, failed=1)
    return parser
