"""What becomes of what lies where an output goes: devices, links, modes, and files of others."""

import csv
import errno
import json
import os
import queue
import socket
import stat
import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest
from support import REPOSITORY
from test_bad_input import as_nobody
from test_cli import cardpose, grey  # noqa: F401
from test_files import put, texts
from test_label_formats import label, made, mine  # noqa: F401

from cardpose.cli import own_files
from cardpose.common import devices
from cardpose.common.errors import InputError, user_message
from cardpose.common.files import atomic_output, atomic_text

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser may do this")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY)}


def write(path, text="new"):
    with atomic_output(path) as scratch:
        scratch.write_text(text)


def refused(path, text="new"):
    """What a user reads when `path` cannot be written."""
    with pytest.raises((InputError, OSError)) as caught:
        write(path, text)
    return user_message(caught.value)


# Links.


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("absolute", [True, False])
def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path, kind, absolute, monkeypatch):
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


def test_what_a_link_to_nowhere_leads_to_is_made(tmp_path):
    (tmp_path / "it.csv").symlink_to("some/where/it.csv")
    write(tmp_path / "it.csv")
    assert (tmp_path / "it.csv").is_symlink()
    assert (tmp_path / "some" / "where" / "it.csv").read_text() == "new"


def test_links_that_lead_in_a_circle_are_named(tmp_path):
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / name).symlink_to(other)
    assert refused(tmp_path / "a") == f"{tmp_path / 'a'}: Too many levels of symbolic links"
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_hard_links_part_and_the_other_keeps_the_old(tmp_path):
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


def test_a_link_in_the_place_of_the_lock_is_named(tmp_path):
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
def test_a_new_file_gets_the_usual_mode(tmp_path, umask, mode):
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
def test_without_the_right_to_keep_the_owner_the_mode_stays(tmp_path):
    path = tmp_path / "it.csv"
    path.write_text("old")
    path.chmod(0o666)
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents[:2]:
        folder.chmod(0o755)
    as_nobody(lambda: write(path))
    found = path.stat()
    assert (path.read_text(), found.st_uid, stat.S_IMODE(found.st_mode)) == ("new", 65534, 0o666)


def test_extended_attributes_stay_and_the_time_does_not(tmp_path):
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
def test_what_may_not_be_written_is_named_and_stays(tmp_path, file, folder):
    home = tmp_path / "home"
    home.mkdir()
    path = home / "it.csv"
    path.write_text("old")
    path.chmod(file)
    home.chmod(folder)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    tmp_path.chmod(0o755)
    said = []
    as_nobody(lambda: said.append(refused(path)))
    home.chmod(0o755)
    assert said == [f"{path}: Permission denied"]
    assert (path.read_text(), os.listdir(home)) == ("old", ["it.csv"])


# Devices, pipes, and what is open already. Those of the machine itself are left alone.


@ROOT_ONLY
@pytest.mark.parametrize("linked", [False, True])
def test_a_device_is_written_to_and_stays(tmp_path, linked, cardpose):  # noqa: F811
    device = tmp_path / "null"
    os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    path = device
    if linked:
        path = tmp_path / "link.csv"
        path.symlink_to("null")
    grey(tmp_path / "a.png", 50)
    for option in ("--csv", "--jsonl"):
        status, out, err = cardpose("predict", "a.png", option, path)
        assert (status, err) == (0, "")
        assert "5.0" in out
    write(path)
    found = device.lstat()
    assert stat.S_ISCHR(found.st_mode)
    assert (found.st_rdev, stat.S_IMODE(found.st_mode)) == (os.makedev(1, 3), 0o644)
    assert path.is_symlink() == linked
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


@ROOT_ONLY
def test_a_device_without_room_is_named(tmp_path):
    os.mknod(tmp_path / "full", 0o666 | stat.S_IFCHR, os.makedev(1, 7))
    assert refused(tmp_path / "full") == f"{tmp_path / 'full'}: No space left on device"
    with (
        pytest.raises(OSError, match="No space left") as caught,
        atomic_text(tmp_path / "full") as f,
    ):
        f.write("new\n")
    assert caught.value.filename == str(tmp_path / "full")


