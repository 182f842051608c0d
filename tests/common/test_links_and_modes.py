"""Links, modes, owners and attributes of an output stay when it is replaced."""

import errno
import os
import stat

import pytest
from outputs import as_nobody, open_parents, put, texts
from test_devices import ROOT_ONLY, refused, write

from cardpose.common.files import atomic_output

# Links.


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("absolute", [True, False])
def test_a_link_stays_and_its_target_is_replaced(tmp_path, kind, absolute, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("shared", "mine"):
        (tmp_path / name).mkdir()
    target = tmp_path / "shared" / "it.csv"
    put(target, kind, "old")
    (tmp_path / "over").symlink_to("shared/it.csv")
    (tmp_path / "mine" / "it.csv").symlink_to(tmp_path / "over" if absolute else "../over")
    for path in (tmp_path / "mine" / "it.csv", "mine/it.csv"):
        with atomic_output(path) as scratch:
            assert scratch.parent.parent == target.parent  # on the same disk as the target
            put(scratch, kind, "new")
        assert os.path.islink(path)
        assert os.path.islink("over")
        assert not target.is_symlink()
        assert set(texts(target)) == {"new"}
        assert [os.listdir(name) for name in ("shared", "mine")] == [["it.csv"], ["it.csv"]]


def test_the_missing_target_of_a_link_is_created(tmp_path):
    (tmp_path / "it.csv").symlink_to("some/where/it.csv")
    write(tmp_path / "it.csv")
    assert (tmp_path / "it.csv").is_symlink()
    assert (tmp_path / "some" / "where" / "it.csv").read_text() == "new"


def test_links_that_form_a_circle_are_reported(tmp_path):
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / name).symlink_to(other)
    assert refused(tmp_path / "a") == f"{tmp_path / 'a'}: Too many levels of symbolic links"
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_another_hard_link_keeps_the_old_content(tmp_path):
    (tmp_path / "a").write_text("old")
    os.link(tmp_path / "a", tmp_path / "b")
    write(tmp_path / "a")
    assert [(tmp_path / name).read_text() for name in "ab"] == ["new", "old"]


@pytest.mark.parametrize(
    "name",
    [".it.csv.part.csv", ".it.csv.part", ".it.csv.0123abcd.part", ".it.csv.old", ".it.csv.failed"],
)
def test_no_link_beside_an_output_is_followed_or_removed(tmp_path, name):
    (tmp_path / "victim").write_text("theirs")
    (tmp_path / name).symlink_to("victim")
    (tmp_path / ".it.csv.part.lock").touch()  # as if a run had been killed
    write(tmp_path / "it.csv")
    assert (tmp_path / "victim").read_text() == "theirs"
    assert sorted(os.listdir(tmp_path)) == sorted([name, "it.csv", "victim"])


def test_a_link_in_the_place_of_the_lock_is_reported(tmp_path):
    (tmp_path / "victim").write_text("theirs")
    lock = tmp_path / ".it.csv.part.lock"
    lock.symlink_to("victim")
    path = tmp_path / "it.csv"
    assert refused(path) == f"{path}: cannot be written while {lock} is there; remove that"
    assert (tmp_path / "victim").read_text() == "theirs"
    assert sorted(os.listdir(tmp_path)) == [lock.name, "victim"]


# Modes and owners.


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755])
def test_the_mode_stays(tmp_path, mode):
    path = tmp_path / "it.csv"
    path.write_text("old")
    path.chmod(mode)
    write(path)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", mode)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_gets_the_mode_of_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write(tmp_path / "it.csv")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "it.csv").stat().st_mode) == mode


@ROOT_ONLY
def test_the_owner_and_the_group_stay(tmp_path):
    path = tmp_path / "it.csv"
    path.write_text("old")
    os.chown(path, 1234, 1235)
    path.chmod(0o640)
    write(path)
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1234, 1235, 0o640)


@ROOT_ONLY
def test_the_mode_stays_where_the_owner_cannot_be_kept(tmp_path):
    path = tmp_path / "it.csv"
    path.write_text("old")
    path.chmod(0o666)
    tmp_path.chmod(0o777)
    open_parents(tmp_path)
    as_nobody(lambda: write(path))
    found = path.stat()
    assert (path.read_text(), found.st_uid, stat.S_IMODE(found.st_mode)) == ("new", 65534, 0o666)


def test_extended_attributes_stay_and_the_time_is_new(tmp_path):
    path = tmp_path / "it.csv"
    path.write_text("old")
    os.utime(path, (0, 0))
    try:
        os.setxattr(path, "user.note", b"mine")
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        pytest.skip("this disk has no extended attributes")
    write(path)
    assert os.getxattr(path, "user.note") == b"mine"
    assert path.stat().st_mtime > 10**9


@pytest.mark.parametrize(("file", "folder"), [(0o444, 0o777), (0o666, 0o555)])
def test_a_read_only_file_or_folder_is_reported_and_stays(tmp_path, file, folder):
    home = tmp_path / "home"
    home.mkdir()
    path = home / "it.csv"
    path.write_text("old")
    path.chmod(file)
    home.chmod(folder)
    open_parents(tmp_path)
    tmp_path.chmod(0o755)
    said = []
    as_nobody(lambda: said.append(refused(path)))
    home.chmod(0o755)
    assert said == [f"{path}: Permission denied"]
    assert (path.read_text(), os.listdir(home)) == ("old", ["it.csv"])


def test_files_in_a_folder_keep_their_modes(tmp_path):
    path = tmp_path / "frames"
    for names in (("a", "b"), ("b", "c")):
        with atomic_output(path) as new:
            (new / "deep").mkdir(parents=True)
            for name in names:
                (new / "deep" / name).write_text("")
                (new / "deep" / name).chmod(0o644)
        if names[0] == "a":
            (path / "deep" / "b").chmod(0o600)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (path / "deep").iterdir()}
    assert modes == {"b": 0o600, "c": 0o644}


# Devices, pipes, and what is open already. Those of the machine itself are left alone.


# Files of others.
