"""Write the generated part of each page of docs/reference/.

Text above the marker of a page is written by hand. Everything below it is replaced.
"""

import argparse
import ast
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import cardpose
from cardpose.cli.main import command_parser
from cardpose.common.errors import InputError
from cardpose.inference.end_to_end import Outputs
from cardpose.inference.export import UNITS
from cardpose.inference.predictor import Predictor
from cardpose.inference.recording import RecordingCounter
from cardpose.inference.result import RecordingCount, Result
from cardpose.network.weights import Metadata
from docs.reference.docstrings import describe_class, describe_function, fields, first_paragraph
from docs.reference.markdown import sentence, table
from docs.reference.parameters import describe_parameters

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
MARKER = "<!-- Below this line, docs/reference/generate.py writes. -->\n"
_USAGE_WIDTH = 80  # characters
# What an ONNX file has in its metadata beside the metadata of the network.
_EXPORTED = {
    "count": "Way of counting: `picture`, `keypoints` or `both`.",
    "keypoints": "Names of the eight keypoints, in their order.",
    "edges": "Pairs of indices of the keypoints that the twelve edges of the box join.",
    "units": "Unit of each output.",
    "dataset": "Data set of the metrics; in files of `dvc repro` only.",
    "metrics": "[Metrics](metrics.md) on the held-out recordings; empty if there are none.",
}


def pages() -> dict[Path, str]:
    """Return {page: content that it should have}."""
    return {FOLDER / name: _page(FOLDER / name, generate()) for name, generate in _PAGES.items()}


def _page(path: Path, generated: str) -> str:
    return path.read_text(encoding="utf-8").partition(MARKER)[0] + MARKER + generated


def _parameters() -> str:
    files = ("params.yaml", "data/synthetic/dvc.yaml", "dvc.yaml")
    return describe_parameters(*((ROOT / name).read_text(encoding="utf-8") for name in files))


def _commands() -> str:
    return "".join(_describe_parser(parser) for parser in _parsers(command_parser()))


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser, if it runs something itself, and those of its subcommands."""
    inner = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    if not inner:
        yield parser
    for action in inner:
        for command in action.choices.values():
            yield from _parsers(command)


def _describe_parser(parser: argparse.ArgumentParser) -> str:
    """Describe a command: its usage, and what each of its arguments means."""
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=_USAGE_WIDTH)
    rows = []
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
        names = [f"{name}{value}" for name in action.option_strings] or [value.strip()]
        meaning = (action.help or "") % vars(action)
        if action.choices and not action.metavar:
            meaning += f": {', '.join(action.choices)}"
        rows.append((", ".join(f"`{name}`" for name in names), sentence(meaning)))
    usage = textwrap.dedent(parser.format_usage().replace("usage: ", " " * 7))
    return (
        f"\n## {parser.prog}\n\n{parser.description}\n\n```text\n{usage}```\n"
        f"{table(('argument', 'meaning'), rows)}"
    )


def _python() -> str:
    classes = (Predictor, Result, RecordingCount, RecordingCounter, InputError)
    return describe_function(cardpose.load, "cardpose.load") + "".join(map(describe_class, classes))


def _onnx() -> str:
    outputs = [
        (f"`{name}`", kind, UNITS.get(name, ""), meaning) for name, kind, meaning in fields(Outputs)
    ]
    metadata = [*((name, meaning) for name, _, meaning in fields(Metadata)), *_EXPORTED.items()]
    return (
        "\n## Outputs\n"
        + table(("name", "type", "unit", "meaning"), outputs)
        + "\n## Metadata\n"
        + "\nThe key `cardpose` of the file's metadata holds one JSON object.\n"
        + table(("name", "meaning"), ((f"`{name}`", meaning) for name, meaning in metadata))
    )


def _modules() -> str:
    """Return one table per folder of modules, with one row per module."""
    folders: dict[str, list[tuple[str, str]]] = {}
    for top in ("cardpose", "stages", "benchmarks"):
        for file in sorted((ROOT / top).rglob("*.py")):
            docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
            if docstring:
                path = file.relative_to(ROOT)
                row = f"[{file.name}](../../{path.as_posix()})", first_paragraph(docstring)
                folders.setdefault(f"{path.parent.as_posix()}/", []).append(row)
    header = ("module", "contents")
    return "".join(f"\n## {name}\n{table(header, rows)}" for name, rows in folders.items())


_PAGES: dict[str, Callable[[], str]] = {
    "parameters.md": _parameters,
    "command-line.md": _commands,
    "python.md": _python,
    "onnx.md": _onnx,
    "modules.md": _modules,
}

if __name__ == "__main__":
    for page, content in pages().items():
        page.write_text(content, encoding="utf-8")
