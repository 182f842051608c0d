"""Small pieces of Markdown that the generated pages consist of."""

from collections.abc import Iterable


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table, with an empty line before it."""
    lines = [list(header), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n" + "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def sentence(text: str) -> str:
    """Return text with a capital letter, unless it begins with a name, and with a full stop."""
    if not text:
        return ""
    first = text.split()[0]
    if len(first) > 1 and not first.endswith(":"):  # otherwise x, or the value of a parameter
        text = text[0].upper() + text[1:]
    return text if text.endswith(".") else f"{text}."
