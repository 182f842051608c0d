"""Devices, pipes, sockets and files that are open already are written to, never replaced."""

import csv
import os
import queue
import socket
import stat
import subprocess
import sys
import threading

import pytest
from outputs import ENVIRONMENT
from support import grey

from cardpose.common import devices
from cardpose.common.errors import InputError, user_message
from cardpose.common.files import atomic_output, atomic_text

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser may do this")


def write(path, text="new"):
    with atomic_output(path) as scratch:
        scratch.write_text(text)


def refused(path, text="new"):
    """Return the message for a `path` that cannot be written."""
    with pytest.raises((InputError, OSError)) as caught:
        write(path, text)
    return user_message(caught.value)


@ROOT_ONLY
@pytest.mark.parametrize("linked", [False, True])
def test_a_device_is_written_to_and_not_replaced(tmp_path, linked, cardpose):
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
def test_a_full_device_is_reported(tmp_path):
    os.mknod(tmp_path / "full", 0o666 | stat.S_IFCHR, os.makedev(1, 7))
    assert refused(tmp_path / "full") == f"{tmp_path / 'full'}: No space left on device"
    with (
        pytest.raises(OSError, match="No space left") as caught,
        atomic_text(tmp_path / "full") as f,
    ):
        f.write("new\n")
    assert caught.value.filename == str(tmp_path / "full")


@pytest.mark.parametrize("how", ["atomic_output", "predict"])
def test_the_reader_of_a_pipe_gets_the_whole_output(tmp_path, how, cardpose):
    os.mkfifo(tmp_path / "pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_text()))
    reader.start()
    if how == "atomic_output":
        write(tmp_path / "pipe", "all of it")
    else:
        grey(tmp_path / "a.png", 50)
        assert cardpose("predict", "a.png", "--csv", "pipe")[0] == 0
    reader.join(timeout=60)
    assert stat.S_ISFIFO((tmp_path / "pipe").lstat().st_mode)
    if how == "atomic_output":
        assert got == ["all of it"]
    else:
        assert [row["input"] for row in csv.DictReader(got[0].splitlines())] == ["a.png"]


def test_the_reader_of_a_pipe_gets_each_line_at_once(tmp_path):
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


def test_a_socket_is_refused_before_the_work_begins(tmp_path, cardpose, complains):
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
    # No such disk exists, so a failing test destroys nothing.
    os.mknod(tmp_path / "disk", 0o600 | stat.S_IFBLK, os.makedev(240, 200))
    with complains(f"{tmp_path / 'disk'}: is a disk, and would be overwritten"):
        write(tmp_path / "disk")


WRITES = """
import sys
from cardpose.common.files import atomic_output, atomic_text

print("before", flush=True)
with atomic_output(sys.argv[1]) as scratch:
    scratch.write_text("copied\\n")
with atomic_text(sys.argv[1]) as file:
    print("written", file=file)
print("after", flush=True)
"""


@pytest.mark.parametrize("name", ["/dev/stdout", "/proc/self/fd/1", "/dev/fd/1", "link"])
@pytest.mark.parametrize("mode", ["a", "w"])
def test_output_continues_a_file_that_is_open_already(tmp_path, name, mode):
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


def test_output_is_appended_to_a_file_that_another_process_has_open(tmp_path):
    log = tmp_path / "log"
    log.write_text("kept\n")
    with log.open() as file:
        name = f"/proc/{os.getpid()}/fd/{file.fileno()}"
        command = [sys.executable, "-c", WRITES, name]
        subprocess.run(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, check=True)
    assert log.read_text() == "kept\ncopied\nwritten\n"
    assert os.listdir(tmp_path) == ["log"]


def test_only_records_go_to_stdout_when_it_is_named_as_a_file(stand_in, tmp_path):
    grey(tmp_path / "a.png", 50)
    command = [sys.executable, "-m", "cardpose", "predict", "a.png", "--model", stand_in]
    done = subprocess.run(
        [*command, "--csv", "/dev/stdout"], cwd=tmp_path, env=ENVIRONMENT, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout.splitlines()) == 2


def test_a_closed_descriptor_is_reported():
    with open("/dev/null") as file:
        number = file.fileno()
    path = f"/dev/fd/{number}"
    assert not devices.is_special(path)
    assert refused(path).startswith(f"{path}: ")
