"""Schedulers and workers that fail in part: one line says why, and nothing hangs."""

import signal
import struct
import subprocess
import sys
import threading
import time

import msgpack
import pytest
from distributed.versions import get_versions
from fake_dask import GREETING, message
from support import REPOSITORY

from cardpose.common import dask_cluster, dask_scheduler
from cardpose.common.dask_cluster import map_on_cluster, worker_state


class Fake:
    """A scheduler that greets, and then gives these answers, or none."""

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
            return {"tcp://127.0.0.1:1": {"status": "OK", "result": [worker_state("/")[0], True]}}
        return answer


WORKERS = {"type": "Scheduler", "workers": {"tcp://127.0.0.1:1": {"status": "running"}}}


WORKERS["n_workers"] = 1


READY = {"identity": WORKERS, "register-client": [{"op": "stream-start"}]}


SAME = object()  # stands for workers of the same version


BROKEN = {"a": {"status": "error", "exception": b"no pickle", "traceback": b"none"}}


FAKES = [
    # fault, answers, words of the message
    ("says nothing to a client", {}, "does not answer any more"),
    ("says nonsense to a client", {"register-client": [{"op": "x"}]}, "cannot go on"),
    # A busy machine gives up earlier. A real scheduler without workers: test_dask_cluster.py.
    ("has no workers", READY | {"identity": Fake().answers["identity"]}, ""),
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
def test_a_scheduler_that_fails_halfway_is_reported_soon_in_one_line(
    listen, complains, impatient, monkeypatch, capfd, answers, words
):
    monkeypatch.setattr(dask_cluster, "_LONGEST", 3)
    for module in (dask_cluster, dask_scheduler):
        monkeypatch.setattr(module, "ANSWER", 1)
    address = listen(Fake(**answers))
    begun = time.monotonic()
    with complains(f"machine.dask: {address}: ", words):
        list(map_on_cluster(address, time.sleep, [0], "/"))
    assert time.monotonic() < begun + 120
    assert capfd.readouterr().err == ""


def in_a_process(address):
    """Start a process that uses a scheduler as stages do."""
    code = "import time; from cardpose.common.dask_cluster import map_on_cluster\n"
    code += "from cardpose.common.errors import run_stage\n"
    code += f"run_stage(lambda: list(map_on_cluster({address!r}, time.sleep, [0], '/')))"
    return subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stderr=subprocess.PIPE)


def test_only_one_line_is_printed_when_dask_fails(listen):
    address = listen(Fake(**READY | {"broadcast": b"\xc1"}))
    started = in_a_process(address)
    error = started.communicate(timeout=60)[1].decode()
    assert started.returncode == 1
    assert error.startswith(f"error: params.yaml: machine.dask: {address}: the scheduler cannot go")
    assert error.count("\n") == 1


def test_ctrl_c_ends_the_wait_for_workers(listen):
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
def test_any_exception_of_a_worker_is_reported_in_one_line(cluster, complains, tmp_path, how):
    with complains("a worker failed: "):
        list(map_on_cluster(cluster.scheduler_address, fail, [how], tmp_path))
