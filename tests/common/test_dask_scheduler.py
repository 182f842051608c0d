"""Programs that answer in the place of a Dask scheduler are reported in one line."""

import os
import pickle
import struct
import time
from pathlib import Path

import msgpack
import pytest
from distributed.versions import get_versions
from fake_dask import GREETING, message, says, says_and_leaves

from cardpose.common import dask_scheduler
from cardpose.common.dask_cluster import map_on_cluster
from cardpose.common.dask_scheduler import check_scheduler

ROOT = Path(__file__).resolve().parents[2]


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
    """Create a folder when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


STRANGERS = [
    # program, its behaviour, words of the message
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
def test_another_program_at_the_address_is_reported_soon_in_one_line(
    listen, complains, impatient, monkeypatch, answer, words
):
    if "0.5 seconds" not in words:  # a busy machine may take longer to answer
        monkeypatch.setattr(dask_scheduler, "ANSWER", 50)
    address = listen(answer)
    begun = time.monotonic()
    with complains(f"params.yaml: machine.dask: {address}: ", words):
        check_scheduler(address)
    assert time.monotonic() < begun + 60  # no endless wait; half a second is usual


def test_no_pickle_in_the_answer_of_another_program_is_loaded(
    listen, complains, impatient, tmp_path
):
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
def test_a_malformed_address_is_reported_in_one_line(complains, address):
    with complains("machine.dask: ", "no Dask scheduler's address", "like tcp://10.0.0.5:8786"):
        check_scheduler(address)


def test_an_unknown_host_and_a_closed_port_are_reported_in_one_line(complains, impatient):
    for address in ("tcp://nowhere.invalid:8786", f"tcp://{'a' * 64}.invalid:8786", "localhost:9"):
        with complains(f"machine.dask: {address}: no Dask scheduler answers there ("):
            check_scheduler(address)


# Schedulers that are ones, in part


def test_the_address_of_a_worker_is_refused(cluster, complains):
    (worker,) = cluster.workers.values()
    with complains(worker.address, "no Dask scheduler answers there, but a 'Worker'"):
        check_scheduler(worker.address)


def test_an_address_without_a_scheme_is_accepted(cluster):
    address = cluster.scheduler_address
    assert check_scheduler(address) == (address, True)
    assert check_scheduler(address.removeprefix("tcp://")) == (address, True)
    assert check_scheduler(f"{address}/") == (address, True)


@pytest.mark.parametrize(
    ("package", "version"),
    [("distributed", "2024.1.0"), ("python", "3.9.1.final.0"), ("msgpack", "0.6")],
)
def test_a_scheduler_of_another_version_is_reported(
    cluster, complains, monkeypatch, package, version
):
    other = {"packages": get_versions()["packages"] | {package: version}}
    monkeypatch.setitem(cluster.scheduler.handlers, "versions", lambda: other)
    with complains(f"the scheduler has {package} {version}, and this computer "):
        check_scheduler(cluster.scheduler_address)


def test_an_unencrypted_connection_to_another_computer_gives_a_warning(
    cluster, monkeypatch, capsys, tmp_path
):
    address = cluster.scheduler_address
    work = map_on_cluster(address, time.sleep, [0], tmp_path)
    assert list(work) == [None]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(dask_scheduler, "is_loopback", lambda host: False)
    assert list(map_on_cluster(cluster.scheduler_address, time.sleep, [0], tmp_path)) == [None]
    error = capsys.readouterr().err
    assert error.startswith(f"warning: params.yaml: machine.dask: {address}: ")
    assert "not encrypted" in error
    assert "machine.dask_tls" in error
    assert error.count("\n") == 1


def test_loopback_addresses_belong_to_this_computer():
    for host in ("localhost", "127.1.2.3", "::1"):
        assert dask_scheduler.is_loopback(host), host
    for host in ("10.0.0.5", "localhost.example.org", "127.0.0.1.example.org", "0.0.0.0", "::2"):
        assert not dask_scheduler.is_loopback(host), host


# What comes back


# Encryption
