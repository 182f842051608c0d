"""Whoever answers in a Dask scheduler's place: one line says what is wrong, and nothing hangs."""

import contextlib
import datetime
import os
import pickle
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgpack
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from distributed import LocalCluster, Security
from distributed.versions import get_versions

from cardpose.common import dask_cluster, dask_scheduler
from cardpose.common.dask_cluster import on_cluster, state
from cardpose.common.dask_scheduler import check_scheduler
from cardpose.dataset.extraction import _accept, _extract, extract_frames
from cardpose.dataset.recordings import read_recordings
from cardpose.params import Certificates

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = {"dashboard_address": ":0", "processes": False, "silence_logs": 50}
GREETING = {"compression": None, "python": [3, 11, 7], "pickle-protocol": 5}


@pytest.fixture
def impatient(monkeypatch):
    """Wait for half a second where people get more."""
    for module, name in (
        (dask_scheduler, "ANSWER"),
        (dask_cluster, "ANSWER"),
        (dask_cluster, "_CHECK"),
        (dask_cluster, "_PATIENCE"),
    ):
        monkeypatch.setattr(module, name, 0.5)


@pytest.fixture
def listen():
    """listen(answer): an address where `answer(socket)` talks to each who connects."""
    with contextlib.ExitStack() as stack:
        ended = threading.Event()

        def start(answer):
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            server.settimeout(0.05)
            begun = threading.Thread(target=serve, args=(server, answer))
            begun.start()
            stack.callback(begun.join)
            stack.callback(ended.set)
            return f"tcp://127.0.0.1:{server.getsockname()[1]}"

        def serve(server, answer):
            with contextlib.ExitStack() as talks:
                while not ended.is_set():
                    with contextlib.suppress(TimeoutError):
                        peer = talks.enter_context(server.accept()[0])
                        peer.settimeout(None)
                        talk = threading.Thread(target=carry_on, args=(peer, answer))
                        talk.start()
                        talks.callback(talk.join)
                        talks.callback(shut, peer)

        def carry_on(peer, answer):
            with contextlib.suppress(OSError, struct.error, ssl.SSLError):
                answer(peer)
                if not getattr(answer, "leaves", False):
                    while peer.recv(2**16):
                        pass
            shut(peer)

        def shut(peer):
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)

        yield start


def message(content, *frames):
    """A message as Dask sends it."""
    frames = [content if isinstance(content, bytes) else msgpack.packb(content), *frames]
    text = struct.pack(f"{1 + len(frames)}Q", len(frames), *map(len, frames)) + b"".join(frames)
    return struct.pack("Q", len(text)) + text


def says(*texts):
    def answer(peer):
        for text in texts:
            peer.sendall(text)

    return answer


def says_and_leaves(*texts):
    answer = says(*texts)
    answer.leaves = True
    return answer


def never_ends(text):
    def answer(peer):
        while True:
            peer.sendall(text)

    return answer


def drips(peer):
    peer.sendall(struct.pack("Q", 1000))
    for _ in range(1000):
        time.sleep(0.1)
        peer.sendall(b"x")


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


