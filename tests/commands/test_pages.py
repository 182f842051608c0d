"""README.md and docs/: their commands run as they stand there, and say what programs know.

Commands run in a clone in which `make repro` has run on a small setting; those that not_run.toml
lists are given to the parsers of their programs only.
"""

import os
import re
import shutil
import subprocess
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from clone import IDENTITY, repro_clone
from outcomes import OUTCOMES
from pages import read_page
from reader import BEFORE, INSTEAD, act, bring_files, lend_renderings
from support import REPOSITORY, write_stand_in
from understood import check, check_patch

PATIENCE = 600  # seconds for one command
LISTED = tomllib.loads((Path(__file__).parent / "not_run.toml").read_text(encoding="utf-8"))
PAGES = {
    path.relative_to(REPOSITORY).as_posix(): read_page(path)
    for pattern in ("*.md", "data/*/README.md", "docs/**/*.md")
    for path in sorted(REPOSITORY.glob(pattern))
    if "cardcut/original" not in path.as_posix()
}
SHELL = """
cd "$(cat .git/where)" && source .git/state && {{
{}
}}
status=$?
export -p > "$ROOT/.git/state" && pwd > "$ROOT/.git/where"
exit $status
"""


def is_listed(text):
    return any(fnmatchcase(text, pattern) for pattern in LISTED)


def share_cache(folder, cache):
    """Let pages share DVC's cache: what one of them has run, the next one finds there."""
    if not cache.exists():
        shutil.copytree(folder / ".dvc/cache", cache)
    (folder / ".dvc/config.local").write_text(f"[cache]\n    dir = {cache}\n")


def run(command, folder):
    """Run a command and return what it printed.

    The next one finds the current folder and the variables that it leaves.
    """
    outside = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    paths = {"ROOT": str(folder), "PYTHONPATH": str(folder), "PIP_NO_INDEX": "1"}
    words = ["bash", "-c", SHELL.format(command.text)]
    if command.language == "python":
        words = ["python", "-c", command.text]
    lent = lend_renderings(command.text, folder) if command.language == "sh" else []
    done = subprocess.run(
        words,
        cwd=folder,
        env=outside | IDENTITY | paths,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    for path in lent:
        path.unlink()
    failed = done.returncode or "Traceback" in done.stdout
    assert not failed, f"line {command.line}: {command.text}\n{done.stdout}"
    return done.stdout


def test_commands_that_are_not_run_are_tested_elsewhere():
    for why in LISTED.values():
        for test in re.findall(r"(?:tests|\.github)/\S+", why):
            assert (REPOSITORY / test).exists(), test


@pytest.mark.parametrize("page", [name for name, found in PAGES.items() if found])
def test_programs_know_the_commands_of_a_page(page, tmp_path):
    for command in PAGES[page]:
        try:
            if command.language == "python":
                compile(command.text, page, "exec")
            elif command.language == "diff":
                check_patch(command.text)
            else:
                check(command.text, tmp_path, command.inline)
        except Exception as error:
            pytest.fail(f"{page}, line {command.line}: {command.text}\n{error}", pytrace=False)


@pytest.mark.parametrize(
    "page", [name for name, found in PAGES.items() if any(command.runs for command in found)]
)
def test_the_commands_of_a_page_run_from_its_top_to_its_bottom(page, tmp_path_factory):
    folder = repro_clone(tmp_path_factory)[0].folder
    if any(command.text.startswith("dvc ") for command in PAGES[page]):
        share_cache(folder, tmp_path_factory.getbasetemp() / "cache")
    else:  # a network that is sure of each picture
        write_stand_in(folder / "models/cardpose.onnx")
    ignored = bring_files(folder)
    (folder / ".git/info/exclude").write_text("\n".join(ignored) + "\n")
    (folder / ".git/state").touch()
    (folder / ".git/where").write_text(str(folder))
    for command in PAGES[page]:
        if not command.runs:
            continue
        if command.language == "sh" and is_listed(command.text):
            act(INSTEAD, command.text, folder)
        else:
            act(BEFORE, command.text, folder)
            output = run(command, folder)
            for pattern, holds in OUTCOMES.items():
                if fnmatchcase(command.text, pattern):
                    holds(output, folder)
