"""A function applied to many items in several processes."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from cardpose.common.errors import InputError
from cardpose.common.parallel import map_parallel


def slower_first(seconds):
    time.sleep(seconds)
    return seconds


def test_results_come_in_the_order_of_the_items():
    things = [0.2, 0.0, 0.1, 0.05]
    assert list(map_parallel(slower_first, things, jobs=2)) == things


def test_no_items_give_no_results():
    assert list(map_parallel(slower_first, [], jobs=2)) == []


def test_relative_paths_start_at_the_current_folder_of_the_caller(tmp_path, monkeypatch):
    for name in ("before", "now"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        list(map_parallel(make, [Path("a"), Path("b")], jobs=2))
    assert {path.name for path in (tmp_path / "now").iterdir()} == {"a", "b"}


FAILING = """
import sys, time
from pathlib import Path
from cardpose.common.errors import InputError
from cardpose.common.parallel import map_parallel

def work(number):
    Path(f"{number}.begun").touch()
    if number == 1:
        raise InputError("the second is broken")
    time.sleep(2)  # longer than one worker starts before the other on a busy machine
    Path(f"{number}.ended").touch()

try:
    for _ in map_parallel(work, range(50), jobs=2):
        pass
except InputError as error:
    print(error)
"""


def test_after_an_error_running_calls_end_and_hardly_any_new_ones_start(tmp_path):
    (tmp_path / "failing.py").write_text(FAILING)
    done = subprocess.run(
        [sys.executable, "failing.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("the second is broken\n", "")
    begun, ended = (
        {path.stem for path in tmp_path.glob(f"*.{when}")} for when in ("begun", "ended")
    )
    assert begun - ended == {"1"}
    assert len(begun) < 12  # of 50; a busy machine starts the workers seconds apart


KILLED = """
import os, sys, time
from cardpose.common.parallel import map_parallel

def work(seconds):
    print(os.getpid(), flush=True)
    time.sleep(seconds)

list(map_parallel(work, [60, 60], jobs=2))
"""


def test_workers_end_soon_after_their_parent_was_killed(tmp_path):
    (tmp_path / "killed.py").write_text(KILLED)
    parent = subprocess.Popen(
        [sys.executable, "killed.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    with parent:
        workers = [int(parent.stdout.readline()) for _ in range(2)]
        parent.kill()
        parent.wait()
        parent.communicate(timeout=120)  # returns once no worker holds the pipe
    assert len(set(workers)) == 2


def test_an_error_is_raised_after_the_results_before_it(tmp_path):
    (tmp_path / "2").touch()
    results = map_parallel(make, [tmp_path / str(n) for n in range(4)], jobs=1)
    assert [next(results), next(results)] == ["0", "1"]
    with pytest.raises(FileExistsError):
        next(results)


def make(path):
    path.touch(exist_ok=False)
    return path.name


def test_the_message_of_an_input_error_is_kept():
    with pytest.raises(InputError, match=r"^so many$"):
        list(map_parallel(complain, ["so many"], jobs=2))


def complain(words):
    raise InputError(words)
