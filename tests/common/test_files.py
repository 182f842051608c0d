"""Atomic writing: an output is the old one or the new one, never half of either."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from outputs import put, texts

from cardpose.common.files import atomic_output, scratch_folder

FULL = {"file": 1, "folder": 2}


def test_a_folder_is_never_replaced_by_a_file(tmp_path, complains):
    put(tmp_path / "mine", "folder", "old")
    with (
        complains(f"{tmp_path / 'mine'}: is a folder"),
        atomic_output(tmp_path / "mine") as scratch,
    ):
        put(scratch, "file", "new")
    assert texts(tmp_path / "mine") == ["old", "old"]
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_error_names_the_output_and_not_the_scratch_path(tmp_path):
    with (
        pytest.raises(OSError, match="File name too long") as caught,
        atomic_output(tmp_path / "it.csv") as scratch,
    ):
        raise OSError(36, "File name too long", str(scratch))
    assert caught.value.filename == str(tmp_path / "it.csv")


@pytest.fixture(params=FULL)
def kind(request):
    return request.param


def test_a_new_output_appears_on_success_with_its_parent_folders(tmp_path, kind):
    path = tmp_path / "some" / "where" / "it.csv"
    with atomic_output(path) as scratch:
        put(scratch, kind, "new")
        assert not path.exists()
    assert texts(path) == ["new"] * FULL[kind]
    assert list(path.parent.iterdir()) == [path]


def test_the_new_output_replaces_the_old_one(tmp_path, kind):
    path = tmp_path / "it.csv"
    put(path, kind, "old")
    with atomic_output(path) as scratch:
        put(scratch, kind, "new")
        assert texts(path) == ["old"] * FULL[kind]
    assert texts(path) == ["new"] * FULL[kind]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error_the_old_output_stays_and_the_scratch_is_removed(tmp_path, kind, error):
    path = tmp_path / "it.csv"
    put(path, kind, "old")

    def fail():
        with atomic_output(path) as scratch:
            put(scratch, kind, "half")
            raise error

    with pytest.raises(error):
        fail()
    assert texts(path) == ["old"] * FULL[kind]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["it", "new/folders/it"])
def test_after_an_error_no_new_output_is_left(tmp_path, kind, name):
    def fail():
        with atomic_output(tmp_path / name) as scratch:
            put(scratch, kind, "half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


HALF = """
import os, sys
from pathlib import Path
from cardpose.common.files import atomic_output

with atomic_output(Path(sys.argv[1])) as scratch:
    if sys.argv[2] == "folder":
        scratch.mkdir()
    (scratch / "a" if sys.argv[2] == "folder" else scratch).write_text("half")
    os._exit(9)  # nothing is cleaned up
"""


@pytest.mark.parametrize("name", ["it", "it.csv", "[a-z]*", "ä" * 127])
def test_leftovers_of_a_killed_run_are_removed(tmp_path, kind, name):
    path = tmp_path / name
    (tmp_path / ".it.left alone.part").mkdir()
    command = [sys.executable, "-c", HALF, str(path), kind]
    assert subprocess.run(command, cwd=Path(__file__).parents[2]).returncode == 9
    assert len(list(tmp_path.iterdir())) == 3  # the scratch folder and the lock file
    with atomic_output(path) as scratch:
        assert not scratch.exists()
        assert len(list(tmp_path.iterdir())) == 3  # new ones
        put(scratch, kind, "newer")
    assert texts(path) == ["newer"] * FULL[kind]
    assert sorted(tmp_path.iterdir()) == sorted([path, tmp_path / ".it.left alone.part"])


def test_the_scratch_path_has_the_suffix_of_the_output_and_lies_beside_it(tmp_path):
    with atomic_output(tmp_path / "it.csv") as scratch:
        # On the same disk, and in a folder that belongs to this run alone.
        assert (scratch.suffix, scratch.parent.parent) == (".csv", tmp_path)
        assert scratch.parent.stat().st_mode & 0o777 == 0o700
        scratch.write_text("new")


def test_an_interrupted_removal_of_the_old_folder_leaves_one_complete_folder(tmp_path, monkeypatch):
    path = tmp_path / "it"
    put(path, "folder", "old")
    remove = shutil.rmtree
    calls = []

    def interrupted_once(folder, *args, **options):
        calls.append(folder)
        if len(calls) > 1:
            return remove(folder, *args, **options)
        next(folder.rglob("a")).unlink()
        raise KeyboardInterrupt

    def replace():
        with atomic_output(path) as scratch:
            put(scratch, "folder", "new")

    monkeypatch.setattr(shutil, "rmtree", interrupted_once)
    with pytest.raises(KeyboardInterrupt):
        replace()
    assert texts(path) in (["old"] * 2, ["new"] * 2)
    remove(path)
    with atomic_output(path) as scratch:
        assert not path.exists()  # half an old folder does not come back
        put(scratch, "folder", "newer")
    assert list(tmp_path.iterdir()) == [path]


KILLED = """
import os, sys
from pathlib import Path
from cardpose.common.files import atomic_output

path, kind, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
events = 0

def kill(event, arguments):
    global events
    if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"):
        events += 1
        if events > last:
            os._exit(9)  # nothing is cleaned up

sys.addaudithook(kill)
with atomic_output(path) as scratch:
    files = [scratch]
    if kind == "folder":
        scratch.mkdir()
        files = [scratch / "a", scratch / "b"]
    for file in files:
        file.write_text("new")
"""


def test_a_run_killed_at_any_moment_leaves_the_old_or_the_new_output(tmp_path, kind):
    path = tmp_path / "it.csv"
    left = []
    for moment in range(100):
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        put(path, kind, "old")
        command = [sys.executable, "-c", KILLED, str(path), kind, str(moment)]
        status = subprocess.run(command, cwd=Path(__file__).parents[2]).returncode
        with pytest.raises(ZeroDivisionError), atomic_output(path):
            raise ZeroDivisionError
        assert list(tmp_path.iterdir()) == [path]
        left.append(texts(path))
        if status == 0:
            break
    assert status == 0
    old, new = (left.count([text] * FULL[kind]) for text in ("old", "new"))
    assert old + new == len(left)
    assert min(old, new) >= 2


def test_an_old_folder_that_a_killed_run_moved_away_is_restored(tmp_path):
    (tmp_path / ".it.0123abcd.part").mkdir()
    (tmp_path / ".it.part.lock").touch()
    put(tmp_path / ".it.0123abcd.part" / "old folder", "folder", "old")
    with atomic_output(tmp_path / "it") as scratch:
        assert texts(tmp_path / "it") == ["old", "old"]
        put(scratch, "folder", "new")
    assert texts(tmp_path / "it") == ["new", "new"]
    assert list(tmp_path.iterdir()) == [tmp_path / "it"]


def test_a_scratch_folder_starts_empty_and_is_deleted_in_the_end(tmp_path, kind):
    path = tmp_path / "on the way" / "it"
    path.parent.mkdir()
    put(path, kind, "left behind")
    with scratch_folder(path) as same:
        assert same == path
        assert not path.exists()
        put(path, kind, "for now")
    assert list(path.parent.iterdir()) == []

    def fail():
        with scratch_folder(path):
            put(path, kind, "for now")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(path.parent.iterdir()) == []
