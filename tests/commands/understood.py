"""Whether the real parser of a program takes a command, without running it."""

import argparse
import contextlib
import io
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import NoReturn
from unittest import mock

from dvc.cli.parser import DvcParser, get_main_parser
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps
from support import REPOSITORY

from cardpose.cli.main import command_parser
from cardpose.params import load_params

_OPERATORS = {"&&", "||", "|", ";", "&", "(", ")"}
_UNFINISHED = ("the following arguments are required", "expected one argument")


class _RefusedError(Exception):
    """A parser does not take its arguments."""


class _ParsedError(Exception):
    """The arguments of a module were parsed: it needs not run any further."""


def check(text: str, folder: Path, inline: bool = False) -> None:
    """Assert that the programs of a shell command take their arguments.

    Args:
        folder: scratch folder.
        inline: the command stands in running text, where it may lack arguments, or end in "...".
    """
    for words in simple_commands(text.removesuffix("...") if inline else text):
        program, *arguments = words
        if program == "cardpose":
            _parse(command_parser().parse_args, arguments, inline)
        elif program == "dvc":
            _parse(get_main_parser().parse_args, arguments, inline)
            _check_settings(arguments, folder)
        elif program == "make":
            _check_make([*arguments, "DATASET=mine"] if inline else arguments)
        elif program == "python" and arguments[:1] == ["-m"]:
            _check_module(arguments[1], arguments[2:], folder, inline)
        elif program == "pip":
            _check_pip(arguments)
        elif program in ("pytest", "python"):
            files = [word.split("::")[0] for word in arguments if word.startswith("tests/")]
            assert all((REPOSITORY / file).exists() for file in files), files


def simple_commands(text: str) -> list[list[str]]:
    """Split a line of shell at its operators; leave out redirections and set variables."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    skip = False
    for word in lexer:
        if word in _OPERATORS:
            found.append([])
        elif skip or set(word) <= set("<>"):
            skip = not skip
        elif found[-1] or not re.match(r"\w+=", word):
            found[-1].append(word)
    return [words for words in found if words]


def check_patch(text: str) -> None:
    """Assert that each line that a block `diff` takes away occurs once in the code."""
    files = [file.read_text(encoding="utf-8") for file in (REPOSITORY / "cardpose").rglob("*.py")]
    for line in text.splitlines():
        if line.startswith("-"):
            assert sum(file.count(line[1:] + "\n") for file in files) == 1, line


def _refuse(_, message: str) -> NoReturn:
    raise _RefusedError(message)


def _parse(parse, arguments: list[str], inline: bool) -> None:
    with (
        mock.patch.object(argparse.ArgumentParser, "error", _refuse),
        mock.patch.object(DvcParser, "error", _refuse),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        try:
            parse(arguments)
        except SystemExit as ended:  # --help, --version
            if ended.code:
                raise
        except _RefusedError as error:
            if not inline or not any(words in str(error) for words in _UNFINISHED):
                raise


def _check_settings(arguments: list[str], folder: Path) -> None:
    """Assert that params.yaml is valid with each of the sweeps that `-S` names."""
    flags = ("-S", "--set-param")
    settings = [b for a, b in pairwise(arguments) if a in flags]
    params = folder / "params.yaml"
    for sweep in get_hydra_sweeps({str(params): settings}) if settings else ():
        shutil.copy(REPOSITORY / "params.yaml", params)
        apply_overrides(params, sweep[str(params)])
        load_params(params)


def _check_make(arguments: list[str]) -> None:
    command = ["make", "--dry-run", "--old-file=install", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _check_module(name: str, arguments: list[str], folder: Path, inline: bool) -> None:
    """Assert that a module is there and, if it is of this repository, takes its arguments."""
    spec = find_spec(name)
    assert spec is not None, f"no module {name}"
    source = Path(str(spec.origin))
    if not source.is_relative_to(REPOSITORY):
        return
    if "parse_args" not in source.read_text(encoding="utf-8"):
        assert not arguments, f"{name} takes no arguments"
        return
    parse = argparse.ArgumentParser.parse_args

    def parsed(parser, args=None, namespace=None):
        parse(parser, args, namespace)
        raise _ParsedError

    def run(words):
        with (
            mock.patch.object(argparse.ArgumentParser, "parse_args", parsed),
            mock.patch.object(sys, "argv", [name, *words]),
            contextlib.chdir(folder),
            contextlib.suppress(_ParsedError),
        ):
            runpy.run_module(name, run_name="__main__")

    _parse(run, arguments, inline)


def _check_pip(arguments: list[str]) -> None:
    """Assert that the extras of this project that `pip install` names are there."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for word in arguments:
        for extras in re.findall(r"^(?:\.|cardpose.*)\[(.+)\]$", word):
            assert set(extras.split(",")) <= set(project["optional-dependencies"]), word
