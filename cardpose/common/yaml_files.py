"""Read YAML files by the core schema of YAML 1.2, the one that DVC uses."""

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import Node
from ruamel.yaml.resolver import BaseResolver

from cardpose.common.errors import InputError, one_line
from cardpose.common.regular_files import read_text_file

_MOST_BYTES = 2**20  # reading takes 5 s and 200 MB per MB


def read_yaml(path: str | Path) -> Any:
    """Return the content of a YAML file: dicts, lists, text, numbers, true, false and None.

    Numbers are those of the core schema: `1e-5`, `.5`, `0x1f` and `0o17` are numbers; `1_000`,
    `12:30`, `2026-01-01`, `yes` and `off` are text.

    Raises:
        InputError: the file cannot be read; it is not valid YAML; it holds several documents or
            the same key twice.
    """
    text = read_text_file(path, _MOST_BYTES)
    yaml = YAML(typ="safe", pure=True)
    yaml.Resolver, yaml.Constructor = _CoreSchema, _Constructor
    try:
        return yaml.load(text)
    except (YAMLError, ValueError) as error:
        raise InputError(f"{path}: no valid YAML: {_problem(error)}") from None
    except RecursionError:
        raise InputError(f"{path}: no valid YAML: nested too deeply") from None
    except Exception:  # the library raises many types of errors for wrongly tagged values
        raise InputError(f"{path}: no valid YAML: a tagged value cannot be understood") from None


class _CoreSchema(BaseResolver):
    """Types of plain values. The library's own rules also read `1_000` as a number."""

    processing_version = (1, 2)

    def __init__(self, version=None, loader=None, loadumper=None):
        super().__init__(loadumper if loader is None else loader)


# https://yaml.org/spec/1.2.2/#1032-tag-resolution
for _tag, _pattern, _first in (
    ("null", r"null|Null|NULL|~|", ["n", "N", "~", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
):
    _CoreSchema.add_implicit_resolver_base(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first
    )


class _Constructor(SafeConstructor):
    """Refuse repeated keys, and integers so long that Python refuses to print them."""

    def check_mapping_key(
        self, node: Node, key_node: Node, mapping: Any, key: Any, value: Any
    ) -> bool:
        if key in mapping:
            raise ConstructorError(
                problem=f"{one_line(key)!r} is there twice", problem_mark=key_node.start_mark
            )
        return True

    def construct_yaml_int(self, node: Node) -> int:
        number = super().construct_yaml_int(node)
        str(number)  # raises a ValueError if too long; reading a hexadecimal number does not
        return number


_Constructor.add_constructor("tag:yaml.org,2002:int", _Constructor.construct_yaml_int)


def _problem(error: YAMLError | ValueError) -> str:
    """Return the line number and the fault that an error reports."""
    if not isinstance(error, MarkedYAMLError) or not error.problem:
        return one_line(" ".join(str(error).split(";")[0].split()))[:300]
    mark = error.problem_mark or error.context_mark
    line = f"line {mark.line + 1}: " if mark else ""
    return line + one_line(" ".join(error.problem.split()))[:300]
