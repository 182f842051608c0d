"""Describe the parameters: values and comments of params.yaml, ranges of params.py, stages."""

import json
import re
from collections.abc import Iterable
from typing import Any

from dvc.utils.serialize import loads_yaml

from cardpose.params import Params
from docs.reference.markdown import sentence, table

HEADER = ("parameter", "default", "allowed", "meaning", "runs again from")
_WORDS = {
    "integer": "integer",
    "number": "number",
    "string": "text",
    "boolean": "`true`, `false`",
    "null": "`null`",
}
_LIMITS = {  # with spaces that break no line
    "minimum": "≥\u00a0{}",
    "exclusiveMinimum": ">\u00a0{}",
    "maximum": "≤\u00a0{}",
    "exclusiveMaximum": "<\u00a0{}",
    "maxLength": "at most {} characters",
}


def describe_parameters(params_yaml: str, *dvc_yamls: str) -> str:
    """Return one table per section of params.yaml.

    Args:
        params_yaml: content of params.yaml.
        dvc_yamls: contents of the pipelines' dvc.yaml, in the order in which they run.
    """
    values, meanings = loads_yaml(params_yaml), comments(params_yaml)
    schema = Params.model_json_schema(by_alias=True)
    stages = [
        (name, stage.get("params", ()))
        for text in dvc_yamls
        for name, stage in loads_yaml(text)["stages"].items()
    ]

    def describe_section(name: str, values: dict[str, Any], properties: dict[str, Any]) -> str:
        rows, inner = [], ""
        for key, value in values.items():
            dotted, kind = f"{name}.{key}".lstrip("."), properties[key]
            if "$ref" in kind:
                inner += describe_section(dotted, value, _definition(kind, schema)["properties"])
                continue
            names, meaning = (f"`{dotted}`", f"`{_in_yaml(value)}`"), sentence(meanings[dotted])
            rows.append((*names, allowed(kind, schema), meaning, _first(dotted, stages)))
        meaning = f"\n{sentence(meanings[name])}\n" if meanings.get(name) else ""
        return f"\n## {name or 'top level'}\n{meaning}{table(HEADER, rows)}{inner}"

    return describe_section("", values, schema["properties"])


def comments(text: str) -> dict[str, str]:
    """Return {dotted name: comment} of a YAML file, of lines above a name and behind its value."""
    found: dict[str, str] = {}
    path: list[str] = []
    above: list[str] = []
    for line in text.splitlines():
        if match := re.fullmatch(r" *# (.*)", line):
            above.append(match[1])
        elif match := re.fullmatch(r"( *)(\w+):[^#]*(?:# (.*))?", line):
            path = [*path[: len(match[1]) // 2], match[2]]
            found[".".join(path)] = " ".join(filter(None, [*above, match[3]]))
            above = []
    return found


def allowed(kind: dict[str, Any], schema: dict[str, Any]) -> str:
    """Describe the values that a JSON schema accepts."""
    if "anyOf" in kind:
        return " or ".join(allowed(each, schema) for each in kind["anyOf"])
    if "$ref" in kind:
        return f"`{{{', '.join(_definition(kind, schema)['properties'])}}}`"
    if "enum" in kind:
        return ", ".join(f"`{value}`" for value in kind["enum"])
    if kind["type"] == "array":
        sizes = dict.fromkeys(str(kind[end]) for end in ("minItems", "maxItems") if end in kind)
        size = f" of {' to '.join(sizes)}" if sizes else ""
        return f"list{size}; each: {allowed(kind['items'], schema)}"
    limits = [
        text.format(f"{kind[end]:,}" if isinstance(kind[end], int) else f"{kind[end]:g}")
        for end, text in _LIMITS.items()
        if end in kind
    ]
    return ", ".join([_WORDS[kind["type"]], *limits])


def _definition(kind: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    return schema["$defs"][kind["$ref"].rpartition("/")[2]]


def _in_yaml(value: Any) -> str:
    """Return a value as params.yaml writes it."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value)


def _first(name: str, stages: Iterable[tuple[str, Iterable[str]]]) -> str:
    """Return the first stage that depends on a parameter, or "" if none does."""
    for stage, names in stages:
        if any(f"{name}.".startswith(f"{each}.") for each in names):
            return f"`{stage}`"
    return ""
