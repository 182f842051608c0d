"""Read JSON files and check their values."""

import json
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

from cardpose.common.errors import InputError
from cardpose.common.regular_files import read_file

_MOST_BYTES = 2**28  # size of a JSON file; its values may take 20 times as much memory


def read_json(path: str | Path, names: Collection[str] = ()) -> dict[str, Any]:
    """Return the dict in a JSON file that an earlier stage wrote.

    Args:
        names: keys that the dict must have.

    Raises:
        InputError: the file is missing or damaged, or a key is missing.
    """
    try:
        values = json.loads(read_file(path, _MOST_BYTES))
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or not set(names) <= values.keys():
        raise InputError(f"{path}: is damaged: delete it, and `dvc repro` makes it again")
    return values


def is_number(value: object) -> bool:
    """Return whether a value of a JSON file is a finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False
