"""Commands that the pages of the repository show, as a reader would type them."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

SHELL = ("sh", "console")  # what the fences of blocks of commands name
_PROGRAMS = ("cardpose", "dvc", "make", "python -m")
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")


@dataclass(frozen=True)
class Command:
    """A command of a page, or a block of Python or of lines to change in the code.

    `text` has no comment behind it. `line` is the line of the page where its block begins.
    `language` is sh, python or diff. An `inline` command stands in running text.
    """

    text: str
    line: int
    language: str = "sh"
    inline: bool = False

    @property
    def runs(self) -> bool:
        return self.language != "diff" and not self.inline


def read_page(path: Path) -> list[Command]:
    """Return the commands of a page of Markdown, from top to bottom."""
    found = []
    for token in MarkdownIt().enable("table").parse(path.read_text(encoding="utf-8")):
        line = token.map[0] + 1 if token.map else 0
        language = token.info.split()[0] if token.info.split() else ""
        if token.type == "fence" and language in ("python", "diff"):
            found.append(Command(token.content, line, language))
        elif token.type == "fence" and language in SHELL:
            prompted = language == "console"
            found += [Command(text, line) for text in commands(token.content, prompted)]
        for part in token.children or ():
            text = " ".join(part.content.split())
            if part.type == "code_inline" and text.startswith(tuple(f"{p} " for p in _PROGRAMS)):
                found.append(Command(text, line, inline=True))
    return found


def commands(block: str, prompted: bool = False) -> list[str]:
    """Split a block into commands, without comments.

    A command goes on where its line ends in a backslash, where a quotation is open, and up to the
    end of a here-document. In a block with prompts, other lines are output.
    """
    found: list[str] = []
    lines = iter(block.splitlines())
    for line in lines:
        if prompted and not line.startswith("$ "):
            continue
        text = line.removeprefix("$ ") if prompted else line
        while text.endswith("\\") or is_open(text):
            text += "\n" + next(lines).removeprefix("> " if prompted else "")
        here = _HEREDOC.search(text)
        text = text if here else without_comment(text)
        while here and text.splitlines()[-1].strip() != here[2]:
            text += "\n" + next(lines)
        if text:
            found.append(text)
    return found


def is_open(text: str) -> bool:
    """Whether a quotation begins that does not end."""
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return True
    return False


def without_comment(text: str) -> str:
    """Return a command without the comment that follows it, and without spaces around it."""
    for match in re.finditer(r"(^|\s)#", text):
        if not is_open(text[: match.start()]):
            return text[: match.start()].strip()
    return text.strip()