STRANGERS = [
    # what, what it does, words of the line
    ("a web server", says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), r"something that says b'HTTP/1.1'"),
    ("SSH", says(b"SSH-2.0-OpenSSH_9.6\r\n"), "something that says b'SSH-2.0-'"),
    ("silence", says(), "(nothing in 0.5 seconds)"),
    ("a short word", says(b"220 hi"), "(nothing in 0.5 seconds)"),
    ("nobody for long", says_and_leaves(), "closes the connection"),
    ("half a length", says_and_leaves(b"\0\0\1"), "closes the connection"),
    ("half a greeting", says_and_leaves(message(GREETING)[:-9]), "closes the connection"),
    ("only a greeting", says_and_leaves(message(GREETING)), "closes the connection"),
    ("a greeting and silence", says(message(GREETING)), "(nothing in 0.5 seconds)"),
    ("one byte at a time", drips, "(nothing in 0.5 seconds)"),
    ("zeros without end", never_ends(b"\0" * 2**16), "something like it"),
    ("ones without end", never_ends(b"\xff" * 2**16), r"something that says b'\xff"),
    ("greetings without end", never_ends(message(GREETING)), "something like it"),
    ("a message too long", says(struct.pack("Q", 2**40)), "something that says"),
    ("a thousand million frames", says(struct.pack("QQQ", 16, 10**9, 0)), "something like it"),
    ("no frame", says(struct.pack("QQ", 8, 0)), "something like it"),
    ("no msgpack", says(message(b"\xc1")), "something like it"),
    ("a list", says(message([1])), "something like it"),
    ("a number", says(message(b"\1")), "something like it"),
    ("nesting", says(message(b"\x91" * 10**5)), "something like it"),
    ("another greeting", says(message({"python": [3]})), "something like it"),
    ("no versions", says(*[message(GREETING)] * 4), "something like it"),
    (
        "a name of escapes",
        says(message(GREETING), message({}), message({"type": "\x1b[2J" + "x" * 1000})),
        r"but a '\x1b[2Jxxx",
    ),
    (
        "versions that are none",
        says(message(GREETING), message({"packages": [1]}), message({"type": "Scheduler"})),
        "has distributed None",
    ),
    ("an alert of TLS", says_and_leaves(b"\x15\x03\x03\0\2\2\x46"), "does it want tls://?"),
]


@pytest.mark.parametrize(
    ("answer", "words"), [s[1:] for s in STRANGERS], ids=[s[0] for s in STRANGERS]
)
def test_a_stranger_is_one_line_soon(listen, complains, impatient, answer, words):
    address = listen(answer)
    begun = time.monotonic()
    with complains(f"params.yaml: machine.dask: {address}: ", words):
        check_scheduler(address)
    assert time.monotonic() < begun + 20  # no endless wait; half a second is usual


def test_nothing_of_a_strangers_greeting_is_unpickled(listen, complains, impatient, tmp_path):
    mark = tmp_path / "mark"
    header = msgpack.packb({"num-sub-frames": 0, "pickled-obj": pickle.dumps(Trap(mark))})
    trap = message({**GREETING, "more": {"__Pickled__": 1}}, header)
    with complains("no Dask scheduler answers there"):
        check_scheduler(listen(says(trap, trap, trap)))
    assert not mark.exists()
    pickle.loads(pickle.dumps(Trap(mark)))
    assert mark.exists()


NO_ADDRESSES = [
    *(
        "",
        "nonsense",
        "tcp://",
        "tcp://10.0.0.5",
        "10.0.0.5",
        ":8786",
        "tcp://:8786",
        "tcp://[::1]",
    ),
    *("tcp://127.0.0.1:99999", "tcp://127.0.0.1:0", "tcp://127.0.0.1:-1", "tcp://127.0.0.1:x"),
    *("inproc://10.0.0.5/1/1", "ucx://10.0.0.5:8786", "ws://10.0.0.5:8786", "http://10.0.0.5:8786"),
    *("tcp:// 127.0.0.1:8786", "tcp://127.0.0.1:8786 ", "tcp://a b:8786", "tcp://me@a:8786"),
    *(
        "tcp://\x1b[2J:8786",
        "tcp://a\nb:8786",
        "tcp://a\0:8786",
        "tcp://127.0.0.1:8786/x",
        "x" * 9999,
    ),
]


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_what_is_no_address_is_one_line(complains, address):
    with complains("machine.dask: ", "no Dask scheduler's address", "like tcp://10.0.0.5:8786"):
        check_scheduler(address)


def test_an_unknown_computer_and_a_closed_port_are_one_line(complains, impatient):
    for address in ("tcp://nowhere.invalid:8786", f"tcp://{'a' * 64}.invalid:8786", "localhost:9"):
        with complains(f"machine.dask: {address}: no Dask scheduler answers there ("):
            check_scheduler(address)


# Schedulers that are ones, in part


