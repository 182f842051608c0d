"""Helpers of tests about files and folders that are written, also by two processes at once."""

import contextlib
import os
import subprocess
import sys

from support import REPOSITORY

WRITTEN = "is being written by another process; wait for its end, or name another"
NOT_OURS = "is there already and not written by cardpose; name another, or add --force"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY)}


def put(path, kind, text):
    """Write a file with `text`, or a folder with two such files."""
    if kind == "file":
        path.write_text(text)
    else:
        path.mkdir()
        for name in ("a", "b"):
            (path / name).write_text(text)


def texts(path):
    """Return the texts of a file, or of all files in a folder."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [file.read_text() for file in files]


def open_parents(folder):
    """Let other users into a folder of pytest's: it keeps them out of those above."""
    for parent in folder.parents:
        if parent.name.startswith(("pytest-", "popen-", "test_")):
            parent.chmod(0o755)


def as_nobody(work):
    """Call `work()` without the rights of root, who may read and write every file."""
    if os.geteuid():
        work()
        return
    os.seteuid(65534)
    try:
        work()
    finally:
        os.seteuid(0)


HOLDS = """
import sys
from cardpose.common.files import atomic_output, scratch_folder
from cardpose.common.locks import locked

how = {"atomic_output": atomic_output, "locked": locked, "scratch_folder": scratch_folder}
how = how[sys.argv[1]]
with how(sys.argv[2]) as new:
    if new is not None and how is atomic_output:
        new.write_text("first")
    print("holds", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def another_writer(how, path, kill=False):
    """Let another process write `path` during the block.

    Args:
        how: the function that it uses: "atomic_output", "locked" or "scratch_folder".
        kill: kill it at the end of the block instead of letting it finish.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, how, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "holds\n"
        yield
        if kill:
            process.kill()
            process.wait()
        else:
            process.communicate(timeout=60)
            assert process.returncode == 0
