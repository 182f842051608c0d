"""Killed at any moment, or on a full disk: old output or new, and the same bytes in the end.

Takes a quarter of an hour; `make soak` runs it.
"""

import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import perf_counter

import psutil
import pytest
from clone import IDENTITY, STAGES, Clone

pytestmark = pytest.mark.soak

KILLS = 5  # of each stage
ENVIRONMENT = os.environ | IDENTITY  # that of the clone: another number of threads, other bytes
SCRIPTS = {"render": "render_synthetic"}
LOG = "metrics/train/"  # written after every epoch, to be read during the training
# A few epochs of each part, for interruptions to fall between.
LONGER = {
    "pretrain": {"half_size_epochs": 4, "epochs": 3, "closeup_epochs": 3, "edge_epochs": 3},
    "train": {"epochs": 5, "closeup_epochs": 5, "edge_epochs": 5},
    "geometry": {"steps": 300},
}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone whose pipeline ran without interruption."""
    clone = Clone(tmp_path_factory.mktemp("clone"), LONGER)
    clone("dvc", "repro")
    clone.commit()
    return clone


# What a killed stage leaves behind, until it runs again.
SCRATCH = re.compile(r"/\..+\.(part|old|failed|checkpoints|scratch)")


def files(folder, scratch=False):
    """{path: SHA-256} of everything in a clone but what Git, DVC and Python keep for themselves,
    and, unless asked for, what a killed stage leaves behind."""
    found = {}
    for path in sorted(folder.rglob("*")):
        own = {".git", ".dvc", "__pycache__"} & set(path.relative_to(folder).parts)
        if not scratch and SCRATCH.search(str(path)):
            continue
        if path.is_file() and not own and path.name not in ("dvc.lock", ".gitignore"):
            found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def stage(name):
    return [sys.executable, "-m", f"stages.{SCRIPTS.get(name, name)}"]


def dvc(*arguments):
    return [str(Path(sys.executable).parent / "dvc"), *arguments]


def kill_after(seconds, command, folder):
    """Start a command, and kill it with all its children; whether there was one to kill."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        everyone = [psutil.Process(process.pid), *psutil.Process(process.pid).children(True)]
        for one in everyone:  # the parent first, so that it cannot tidy up
            with suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)
        process.wait()
        psutil.wait_procs(everyone)
        return True
    return False


def duration(command, folder):
    start = perf_counter()
    subprocess.run(command, cwd=folder, env=ENVIRONMENT, check=True, capture_output=True)
    return perf_counter() - start


@pytest.mark.parametrize("name", ["render", *STAGES])
def test_a_stage_that_is_killed_leaves_the_old_output_or_the_new_and_ends_with_the_same(
    clone, name
):
    """Odd kills hit the stage itself, whose outputs are there; even ones DVC and the stage, after
    DVC has removed them. Repeating the pipeline then has to bring every byte back."""
    before, hashes = files(clone.folder), clone.hashes()
    where = "data/synthetic/dvc.yaml:render" if name == "render" else name
    forced = dvc("repro", "--force", "--single-item", "--no-run-cache", where)
    lengths = [duration(command, clone.folder) for command in (stage(name), forced)]
    assert files(clone.folder) == before
    moments = random.Random(name)
    number = 0
    while number < KILLS:
        command, length = [(stage(name), lengths[0]), (forced, lengths[1])][number % 2]
        killed = kill_after(moments.uniform(0.1, 1) * length, command, clone.folder)
        left = files(clone.folder)
        for path in before.keys() & left.keys():
            if not path.startswith(LOG):
                assert left[path] == before[path], f"{path} is neither old nor new"
        if number % 2 == 0:  # nobody but the stage had a hand in it
            assert all(path.startswith(LOG) for path in before.keys() - left.keys())
        clone("dvc", "repro", "--no-run-cache")
        assert clone.hashes() == hashes
        assert files(clone.folder) == before
        number += killed  # one that came too late does not count
    duration(stage(name), clone.folder)
    assert files(clone.folder, scratch=True) == before


@pytest.fixture
def small_disk(clone, tmp_path):
    """A copy of the clone on a disk of its own, and resize(bytes left)."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", str(disk)])
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs takes root")
    try:
        shutil.copytree(clone.folder, disk / "clone", symlinks=True)

        def resize(left):
            used = psutil.disk_usage(str(disk)).used
            size = "1g" if left is None else str(used + left)
            subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)

        yield disk / "clone", resize
    finally:
        subprocess.run(["umount", str(disk)])


@pytest.mark.parametrize("left", [0, 100_000, 1_000_000])
def test_a_full_disk_is_said_in_one_line_and_loses_nothing(clone, small_disk, left):
    folder, resize = small_disk
    before = files(folder)
    full = 0
    for name in ("render", *STAGES):
        resize(left)
        done = subprocess.run(
            stage(name), cwd=folder, env=ENVIRONMENT, capture_output=True, text=True
        )
        resize(None)
        if done.returncode:
            full += 1
            assert "Traceback" not in done.stderr, done.stderr
            said = done.stderr.splitlines()[-1]
            assert said.startswith("error: ")
            assert "No space left" in said or "is the disk full?" in said
        shutil.copytree(clone.folder / LOG, folder / LOG, dirs_exist_ok=True)
        after = files(folder)
        assert {path: after.get(path) for path in before} == before
    assert full >= 3
    resize(left)
    failed = subprocess.run(
        dvc("repro", "--force", "--no-run-cache"),
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
    )
    assert failed.returncode
    resize(None)
    # DVC's list of what is in use, which a full disk may cut short: DVC then names it and stops.
    (folder / ".dvc/tmp/rwlock").unlink(missing_ok=True)
    clone("dvc", "repro", "--no-run-cache", cwd=folder)
    assert files(folder) == before
