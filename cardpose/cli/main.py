"""The command `cardpose`: its subcommands and its exit status."""

import argparse
import sys
from collections.abc import Collection, Sequence
from importlib import import_module
from typing import NoReturn

from cardpose import __version__
from cardpose.common.errors import one_line, print_line, silence_libraries, user_message
from cardpose.common.process import (
    drop_broken_output,
    exit_on_interrupt,
    ignore_signals,
    interrupt_status,
    keep_interrupts,
    prepare_process,
    raise_on_signals,
)

_COMMANDS = {
    "predict": "count the cards in photographs, in videos or in front of a camera",
    "calibrate": "measure the cards of your deck in videos whose counts you give",
    "app": "count cards in a browser",
    "check": "list likely faults of a data set before training on it",
    "label": "label your own recordings, with the network's help",
    "export": "write a network as an ONNX file",
    "completion": "print a script that completes these commands in a shell",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and end the process with its exit status.

    The status is 0 on success, 1 after an error, 2 for invalid arguments, 130 after Ctrl-C, 143
    after SIGTERM and 129 after the terminal is closed. For `check`, 1 means that something looks
    wrong, and 2 that some recording could not be checked.
    """
    if arguments is None:
        arguments = sys.argv[1:]
    exit_on_interrupt()
    prepare_process()
    failed = 1
    try:
        chosen = command_parser(arguments).parse_args(arguments)
        failed = chosen.failed
        silence_libraries()
        raise_on_signals()
        with keep_interrupts():
            status = chosen.run(chosen) or 0
        sys.stdout.flush()
    except BrokenPipeError:  # the program that reads the output has ended, like `head`
        status = failed
    except Exception as error:
        line = user_message(error)
        if line is None:  # a bug: the traceback helps more than one line
            raise
        print_line(f"error: {line}", sys.stderr)
        status = failed
    except KeyboardInterrupt as interrupt:
        ignore_signals()
        status = interrupt_status(interrupt)
    drop_broken_output()
    sys.exit(status)


class _Parser(argparse.ArgumentParser):
    """Parser whose errors are one short line, whatever the arguments hold."""

    def error(self, message: str) -> NoReturn:
        super().error(one_line(message))


def command_parser(names: Collection[str] = tuple(_COMMANDS)) -> argparse.ArgumentParser:
    """Return the parser of all commands, with the arguments of those that are in `names`.

    Only the modules of these commands are imported, so that `cardpose --version` answers at once.
    """
    parser = _Parser("cardpose", description="Count the cards in packets of playing cards.")
    parser.add_argument("--version", action="version", version=f"cardpose {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text in _COMMANDS.items():
        command = commands.add_parser(name, help=text)
        if name in names:
            module = import_module(f"cardpose.cli.{name}")
            getattr(module, f"add_{name}_arguments")(command)
    return parser