class Fake:
    """A scheduler that greets, and then says what it is told to say, or nothing at all."""

    def __init__(self, **answers):
        nothing = {"type": "Scheduler", "workers": {}, "n_workers": 0}
        self.answers = {"versions": get_versions(), "identity": nothing} | answers

    def __call__(self, peer):
        peer.sendall(message(GREETING))
        stream = peer.makefile("rb")
        while True:
            (length,) = struct.unpack("Q", stream.read(8))
            frames = stream.read(length)
            count, size = struct.unpack_from("2Q", frames)
            begin = 8 * (1 + count)
            said = msgpack.unpackb(frames[begin : begin + size], strict_map_key=False)
            for each in said if isinstance(said, list) else [said]:
                answer = self.answer(each.get("op"))
                if answer is not None:
                    peer.sendall(message(answer))

    def answer(self, operation):
        answer = self.answers.get(operation)
        if answer is SAME:
            return {"tcp://127.0.0.1:1": {"status": "OK", "result": [state("/")[0], True]}}
        return answer


WORKERS = {"type": "Scheduler", "workers": {"tcp://127.0.0.1:1": {"status": "running"}}}
WORKERS["n_workers"] = 1
READY = {"identity": WORKERS, "register-client": [{"op": "stream-start"}]}
SAME = object()  # stands for workers of the same version
BROKEN = {"a": {"status": "error", "exception": b"no pickle", "traceback": b"none"}}
FAKES = [
    # what, its answers, words of the line
    ("says nothing to a client", {}, "does not answer any more"),
    ("says nonsense to a client", {"register-client": [{"op": "x"}]}, "cannot go on"),
    ("has no workers", READY | {"identity": Fake().answers["identity"]}, "has no workers"),
    ("lists workers wrongly", READY | {"identity": WORKERS | {"workers": [7]}}, ""),
    ("has silent workers", READY, "its workers do not answer"),
    ("sends what is no msgpack", READY | {"broadcast": b"\xc1"}, "cannot go on"),
    ("sends a broken pickle", READY | {"broadcast": BROKEN}, "cannot go on"),
    ("has workers of numbers", READY | {"broadcast": {"a": 5}}, "cannot go on"),
    (
        "has workers that are odd",
        READY | {"broadcast": {"\x1b[2J" * 99: {"status": "OK", "result": 7}}},
        "cannot go on",
    ),
    (
        "has workers of another version",
        READY | {"broadcast": {"\x1b[2J": {"status": "OK", "result": ["x", True]}}},
        r"worker \x1b[2J has another version",
    ),
    ("falls silent over the work", READY | {"broadcast": SAME}, "does not answer any more"),
    ("loses the workers", READY | {"broadcast": SAME, "processing": {}}, "workers are gone"),
    ("loses the work", READY | {"broadcast": SAME, "processing": {"a": []}}, "no worker works"),
    ("tells nonsense", READY | {"broadcast": SAME, "processing": [1, 2]}, "cannot go on"),
    (
        "works for ever",
        READY | {"broadcast": SAME, "processing": {"a": ["sleep-1"]}},
        "no recording was done in",
    ),
]


@pytest.mark.parametrize(("answers", "words"), [f[1:] for f in FAKES], ids=[f[0] for f in FAKES])
def test_half_a_scheduler_is_one_line_soon(
    listen, complains, impatient, monkeypatch, capfd, answers, words
):
    monkeypatch.setattr(dask_cluster, "_LONGEST", 3)
    for module in (dask_cluster, dask_scheduler):
        monkeypatch.setattr(module, "ANSWER", 1)
    address = listen(Fake(**answers))
    begun = time.monotonic()
    with complains(f"machine.dask: {address}: ", words):
        list(on_cluster(address, time.sleep, [0], "/"))
    assert time.monotonic() < begun + 30
    assert capfd.readouterr().err == ""


def in_a_process(address):
    """Start a process that works as stages do, with a scheduler."""
    code = "import time; from cardpose.common.dask_cluster import on_cluster\n"
    code += "from cardpose.common.errors import run\n"
    code += f"run(lambda: list(on_cluster({address!r}, time.sleep, [0], '/')))"
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE)


