"""What is typed behind a command: its types."""

import argparse
from contextlib import suppress
from math import inf

from cardpose.errors import shown


def positive(kind, most=inf):
    """An argument's type: an int, or a float, above 0 and at most so large."""

    def number(text):
        with suppress(ValueError):
            if 0 < (value := kind(text)) <= most:
                return value
        whole = "whole " if kind is int else ""
        limit = "" if most == inf else f", at most {most}"
        raise argparse.ArgumentTypeError(
            f"should be a {whole}number above 0{limit} (got {shown(text)})"
        )

    return number
