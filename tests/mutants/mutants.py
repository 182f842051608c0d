"""Break the code on purpose, one place at a time, and see the tests notice.

    make mutants                                  # all of them
    python tests/mutants/mutants.py training      # those of one room
    python tests/mutants/mutants.py training -k margin

To add one, put a `Mutant` into the list MUTANTS of the file beside this one that is named after the
room: the text that is replaced has to occur exactly once in the file.

    from mutants import Mutant

    MUTANTS = [
        Mutant(
            "the margin is twice as wide",
            "cardpose/network/intervals.py",
            "half = np.nan if margin is None else margin\\n",
            "half = np.nan if margin is None else 2 * margin\\n",
            "tests/network/test_intervals.py",
        ),
    ]

Each mutant runs in a copy of the checkout. It is killed if one of its tests fails; the status is 1
if any survives, or no longer fits the code.
"""

import argparse
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COPIED = ("app", "benchmarks", "cardpose", "data", "docs", "metrics", "models", "stages", "tests")
LEFT_OUT = shutil.ignore_patterns("node_modules", "__pycache__", "frames", "tensors", "videos")
PACKAGES = "app/node_modules"  # what tests of the page need; large
PATIENCE = 600  # seconds for the tests of one mutant


class Mutant(NamedTuple):
    """A fault to put into the code.

    `name` says what is wrong then. `old` is replaced by `new` in `file`. `tests` are pytest's
    arguments, separated by spaces: the tests of which one has to fail.
    """

    name: str
    file: str
    old: str
    new: str
    tests: str


def mutants(rooms=()):
    """Return {room: its mutants}, of some rooms or of all."""
    files = sorted(path.stem for path in HERE.glob("*.py") if path.stem != "mutants")
    return {room: importlib.import_module(room).MUTANTS for room in rooms or files}


def fits(mutant, root=ROOT):
    """Whether the text that a mutant replaces occurs exactly once."""
    return (root / mutant.file).read_text(encoding="utf-8").count(mutant.old) == 1


def survives(mutant, copy):
    """Run a mutant's tests with the mutant in a copy of the checkout; put the code back."""
    file = copy / mutant.file
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", *mutant.tests.split()]
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        return False
    finally:
        file.write_text(text, encoding="utf-8")
    if done.returncode not in (0, 1):
        raise SystemExit(
            f"{mutant.name}: pytest cannot run {mutant.tests}:\n{done.stdout.decode()}"
        )
    return done.returncode == 0


def main():
    parser = argparse.ArgumentParser(description="Break the code, and see the tests notice.")
    parser.add_argument("rooms", nargs="*", help="files of mutants, without .py; default: all")
    parser.add_argument("-k", default="", metavar="TEXT", help="only mutants whose name has TEXT")
    chosen = parser.parse_args()
    killed, alive = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            shutil.copytree(ROOT / name, copy / name, ignore=LEFT_OUT, symlinks=True)
        (copy / PACKAGES).symlink_to(ROOT / PACKAGES)
        for path in (path for path in ROOT.iterdir() if path.is_file()):
            shutil.copy2(path, copy)
        for room, listed in mutants(chosen.rooms).items():
            for mutant in (each for each in listed if chosen.k in each.name):
                result = "does not fit the code any more"
                if fits(mutant):
                    result = "SURVIVES" if survives(mutant, copy) else "killed"
                killed, alive = killed + (result == "killed"), alive + (result != "killed")
                print(f"{room:12} {result:10} {mutant.name}", flush=True)
    print(f"{killed} of {killed + alive} killed")
    return int(alive > 0)


if __name__ == "__main__":
    sys.modules["mutants"] = sys.modules["__main__"]
    sys.exit(main())
