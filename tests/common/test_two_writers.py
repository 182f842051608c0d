"""Two processes that write the same file at the same time: nothing is lost, or it is said."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from support import REPOSITORY
from test_cli import cardpose, grey  # noqa: F401

from cardpose.cli import shared
from cardpose.common.errors import InputError
from cardpose.common.files import atomic_output, atomic_text, locked, scratch_folder
from cardpose.dataset.annotations import read_annotations
from cardpose.labelling import merge
from cardpose.labelling.label_import import Labels
from cardpose.labelling.merge import merge_labels

PAIRS, FRAMES = 20, 25
WRITTEN = "is being written by another process; wait for its end, or name another"


def labels_of(name):
    n = FRAMES
    frames = [f"{name}_frame_{i}" for i in range(n)]
    return Labels(frames, np.full((n, 8, 2), 0.5), np.ones((n, 8), bool), np.ones((n, 8), bool), {})


def merge_all(paths, name, barrier):
    """Merge the labels of a recording into each file, at the same time as the other process."""
    labels, sizes = labels_of(name), np.full((FRAMES, 2), 640)
    for path in paths:
        barrier.wait(60)
        assert len(merge_labels(path, labels, sizes).added) == FRAMES


def test_labels_that_two_processes_merge_at_once_are_all_kept(tmp_path):
    processes = multiprocessing.get_context("spawn")
    barrier = processes.Barrier(2)
    (tmp_path / "link").mkdir()
    for pair in range(PAIRS):
        (tmp_path / "link" / f"{pair}.csv").symlink_to(tmp_path / f"{pair}.csv")
    pair = [
        processes.Process(
            target=merge_all,
            args=([folder / f"{pair}.csv" for pair in range(PAIRS)], name, barrier),
        )
        for folder, name in ((tmp_path, "a"), (tmp_path / "link", "b"))  # one of them by links
    ]
    for process in pair:
        process.start()
    for process in pair:
        process.join(120)
    assert [process.exitcode for process in pair] == [0, 0]
    for pair in range(PAIRS):
        frames, *_ = read_annotations(tmp_path / f"{pair}.csv")
        assert sorted(frames) == sorted(labels_of("a").frames + labels_of("b").frames)
    assert [name for name in os.listdir(tmp_path) if name.startswith(".")] == []


HOLDS = """
import sys
from cardpose.common.files import atomic_output, locked, scratch_folder

how = {"replacing": atomic_output, "locked": locked, "scratch": scratch_folder}[sys.argv[1]]
with how(sys.argv[2]) as new:
    if new is not None and how is replacing:
        new.write_text("first")
    print("holds", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def another(how, path, kill=False):
    """Another process writes `path` during the block, and ends well after it, or is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, how, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
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


@pytest.fixture
def told_at_once(monkeypatch):
    """Who finds that another process writes a file does not wait for it."""
    for function in (locked, atomic_output):
        monkeypatch.setattr(function.__wrapped__, "__defaults__", (0.0,))


@pytest.mark.parametrize("how", ["replacing", "locked", "scratch"])
@pytest.mark.parametrize("mine", [atomic_output, locked, scratch_folder])
def test_the_second_writer_is_told_and_the_first_is_not_disturbed(
    tmp_path, how, mine, told_at_once, complains
):
    path = tmp_path / "it.csv"
    with another(how, path):
        before = sorted(os.listdir(tmp_path))
        with complains(f"{path}: {WRITTEN}"), mine(path):
            pytest.fail("nobody may write now")
        assert sorted(os.listdir(tmp_path)) == before
    if how == "replacing":
        assert path.read_text() == "first"
    with atomic_output(path) as new:
        new.write_text("second")
    assert os.listdir(tmp_path) == ["it.csv"]


def test_another_file_in_the_same_folder_may_be_written(tmp_path):
    with another("replacing", tmp_path / "a.csv"), atomic_output(tmp_path / "b.csv", wait=0) as new:
        new.write_text("second")
    assert sorted(os.listdir(tmp_path)) == ["a.csv", "b.csv"]


def test_the_second_writer_waits_for_its_turn(tmp_path):
    path = tmp_path / "it.csv"
    seen = []

    def second():
        with atomic_output(path, wait=60) as new:
            seen.append(path.read_text())
            new.write_text("second")

    thread = threading.Thread(target=second)
    with another("replacing", path):
        thread.start()
        thread.join(0.2)
        assert seen == []
    thread.join(60)
    assert seen == ["first"]
    assert path.read_text() == "second"
    assert os.listdir(tmp_path) == ["it.csv"]


@pytest.mark.parametrize("how", ["replacing", "locked"])
def test_a_dead_process_holds_nobody_up(tmp_path, how):
    path = tmp_path / "it.csv"
    with another(how, path, kill=True):
        pass
    assert os.listdir(tmp_path)
    with atomic_output(path, wait=0) as new:
        new.write_text("second")
    assert os.listdir(tmp_path) == ["it.csv"]


def test_a_forked_worker_that_outlives_a_killed_process_holds_nobody_up(tmp_path):
    code = (
        "import os, sys, time\nfrom cardpose.common.files import atomic_output\n"
        "with replacing(sys.argv[1]):\n"
        "    worker = os.fork()\n"
        "    if not worker: time.sleep(600)\n"
        "    print(worker, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "it.csv")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}
    ) as process:
        worker = int(process.stdout.readline())
        process.wait()
        try:
            # It closes what it got from its parent as soon as it runs.
            with atomic_output(tmp_path / "it.csv", wait=60) as new:
                new.write_text("second")
        finally:
            os.kill(worker, signal.SIGKILL)
    assert os.listdir(tmp_path) == ["it.csv"]


def test_a_merge_that_waits_for_too_long_names_the_labels(tmp_path, monkeypatch):
    monkeypatch.setattr(merge, "_WAIT", 0)
    path = tmp_path / "annotations.csv"
    with another("locked", path), pytest.raises(InputError, match=f"{path}: {WRITTEN}"):
        merge_labels(path, labels_of("a"), np.full((FRAMES, 2), 640))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("option", ["--csv", "--jsonl"])
def test_the_second_prediction_into_one_file_is_told_before_it_begins(
    cardpose,  # noqa: F811
    tmp_path,
    option,
    monkeypatch,
):
    grey(tmp_path / "a.png", 50)
    waits = []

    def recorded(name, wait):
        waits.append(wait)
        return atomic_text(name, wait)

    monkeypatch.setattr(shared, "atomic_text", recorded)
    with another("replacing", tmp_path / "o.csv"):
        status, out, err = cardpose("predict", "a.png", option, "o.csv")
        assert (status, out, err) == (1, "", f"error: o.csv: {WRITTEN}\n")
    assert waits == [0]  # it does not wait for what may take hours
    assert (tmp_path / "o.csv").read_text() == "first"


def test_a_thread_may_write_what_it_holds_and_a_second_thread_waits(tmp_path, complains):
    path = tmp_path / "it.csv"
    said = []

    def second():
        with complains(f"{path}: {WRITTEN}"), atomic_output(path, wait=0):
            pytest.fail("nobody else may write now")
        said.append(True)

    with locked(path), atomic_output(path, wait=0) as outer:
        outer.write_text("outer")
        with atomic_output(path, wait=0) as inner:
            inner.write_text("inner")
        assert path.read_text() == "inner"
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert said == [True]
    assert (path.read_text(), os.listdir(tmp_path)) == ("outer", ["it.csv"])