@pytest.mark.parametrize("how", ["replacing", "predict"])
def test_who_reads_a_pipe_gets_it_all(tmp_path, how, cardpose):  # noqa: F811
    os.mkfifo(tmp_path / "pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_text()))
    reader.start()
    if how == "replacing":
        write(tmp_path / "pipe", "all of it")
    else:
        grey(tmp_path / "a.png", 50)
        assert cardpose("predict", "a.png", "--csv", "pipe")[0] == 0
    reader.join(timeout=60)
    assert stat.S_ISFIFO((tmp_path / "pipe").lstat().st_mode)
    if how == "replacing":
        assert got == ["all of it"]
    else:
        assert [row["input"] for row in csv.DictReader(got[0].splitlines())] == ["a.png"]


def test_who_reads_a_pipe_gets_each_line_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    lines = queue.Queue()

    def read():
        with (tmp_path / "pipe").open() as pipe:
            for line in pipe:
                lines.put(line)

    threading.Thread(target=read, daemon=True).start()
    with atomic_text(tmp_path / "pipe") as file:
        for line in ("one\n", "two\n"):
            file.write(line)
            assert lines.get(timeout=60) == line


@pytest.mark.parametrize("name", ["a.jpg", "v.mp4", "worst.png"])
def test_nothing_is_drawn_into_a_pipe(tmp_path, name, complains):
    os.mkfifo(tmp_path / name)
    with complains(f"{tmp_path / name}: is no file, and cannot be drawn into"):
        own_files.check_drawing(tmp_path / name, force=True)


def test_a_socket_is_refused_before_the_work_begins(tmp_path, cardpose, complains):  # noqa: F811
    grey(tmp_path / "a.png", 50)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.csv")
        before = os.lstat("s.csv")
        status, out, err = cardpose("predict", "a.png", "--csv", "s.csv")
        assert (status, out, err) == (1, "", "error: s.csv: is a socket; name a file\n")
        with complains("s.csv: is a socket"):
            write("s.csv")
        assert os.lstat("s.csv") == before


@ROOT_ONLY
def test_a_disk_is_never_written_to(tmp_path, complains):
    # There is no such disk, so that nothing would be lost.
    os.mknod(tmp_path / "disk", 0o600 | stat.S_IFBLK, os.makedev(240, 200))
    with complains(f"{tmp_path / 'disk'}: is a disk, and would be overwritten"):
        write(tmp_path / "disk")


WRITES = """
import sys
from cardpose.common.files import atomic_output, atomic_text

print("before", flush=True)
with replacing(sys.argv[1]) as scratch:
    scratch.write_text("copied\\n")
with atomic_text(sys.argv[1]) as file:
    print("written", file=file)
print("after", flush=True)
"""


@pytest.mark.parametrize("name", ["/dev/stdout", "/proc/self/fd/1", "/dev/fd/1", "link"])
@pytest.mark.parametrize("mode", ["a", "w"])
def test_a_file_that_is_open_already_is_written_on(tmp_path, name, mode):
    (tmp_path / "link").symlink_to("/dev/stdout")
    log = tmp_path / "log"
    log.write_text("kept\n")
    number = log.stat().st_ino
    with log.open(mode) as file:
        command = [sys.executable, "-c", WRITES, name]
        subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, stdout=file, check=True)
    kept = "kept\n" if mode == "a" else ""
    assert log.read_text() == f"{kept}before\ncopied\nwritten\nafter\n"
    assert log.stat().st_ino == number
    assert sorted(os.listdir(tmp_path)) == ["link", "log"]


def test_a_socket_that_is_open_already_is_written_to(tmp_path):
    near, far = socket.socketpair()
    with near, far:
        command = [sys.executable, "-c", WRITES, "/dev/stdout"]
        subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, stdout=far, check=True)
        assert near.recv(1000) == b"before\ncopied\nwritten\nafter\n"