def test_dask_itself_prints_nothing(listen):
    address = listen(Fake(**READY | {"broadcast": b"\xc1"}))
    started = in_a_process(address)
    error = started.communicate(timeout=60)[1].decode()
    assert started.returncode == 1
    assert error.startswith(f"error: params.yaml: machine.dask: {address}: the scheduler cannot go")
    assert error.count("\n") == 1


def test_ctrl_c_ends_a_wait_for_work(listen):
    busy = READY | {"broadcast": SAME, "processing": {"a": ["sleep-1"]}}
    asked = threading.Event()

    class Watched(Fake):
        def answer(self, operation):
            if operation == "processing":
                asked.set()
            return super().answer(operation)

    waiting = in_a_process(listen(Watched(**busy)))
    while not asked.wait(0.1):
        assert waiting.poll() is None, waiting.stderr.read()
    waiting.send_signal(signal.SIGINT)
    error = waiting.communicate(timeout=60)[1].decode()
    assert waiting.returncode == 130
    assert error == "\ninterrupted; run it again to start over\n"


@pytest.fixture(scope="module")
def local():
    with LocalCluster(n_workers=1, host="127.0.0.1", protocol="tcp://", **OPTIONS) as started:
        yield started


def test_a_workers_address_is_no_schedulers(local, complains):
    (worker,) = local.workers.values()
    with complains(worker.address, "no Dask scheduler answers there, but a 'Worker'"):
        check_scheduler(worker.address)


def test_an_address_may_do_without_a_scheme(local):
    address = local.scheduler_address
    assert check_scheduler(address) == (address, True)
    assert check_scheduler(address.removeprefix("tcp://")) == (address, True)
    assert check_scheduler(f"{address}/") == (address, True)


@pytest.mark.parametrize(
    ("package", "version"),
    [("distributed", "2024.1.0"), ("python", "3.9.1.final.0"), ("msgpack", "0.6")],
)
def test_another_version_is_named(local, complains, monkeypatch, package, version):
    other = {"packages": get_versions()["packages"] | {package: version}}
    monkeypatch.setitem(local.scheduler.handlers, "versions", lambda: other)
    with complains(f"the scheduler has {package} {version}, and this computer "):
        check_scheduler(local.scheduler_address)


def test_another_computer_without_encryption_gets_a_warning(local, monkeypatch, capsys, tmp_path):
    work = on_cluster(local.scheduler_address, time.sleep, [0], tmp_path)
    assert list(work) == [None]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(dask_scheduler, "_is_here", lambda host: False)
    assert list(on_cluster(local.scheduler_address, time.sleep, [0], tmp_path)) == [None]
    error = capsys.readouterr().err
    assert error.startswith(f"warning: params.yaml: machine.dask: {local.scheduler_address}: ")
    assert "not encrypted" in error
    assert "machine.dask_tls" in error
    assert error.count("\n") == 1


def test_which_addresses_are_of_this_computer():
    for host in ("localhost", "127.1.2.3", "::1"):
        assert dask_scheduler._is_here(host), host
    for host in ("10.0.0.5", "localhost.example.org", "127.0.0.1.example.org", "0.0.0.0", "::2"):
        assert not dask_scheduler._is_here(host), host


# What comes back


class Strange(Exception):
    """An exception that only the process that raised it can unpickle."""

    def __reduce__(self):
        return _only_in, (threading.get_native_id(),)


def _only_in(thread):
    raise ImportError("no such module here")


def fail(how):
    if how == "unpicklable":
        raise Strange
    if how == "lambda":
        raise ValueError(lambda: 0)
    raise ValueError("\x1b[2J\n" + "x" * 1000)


@pytest.mark.parametrize("how", ["unpicklable", "lambda", "escapes"])
def test_any_exception_of_a_worker_is_one_line(local, complains, tmp_path, how):
    with complains("a worker failed: "):
        list(on_cluster(local.scheduler_address, fail, [how], tmp_path))


