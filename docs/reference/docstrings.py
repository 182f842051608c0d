"""Describe functions, classes and their fields, from source text and docstrings."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Any

from docs.reference.markdown import sentence, table

_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises):\n", re.MULTILINE)
_HEADINGS = {"Args": "Arguments", "Attributes": "Attributes", "Raises": "Errors"}
_ENTRY = re.compile(r"^([\w, ]+): ((?:.+\n?)(?:^ .*\n?)*)", re.MULTILINE)
_ARRAY = re.compile(r"(\w+)\[(?:np\.ndarray|Tensor), '([^']*)'\]")


def describe_function(function: Callable[..., Any], name: str, level: int = 2) -> str:
    """Describe a function under a heading with this name."""
    return _function(_source(function), name, level)


def describe_class(kind: type, level: int = 2) -> str:
    """Describe a class: its docstring, fields, properties and public methods."""
    node = _source(kind)
    text, parts = _docstring(node)
    parts["Attributes"] = ""
    functions = [each for each in node.body if isinstance(each, ast.FunctionDef)]
    public = [each for each in functions if not each.name.startswith("_")]
    properties = [each for each in public if "property" in map(ast.unparse, each.decorator_list)]
    rows = [(f"`{name}`", annotation, meaning) for name, annotation, meaning in fields(kind)]
    rows += [(f"`{each.name}`", _type(each.returns), _docstring(each)[0]) for each in properties]
    return "".join(
        [
            f"\n{'#' * level} {kind.__name__}\n\n{text}\n",
            table(("field", "type", "meaning"), rows) if rows else "",
            *(
                _function(each, f"{kind.__name__}.{each.name}", level + 1)
                for each in public
                if each not in properties
            ),
        ]
    )


def fields(kind: type) -> list[tuple[str, str, str]]:
    """Return (name, type, meaning) of the attributes in a class's docstring."""
    node = _source(kind)
    types = {
        ast.unparse(each.target): _type(each.annotation)
        for each in node.body
        if isinstance(each, ast.AnnAssign)
    }
    return [
        (name, types.get(name, ""), meaning)
        for names, meaning in _entries(_docstring(node)[1].get("Attributes", ""))
        for name in names.split(", ")
    ]


def first_paragraph(docstring: str) -> str:
    """Return the first paragraph of a docstring in one line."""
    return " ".join(docstring.partition("\n\n")[0].split())


def _source(thing: Any) -> Any:
    return ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]


def _function(node: ast.FunctionDef, name: str, level: int) -> str:
    arguments = node.args
    arguments.args = [each for each in arguments.args if each.arg != "self"]
    returns = f" -> {_type(node.returns)}" if node.returns else ""
    text, parts = _docstring(node)
    signature = f"{name}({_readable(ast.unparse(arguments))}){returns}"
    lines = [f"\n{'#' * level} {name}\n", f"`{signature}`\n", text]
    for heading, body in parts.items():
        if heading == "Returns":
            lines.append(f"\n**Returns:** {' '.join(body.split())}")
        else:
            lines.append(f"\n**{_HEADINGS[heading]}:**\n")
            lines += [f"- `{names}`: {meaning}" for names, meaning in _entries(body)]
    return "\n".join(lines) + "\n"


def _docstring(node: Any) -> tuple[str, dict[str, str]]:
    """Return the text of a docstring, one line per paragraph, and {heading: section}."""
    text, *rest = _SECTION.split(ast.get_docstring(node) or "")
    paragraphs = [" ".join(each.split()) for each in text.strip().split("\n\n")]
    sections = dict(zip(rest[::2], map(textwrap.dedent, rest[1::2]), strict=True))
    return "\n\n".join(paragraphs), sections


def _entries(section: str) -> list[tuple[str, str]]:
    """Return (names, meaning) of each entry of a section."""
    return [(names, sentence(" ".join(text.split()))) for names, text in _ENTRY.findall(section)]


def _type(annotation: ast.expr | None) -> str:
    """Return an annotation as text, with arrays in words."""
    return _readable(ast.unparse(annotation)) if annotation else ""


def _readable(annotations: str) -> str:
    """Return annotations with arrays in words, without quotes, and with spaces round defaults."""

    def array(match: re.Match[str]) -> str:
        kind = {"Shaped": "integer"}.get(match[1], match[1].lower())
        return f"{kind} array ({', '.join(match[2].split())})"

    return re.sub(r"(?<=\S)=(?=\S)", " = ", _ARRAY.sub(array, annotations)).replace("'", "")
