"""A server that answers with raw bytes, in the place of Label Studio."""

import contextlib
import json
import socket
import threading

import numpy as np
import pytest

from cardpose.common.errors import InputError
from cardpose.labelling.tasks import Tasks

PROJECT = {"id": 7, "title": "cardpose mine"}
PROJECTS = {"count": 1, "next": None, "previous": None, "results": [PROJECT]}
TASKS = [{"id": 1, "data": {"frame": "a_frame_0"}, "annotations": [], "drafts": []}]
NO_TASKS = Tasks(
    frames=[],
    files=[],
    sizes=np.zeros((0, 2), int),
    points=np.zeros((0, 8, 2)),
    visible=np.zeros((0, 8), bool),
    mask=np.zeros((0, 8), bool),
    confidence=np.zeros((0, 8)),
)


TOKEN = "0123456789abcdef0123456789abcdef01234567"


def reply(content=b"", status="200 OK", *headers, length=None):
    """The bytes of an HTTP answer; content that is not bytes is written as JSON."""
    if not isinstance(content, bytes):
        content = json.dumps(content).encode()
        headers = ("Content-Type: application/json", *headers)
    length = len(content) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {length}", *headers, "Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode() + content


@contextlib.contextmanager
def complaint(*words):
    """Expect an InputError of one line with these words; gives what pytest caught."""
    with pytest.raises(InputError) as caught:
        yield caught
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def is_export(head):
    return b"/export" in head.split(b"\r\n")[0]


class Server:
    """A server on this machine that answers with raw bytes.

    `answer` gets the head of a request and returns bytes, or an iterator of them. `heads` are the
    heads of all requests.
    """

    def __init__(self, answer):
        self.answer, self.heads, self.open = answer, [], True
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        with connection, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                piece = connection.recv(65536)
                if not piece:
                    return
                head += piece
            self.heads.append(head)
            answer = self.answer(head)
            if answer is None:  # reset the connection
                linger = b"\1\0\0\0\0\0\0\0"
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                return
            for piece in [answer] if isinstance(answer, bytes) else answer:
                if not self.open:
                    return
                connection.sendall(piece)

    def close(self):
        self.open = False
        self.socket.close()


def healthy(head):
    return reply(TASKS if is_export(head) else PROJECTS)


DEEP = b"[" * 100_000 + b"]" * 100_000


def endless(start, piece):
    yield start
    while True:
        yield piece


HEAD = b"HTTP/1.1 200 OK\r\n"
