"""The command `cardpose completion`: let a shell complete commands, options and file names."""

import argparse

import shtab

_COMPLETED = {"FILE": shtab.FILE, "PATH": shtab.FILE, "INPUT": shtab.FILE, "MODEL": shtab.FILE}
_COMPLETED |= {"FOLDER": shtab.DIRECTORY}


def add_completion_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print a script that completes these commands in a shell. For bash:"
        " `cardpose completion bash > ~/.local/share/bash-completion/completions/cardpose`"
    )
    parser.set_defaults(run=run_completion, failed=1)
    parser.add_argument("shell", choices=shtab.SUPPORTED_SHELLS, help="shell to print it for")


def run_completion(chosen: argparse.Namespace) -> None:
    from cardpose.cli.main import command_parser

    parser = command_parser()
    _complete_files(parser)
    print(shtab.complete(parser, chosen.shell))


def _complete_files(parser: argparse.ArgumentParser) -> None:
    """Mark the arguments of a parser, and of its subcommands, that name files or folders."""
    for action in parser._actions:
        if action.metavar in _COMPLETED:
            action.complete = _COMPLETED[action.metavar]  # type: ignore[attr-defined]
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _complete_files(command)
