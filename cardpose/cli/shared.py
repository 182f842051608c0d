"""Argument types, outputs and data sets that several commands share."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from math import inf
from pathlib import Path

from cardpose.common.devices import is_stdout
from cardpose.common.errors import InputError, one_line, print_line, short_repr
from cardpose.common.files import atomic_text
from cardpose.common.process import TextFile
from cardpose.inference.networks import MOST_THREADS, ONNX_NETWORK, default_network, network_name

STDOUT = "-"  # name of an output that goes to stdout
FORCE_HELP = "also overwrite files that cardpose did not write"
_FRAME_STEP = 20  # default without a params.yaml


def positive(
    kind: type[int] | type[float], most: int | float = inf
) -> Callable[[str], int | float]:
    """Return an argparse type for a number of this kind, above 0 and at most `most`."""

    def number(text: str) -> int | float:
        with suppress(ValueError):
            if 0 < (value := kind(text)) <= most:
                return value
        whole = "whole " if kind is int else ""
        limit = "" if most == inf else f", at most {most}"
        raise argparse.ArgumentTypeError(
            f"should be a {whole}number above 0{limit} (got {short_repr(text)})"
        )

    return number


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --model and --threads."""
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help=f"file of the network (default: {ONNX_NETWORK}, or the one that comes with cardpose)",
    )
    parser.add_argument(
        "--threads", type=positive(int, MOST_THREADS), metavar="N", help="use N processor cores"
    )


def output_name(name: str) -> str:
    """Return the name of an output, with "-" for any name of stdout, like /dev/stdout.

    Serves as an argparse type.
    """
    return STDOUT if is_stdout(name) else name


def output_files(*names: str | Path | None) -> list[Path]:
    """Return the outputs that are files, leaving out stdout and None."""
    return [Path(name) for name in names if name not in (None, STDOUT)]


def text_output(name: str | Path) -> AbstractContextManager[TextFile]:
    """Return a context of a text file: stdout for "-", otherwise that of `atomic_text`."""
    return nullcontext(sys.stdout) if name == STDOUT else atomic_text(name)


def refuse_overwriting(sources: Iterable[str | Path], targets: Iterable[Path]) -> None:
    """Refuse outputs that are an input, a folder, or the same file twice.

    Raises:
        InputError: for the first such output.
    """
    taken = {os.path.realpath(path): "an input" for path in sources}
    for target in targets:
        if target.is_dir():
            raise InputError(f"{target}: is a folder, and would be overwritten; name a file")
        real = os.path.realpath(target)
        if real in taken:
            raise InputError(f"{target}: is {taken[real]}, and would be overwritten; name another")
        taken[real] = "written already"


def dataset_parameters() -> tuple[int, float, tuple[float, ...]]:
    """Return frame_step, geometry.focal and geometry.card of ./params.yaml.

    Without that file, return the defaults.
    """
    from cardpose.geometry.card import CARD, FOCAL

    if not Path("params.yaml").exists():
        return _FRAME_STEP, FOCAL, CARD
    from cardpose.params import load_params  # needs pydantic, which counting does without

    params = load_params()
    return params.frame_step, params.geometry.focal, tuple(params.geometry.card)


def dataset_folder(name: str) -> Path:
    """Return the folder of a data set, given its name in data/ or its path.

    Raises:
        InputError: there is no such folder.
    """
    for folder in (Path("data") / name, Path(name)):
        if folder.is_dir():
            return folder
    raise InputError(f"{name}: there is no such folder, neither here nor in data/")


def chosen_network(*suffixes: str) -> Path:
    """Return the default network with one of these suffixes, and name it on stderr.

    Raises:
        InputError: there is none.
    """
    path = default_network(suffixes)
    print_line(f"network: {network_name(path)}", sys.stderr)
    return path


def print_error(error: Exception | str) -> None:
    """Print one line on stderr."""
    print_line(f"error: {one_line(error)}", sys.stderr)


def print_note(text: str) -> None:
    """Print one line on stderr that tells of no error."""
    print_line(f"note: {one_line(text)}", sys.stderr)


def spreadsheet_text(text: str) -> str:
    """Return text for a cell of a CSV file for people, with ' before what would be a formula.

    Spreadsheets compute cells that begin with one of these characters, and formulas can run
    commands. See https://owasp.org/www-community/attacks/CSV_Injection. Carriage
    returns are escaped: Python before 3.13 does not quote them, and they would end a row.
    """
    formula = text.startswith(("=", "+", "-", "@", "\t", "\r"))
    return ("'" if formula else "") + text.replace("\r", "\\r")