FOUND = ("video", 25, 10, [(0, ".jpg", 64, 48), (10, ".jpg", 64, 48), (20, ".jpg", 64, 48)])
REFUSED = {
    "nothing": None,
    "text": "video",
    "too short": FOUND[:3],
    "a list": list(FOUND),
    "another kind": ("folder", *FOUND[1:]),
    "an unknown kind": ("../../x", *FOUND[1:]),
    "no frames": ("video", 0, 10, []),
    "true for a number": ("video", True, 10, []),
    "another step": ("video", 25, 5, FOUND[3]),
    "frames between": (*FOUND[:3], [(5, ".jpg", 64, 48)]),
    "frames beyond": (*FOUND[:3], [(30, ".jpg", 64, 48)]),
    "a frame twice": (*FOUND[:3], [FOUND[3][0]] * 2),
    "frames in disorder": (*FOUND[:3], FOUND[3][::-1]),
    "a path": (*FOUND[:3], [(0, "/../../../etc/passwd", 64, 48)]),
    "a path with a suffix": (*FOUND[:3], [(0, ".jpg/../x.jpg", 64, 48)]),
    "a suffix of two lines": (*FOUND[:3], [(0, ".jpg\n", 64, 48)]),
    "a comma": (*FOUND[:3], [(0, ".jpg,", 64, 48)]),
    "a width of text": (*FOUND[:3], [(0, ".jpg", "64", 48)]),
    "a height below 1": (*FOUND[:3], [(0, ".jpg", 64, 0)]),
}


@pytest.fixture
def clip(small_dataset):
    return next(each for each in read_recordings(small_dataset) if not each.is_folder)


def test_what_extraction_returns_is_accepted(small_dataset, tmp_path, clip):
    for recording in read_recordings(small_dataset):
        _accept(10, recording, _extract(recording, 10, tmp_path))
    _accept(10, clip, FOUND)


@pytest.mark.parametrize("found", REFUSED.values(), ids=REFUSED)
def test_what_extraction_cannot_return_is_refused(clip, found):
    with pytest.raises(ValueError):  # noqa: PT011
        _accept(10, clip, found)


def test_a_worker_that_names_files_elsewhere_writes_no_index(
    local, small_dataset, tmp_path, complains, monkeypatch
):
    monkeypatch.setattr("cardpose.extraction._extract", lie)
    with complains("machine.dask", "a worker returned what is no result"):
        extract_frames(
            read_recordings(small_dataset), 10, tmp_path / "f", dask=local.scheduler_address
        )
    assert "passwd" not in (tmp_path / "f/index.csv").read_text()


def lie(recording, step, folder):
    return (*FOUND[:3], [(0, "/../../../etc/passwd", 64, 48)])


# Encryption


def sign(folder, name, issuer=None, passphrase=None):
    """Write name.pem and name.key, signed by an issuer or by itself; return both for the next."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    by, signer = issuer or (subject, key)
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(by, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(pem))
    lock = serialization.NoEncryption()
    if passphrase:
        lock = serialization.BestAvailableEncryption(passphrase)
    text = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, lock)
    (folder / f"{name}.key").write_bytes(text)
    return subject, key


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Certificates of a cluster, and of somebody else."""
    folder = tmp_path_factory.mktemp("certificates")
    sign(folder, "cluster", sign(folder, "ca"))
    sign(folder, "stranger", sign(folder, "other"))
    sign(folder, "locked", sign(folder, "third"), b"secret")
    (folder / "garbage.pem").write_text(
        "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
    )
    (folder / "garbage.key").write_text(
        "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n"
    )
    (folder / "binary.pem").write_bytes(bytes(range(256)))
    return folder


def certificates(folder, ca="ca.pem", certificate="cluster.pem", key="cluster.key"):
    return Certificates(
        ca=str(folder / ca), certificate=str(folder / certificate), key=str(folder / key)
    )


@pytest.fixture(scope="module")
def encrypted(folder):
    files = {
        f"tls_{who}_cert": str(folder / "cluster.pem") for who in ("scheduler", "worker", "client")
    }
    files |= {
        f"tls_{who}_key": str(folder / "cluster.key") for who in ("scheduler", "worker", "client")
    }
    security = Security(tls_ca_file=str(folder / "ca.pem"), require_encryption=True, **files)
    options = {"n_workers": 1, "host": "127.0.0.1", "protocol": "tls://", "security": security}
    with LocalCluster(**options, **OPTIONS) as started:
        yield started.scheduler_address