def test_a_file_that_another_process_has_open_is_added_to(tmp_path):
    log = tmp_path / "log"
    log.write_text("kept\n")
    with log.open() as file:
        name = f"/proc/{os.getpid()}/fd/{file.fileno()}"
        command = [sys.executable, "-c", WRITES, name]
        subprocess.run(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, check=True)
    assert log.read_text() == "kept\ncopied\nwritten\n"
    assert os.listdir(tmp_path) == ["log"]


def test_records_to_the_standard_output_by_its_name_are_alone_there(stand_in, tmp_path):
    grey(tmp_path / "a.png", 50)
    command = [sys.executable, "-m", "cardpose", "predict", "a.png", "--model", stand_in]
    done = subprocess.run(
        [*command, "--csv", "/dev/stdout"], cwd=tmp_path, env=ENVIRONMENT, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout.splitlines()) == 2


def test_a_closed_descriptor_is_named():
    with open("/dev/null") as file:
        number = file.fileno()
    path = f"/dev/fd/{number}"
    assert not devices.is_special(path)
    assert refused(path).startswith(f"{path}: ")


# Files of others.

NOT_OURS = "is there already and not written by cardpose; name another, or add --force"


def outputs():
    """(arguments, the file that they write, what a stranger has there)."""
    table = b"kind,input\nmine,1\n"
    return [
        (("--csv", "o.csv"), "o.csv", table),
        (("--csv", "o.csv"), "o.csv", b"\xff\x00"),
        (("--jsonl", "o.jsonl"), "o.jsonl", b'{"kind": "letter"}\n'),
        (("--jsonl", "o.jsonl"), "o.jsonl", b"[" * 200_000),
        (("--jsonl", "o.jsonl"), "o.jsonl", b"\xff\xfe"),
        (("--output", "out"), "out/a.jpg", cv2.imencode(".jpg", np.zeros((9, 9, 3)))[1].tobytes()),
        (("--output", "out"), "out/v.mp4", b"\0\0\0\x18ftypmp42" + bytes(90)),
        (("--output", "out"), "out/v.mp4", b"x"),
    ]


@pytest.mark.parametrize(("options", "name", "content"), outputs())
def test_what_another_program_wrote_is_kept_unless_forced(
    cardpose,  # noqa: F811
    tmp_path,
    write_video,
    monkeypatch,
    options,
    name,
    content,
):
    grey(tmp_path / "a.png", 50)
    write_video(tmp_path / "v.mp4", [np.full((48, 64, 3), 70, np.uint8)] * 3)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    arguments = ("predict", "a.png", "v.mp4", *options)
    with monkeypatch.context() as patch:
        patch.setattr("cardpose.cli.load", pytest.fail)  # nothing has been computed yet
        status, out, err = cardpose(*arguments)
    assert (status, out, err) == (1, "", f"error: {name}: {NOT_OURS}\n")
    assert (tmp_path / name).read_bytes() == content
    assert cardpose(*arguments, "--force")[0] == 0
    written = (tmp_path / name).read_bytes()
    assert written != content
    # The same command again.
    assert cardpose(*arguments)[0] == 0
    assert (tmp_path / name).read_bytes() == written


def test_an_empty_file_is_free(cardpose, tmp_path):  # noqa: F811
    grey(tmp_path / "a.png", 50)
    for name in ("o.csv", "o.jsonl", "a.jpg"):
        (tmp_path / name).touch()
    status, _, err = cardpose(
        "predict", "a.png", "--csv", "o.csv", "--jsonl", "o.jsonl", "--output", "."
    )
    assert (status, err) == (0, "")
    assert all((tmp_path / name).stat().st_size for name in ("o.csv", "o.jsonl", "a.jpg"))


def test_a_drawing_that_another_program_saved_again_is_kept(cardpose, tmp_path):  # noqa: F811
    grey(tmp_path / "a.png", 50)
    cardpose("predict", "a.png", "--output", "out")
    cv2.imwrite("out/a.jpg", cv2.imread("out/a.jpg"))
    status, _, err = cardpose("predict", "a.png", "--output", "out")
    assert (status, err) == (1, f"error: out/a.jpg: {NOT_OURS}\n")


