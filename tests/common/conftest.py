"""Dask schedulers, real and fake, for the tests of this folder."""

import contextlib
import socket
import ssl
import struct
import threading

import pytest
from distributed import LocalCluster
from fake_dask import OPTIONS

from cardpose.common import dask_cluster, dask_scheduler


@pytest.fixture
def impatient(monkeypatch):
    """Shorten all waits for a scheduler to half a second."""
    for module, name in (
        (dask_scheduler, "ANSWER"),
        (dask_cluster, "ANSWER"),
        (dask_cluster, "_CHECK"),
        (dask_cluster, "_PATIENCE"),
    ):
        monkeypatch.setattr(module, name, 0.5)


@pytest.fixture
def listen():
    """listen(answer): the address of a server that calls `answer(socket)` for each connection."""
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


@pytest.fixture(scope="module")
def cluster():
    """A scheduler with one worker, in threads of this process."""
    with LocalCluster(n_workers=1, host="127.0.0.1", protocol="tcp://", **OPTIONS) as started:
        yield started
