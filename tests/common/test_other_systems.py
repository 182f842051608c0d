"""What Windows and macOS lack or do differently, tried on this system by taking it away."""

import errno
import fcntl
import getpass
import os
import signal

import pytest
from filelock import SoftFileLock
from outputs import put, texts

from cardpose.cli.site import build_site
from cardpose.common import devices, locks, process
from cardpose.common.files import atomic_output, atomic_text
from cardpose.common.process import HungUp, Terminated


@pytest.fixture(autouse=True)
def windows(monkeypatch, tmp_path):
    """Take away what Windows lacks, and flush only files that are open for writing."""
    for module, name in (
        *((os, name) for name in ("chown", "getuid", "sync")),
        *((os, name) for name in ("O_NOCTTY", "O_NOFOLLOW")),
        (signal, "SIGHUP"),
    ):
        monkeypatch.delattr(module, name)
    monkeypatch.setattr(locks, "FileLock", SoftFileLock)  # that of this system needs its flags
    flush = os.fsync

    def fsync(handle):
        if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flush(handle)
        flushed.append(os.fstat(handle).st_size)

    flushed = []
    monkeypatch.setattr(os, "fsync", fsync)
    return flushed


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_outputs_are_replaced_and_flushed(windows, tmp_path, kind):
    path = tmp_path / "it.csv"
    for text in ("old", "newer"):
        with atomic_output(path) as scratch:
            put(scratch, kind, text)
        assert set(texts(path)) == {text}
    assert set(windows) == {3, 5}
    assert os.listdir(tmp_path) == ["it.csv"]


def test_a_device_is_written_to():
    with atomic_text(os.devnull) as file:
        file.write("gone")


def test_the_page_is_built_twice(tmp_path):
    files = {"index.html": b"page", "cardpose.onnx": b"network"}
    head = b'const VERSION = "0123456789abcdef";\nconst FILES = ["./", "cardpose.onnx"];\n'
    for content in (b"one", b"other"):
        build_site(tmp_path / "page", {**files, "sw.js": head + content})
        assert (tmp_path / "page/sw.js").read_bytes() == head + content


def test_signals_work_where_no_terminal_hangs_up():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        process.raise_on_signals()
        with pytest.raises(Terminated):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # `timeout` sends it twice
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        process.raise_on_signals()
        with process.stop_on_signals() as stop:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert stop.status == 143
        process.ignore_signals()
        signal.raise_signal(signal.SIGINT)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert process.interrupt_status(Terminated()) == 143
    assert process.interrupt_status(HungUp()) == 130


@pytest.mark.parametrize("error", [ImportError("no pwd"), OSError("no name"), KeyError("0")])
def test_a_user_without_a_number_gets_a_name(monkeypatch, error):
    def unknown():
        raise error

    monkeypatch.setattr(getpass, "getuser", unknown)
    monkeypatch.delenv("LOGNAME", raising=False)
    process.prepare_process()
    assert os.environ["LOGNAME"] == "user"


@pytest.mark.parametrize("number", [1, 5])
def test_macos_names_open_files_in_a_folder_of_devices(monkeypatch, number):
    monkeypatch.setattr(os.path, "realpath", lambda path: path)  # on macOS, /dev/fd is no link
    assert devices.is_stdout(f"/dev/fd/{number}") == (number == 1)
    assert not devices.is_stdout("/dev/fd/cardpose")
