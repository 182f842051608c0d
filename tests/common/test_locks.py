"""One process at a time writes a file; the others wait or get an error."""

import os
import signal
import subprocess
import sys
import threading

import pytest
from outputs import WRITTEN, another_writer
from support import REPOSITORY

from cardpose.common.files import atomic_output, scratch_folder
from cardpose.common.locks import locked


@pytest.mark.parametrize("how", ["atomic_output", "locked", "scratch_folder"])
@pytest.mark.parametrize("mine", [atomic_output, locked, scratch_folder])
def test_a_second_writer_gets_an_error_and_does_not_disturb_the_first(
    tmp_path, how, mine, no_waiting, complains
):
    path = tmp_path / "it.csv"
    with another_writer(how, path):
        before = sorted(os.listdir(tmp_path))
        with complains(f"{path}: {WRITTEN}"), mine(path):
            pytest.fail("nobody may write now")
        assert sorted(os.listdir(tmp_path)) == before
    if how == "atomic_output":
        assert path.read_text() == "first"
    with atomic_output(path) as new:
        new.write_text("second")
    assert os.listdir(tmp_path) == ["it.csv"]


def test_another_file_in_the_same_folder_may_be_written(tmp_path):
    with (
        another_writer("atomic_output", tmp_path / "a.csv"),
        atomic_output(tmp_path / "b.csv", wait=0) as new,
    ):
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
    with another_writer("atomic_output", path):
        thread.start()
        thread.join(0.2)
        assert seen == []
    thread.join(60)
    assert seen == ["first"]
    assert path.read_text() == "second"
    assert os.listdir(tmp_path) == ["it.csv"]


@pytest.mark.parametrize("how", ["atomic_output", "locked"])
def test_a_killed_process_does_not_keep_its_lock(tmp_path, how):
    path = tmp_path / "it.csv"
    with another_writer(how, path, kill=True):
        pass
    assert os.listdir(tmp_path)
    with atomic_output(path, wait=0) as new:
        new.write_text("second")
    assert os.listdir(tmp_path) == ["it.csv"]


def test_a_forked_worker_of_a_killed_process_does_not_keep_its_lock(tmp_path):
    code = (
        "import os, sys, time\nfrom cardpose.common.files import atomic_output\n"
        "with atomic_output(sys.argv[1]):\n"
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
            # The worker closes the lock that it inherited as soon as it runs.
            with atomic_output(tmp_path / "it.csv", wait=60) as new:
                new.write_text("second")
        finally:
            os.kill(worker, signal.SIGKILL)
    assert os.listdir(tmp_path) == ["it.csv"]


def test_the_thread_that_holds_a_lock_may_write_and_a_second_thread_may_not(tmp_path, complains):
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
