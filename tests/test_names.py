"""Names and sizes that keep the package readable."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "cardpose").rglob("*.py"))
LINES = {"module": 320, "class": 150, "function": 60}
# Words that once meant several things each.
RETIRED = {
    "about",
    "known",
    "look",
    "replacing",
    "said",
    "shown",
    "side_by_side",
    "some",
    "together",
}


def tree(file):
    return ast.parse(file.read_text(encoding="utf-8"))


def docstring_lines(node):
    """Count the lines of docstrings in a class or function, those of its methods included."""
    inner = (each for each in ast.walk(node) if isinstance(each, ast.FunctionDef | ast.ClassDef))
    return sum(len((ast.get_docstring(each, clean=False) or "").splitlines()) for each in inner)


def name(file):
    return file.relative_to(ROOT).as_posix()


def test_no_public_name_is_defined_twice():
    defined = defaultdict(list)
    for file in FILES:
        for node in tree(file).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                defined[node.name].append(name(file))
    assert not {word: files for word, files in defined.items() if len(files) > 1}


@pytest.mark.parametrize("file", FILES, ids=name)
def test_nothing_is_too_long(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= LINES["module"]
    for node in ast.walk(tree(file)):
        kind = {ast.ClassDef: "class", ast.FunctionDef: "function"}.get(type(node))
        if kind:
            assert node.end_lineno - node.lineno - docstring_lines(node) < LINES[kind], node.name


@pytest.mark.parametrize("file", FILES, ids=name)
def test_retired_words_stay_retired(file):
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            assert node.name not in RETIRED, node.lineno
        if isinstance(node, ast.arg):
            assert node.arg not in RETIRED, node.lineno
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            assert node.target.id not in RETIRED, node.lineno


@pytest.mark.parametrize("file", [f for f in FILES if f.name == "__init__.py"], ids=name)
def test_packages_are_empty(file):
    if file.parent.name != "cardpose":
        assert file.read_text(encoding="utf-8") == ""