def test_an_encrypted_cluster_extracts_the_same_bytes(
    encrypted, folder, small_dataset, tmp_path, capsys
):
    recordings = read_recordings(small_dataset)
    extract_frames(recordings, 7, tmp_path / "here", jobs=1)
    extract_frames(recordings, 7, tmp_path / "there", dask=encrypted, dask_tls=certificates(folder))
    there = sorted(path for path in (tmp_path / "there").rglob("*") if path.is_file())
    assert len(there) == 2 + 4 + 3
    for path in there:
        same = tmp_path / "here" / path.relative_to(tmp_path / "there")
        assert path.read_bytes() == same.read_bytes()
    assert "warning" not in capsys.readouterr().err


def test_an_encrypted_scheduler_wants_certificates_that_it_knows(
    encrypted, folder, complains, impatient
):
    with complains(f"{encrypted}: tls:// needs certificates", "machine.dask_tls"):
        check_scheduler(encrypted)
    with complains("(it closes the connection; does it want tls://?)"):
        check_scheduler(encrypted.replace("tls://", "tcp://"))
    with complains(f"its certificate is not one of {folder / 'other.pem'}"):
        check_scheduler(encrypted, certificates(folder, "other.pem"))
    # The end of the connection may come sooner than the reason for it.
    with complains(f"{encrypted}: no Dask scheduler answers there ("):
        check_scheduler(encrypted, certificates(folder, "ca.pem", "stranger.pem", "stranger.key"))


def test_with_certificates_no_connection_is_open(local, folder, listen, complains, impatient):
    address = local.scheduler_address
    with complains(f"{address}: no Dask scheduler's encrypted address", "like tls://10.0.0.5:8786"):
        check_scheduler(address, certificates(folder))
    with complains("no encrypted connection: "):
        check_scheduler(address.replace("tcp://", "tls://"), certificates(folder))
    silent = listen(says()).removeprefix("tcp://")
    with complains(f"{silent}: no Dask scheduler answers there (nothing in 0.5 seconds)"):
        check_scheduler(silent, certificates(folder))


CERTIFICATES = [
    # what, the file's parameter, its file, words of the line
    ("no file", "ca", "nowhere.pem", "cannot be read (there is no such file)"),
    ("no key file", "key", "nowhere.key", "cannot be read (there is no such file)"),
    ("a folder", "certificate", ".", "cannot be read"),
    ("a name with a zero byte", "certificate", "a\0b", "cannot be read"),
    ("a key for a certificate", "certificate", "cluster.key", "-----BEGIN CERTIFICATE-----"),
    ("a certificate for a key", "key", "cluster.pem", "-----PRIVATE KEY-----"),
    ("no text", "ca", "binary.pem", "-----BEGIN CERTIFICATE-----"),
    ("a garbled authority", "ca", "garbage.pem", "holds no valid certificate"),
    ("a garbled certificate", "certificate", "garbage.pem", "holds no valid certificate"),
    ("a garbled key", "key", "garbage.key", "holds no valid key"),
    ("another key", "key", "stranger.key", "is not the key of "),
    ("a key with a passphrase", "key", "locked.key", "should not need a passphrase"),
]


@pytest.mark.parametrize(
    ("name", "file", "words"), [c[1:] for c in CERTIFICATES], ids=[c[0] for c in CERTIFICATES]
)
def test_a_bad_certificate_is_named(folder, complains, name, file, words):
    with complains(f"params.yaml: machine.dask_tls.{name}: ", file.partition("\0")[0], words):
        check_scheduler("tls://127.0.0.1:9", certificates(folder, **{name: file}))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_certificate_that_may_not_be_read_is_named(folder, complains, tmp_path):
    (tmp_path / "ca.pem").touch(mode=0)
    with complains("machine.dask_tls.ca: ", "cannot be read (Permission denied)"):
        check_scheduler("tls://127.0.0.1:9", certificates(tmp_path))