def test_the_folder_may_be_a_link_but_links_in_it_that_leave_it_are_not_followed(
    cardpose,  # noqa: F811
    tmp_path,
):
    grey(tmp_path / "a.png", 50)
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")
    for _ in range(2):
        assert cardpose("predict", "a.png", "--output", "out")[0] == 0
    assert os.listdir(tmp_path / "real") == ["a.jpg"]
    # A link out of it is not ours, even where a drawing of ours is at its end, or nothing.
    (tmp_path / "real" / "a.jpg").rename(tmp_path / "elsewhere.jpg")
    for target in ("elsewhere.jpg", "nowhere.jpg"):
        (tmp_path / "real" / "a.jpg").unlink(missing_ok=True)
        (tmp_path / "real" / "a.jpg").symlink_to(f"../{target}")
        before = sorted(os.listdir(tmp_path))
        status, _, err = cardpose("predict", "a.png", "--output", "out")
        assert (status, err) == (1, f"error: out/a.jpg: {NOT_OURS}\n")
        assert sorted(os.listdir(tmp_path)) == before
    assert cardpose("predict", "a.png", "--output", "out", "--force")[0] == 0
    assert (tmp_path / "nowhere.jpg").is_file()
    assert (tmp_path / "real" / "a.jpg").is_symlink()


def test_force_does_not_overwrite_inputs(cardpose, tmp_path):  # noqa: F811
    grey(tmp_path / "a.jpg", 50)
    status, _, err = cardpose("predict", "a.jpg", "--output", ".", "--force")
    assert status == 1
    assert "a.jpg: is an input" in err


@pytest.mark.parametrize("kind", ["label-studio", "coco", "csv"])
def test_label_export_keeps_what_another_program_wrote(mine, label, tmp_path, kind):  # noqa: F811
    path = tmp_path / "there"
    arguments = ("export", "mine", kind, "--output", path)
    path.write_text('{"images": [], "annotations": [], "categories": []}')  # as CVAT writes it
    status, said = label(*arguments)
    assert (status, said) == (1, f"error: {path}: {NOT_OURS}\n")
    assert label(*arguments, "--force")[0] == 0
    written = path.read_bytes()
    assert label(*arguments)[0] == 0
    assert path.read_bytes() == written
    # Whoever has worked on it wants to keep that.
    worked = {
        "label-studio": lambda text: text.replace('"data": {', '"id": 1,\n  "data": {', 1),
        "coco": lambda text: json.dumps(json.loads(text)),
        "csv": lambda text: text.replace("_0,0,", "_0,1,", 1),
    }[kind](written.decode())
    path.write_text(worked)
    assert label(*arguments)[0] == 1
    assert path.read_text() == worked


def test_another_configuration_beside_an_export_is_kept(mine, label, tmp_path):  # noqa: F811
    arguments = ("export", "mine", "label-studio", "--output", tmp_path / "tasks.json")
    for _ in range(2):
        assert label(*arguments)[0] == 0
    (tmp_path / "label-studio.xml").write_text("<View/>")
    status, said = label(*arguments)
    assert (status, said) == (1, f"error: {tmp_path / 'label-studio.xml'}: {NOT_OURS}\n")
    assert (tmp_path / "label-studio.xml").read_text() == "<View/>"


def test_drawings_say_which_program_wrote_them(cardpose, tmp_path):  # noqa: F811
    from PIL import Image

    grey(tmp_path / "a.png", 50)
    cardpose("predict", "a.png", "--output", "out")
    assert Image.open("out/a.jpg").getexif() == {0x0131: "cardpose"}
    bare = cv2.imencode(".png", np.full((9, 9, 3), 7, np.uint8))[1].tobytes()
    (tmp_path / "b.png").write_bytes(own_files.marked_png(bare))
    with Image.open("b.png") as picture:
        assert picture.info["Software"] == "cardpose"
        picture.load()
