"""What several commands share: argument types, output files, parameters."""

import argparse
import os
import sys
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path

from cardpose.common.errors import InputError, short_repr
from cardpose.common.files import atomic_text
from cardpose.common.locks import WAIT
from cardpose.geometry.card import CARD, FOCAL
from cardpose.params import load_params

_STEP = 20  # where there is no params.yaml


def positive(kind, most=inf):
    """An argument's type: an int, or a float, above 0 and at most so large."""

    def number(text):
        with suppress(ValueError):
            if 0 < (value := kind(text)) <= most:
                return value
        whole = "whole " if kind is int else ""
        limit = "" if most == inf else f", at most {most}"
        raise argparse.ArgumentTypeError(
            f"should be a {whole}number above 0{limit} (got {short_repr(text)})"
        )

    return number


@contextmanager
def text_output(name, wait=WAIT):
    if name == "-":
        sys.stdout.reconfigure(line_buffering=True)  # who reads it may be waiting
        yield sys.stdout
    else:
        with atomic_text(name, wait) as file:
            yield file


def refuse_overwriting(sources, targets):
    """Nothing is written over what is read, or over a folder, or twice."""
    taken = {os.path.realpath(path): "an input" for path in sources}
    for target in targets:
        if target.is_dir():
            raise InputError(f"{target}: is a folder, and would be overwritten; name a file")
        real = os.path.realpath(target)
        if real in taken:
            raise InputError(f"{target}: is {taken[real]}, and would be overwritten; name another")
        taken[real] = "written already"


def dataset_parameters():
    """frame_step, focal and card of ./params.yaml, or the usual ones."""
    if not Path("params.yaml").exists():
        return _STEP, FOCAL, CARD
    params = load_params()
    return params.frame_step, params.geometry.focal, tuple(params.geometry.card)


def dataset_folder(name):
    """The folder of a data set, by its name below data/ or by its path.

    Raises:
        InputError: there is none.
    """
    for folder in (Path("data") / name, Path(name)):
        if folder.is_dir():
            return folder
    raise InputError(f"{name}: there is no such folder, neither here nor in data/")
