"""HTTP server of the page, for browsers on this machine.

It listens on the loopback address only and refuses requests for unknown host names. Otherwise any
website could read it by pointing its own host name to 127.0.0.1 (DNS rebinding). Slow and silent
clients are dropped, so that they do not block others.
"""

import contextlib
import errno
import io
import os
import re
import socketserver
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from http import HTTPStatus
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cardpose.common.errors import InputError, short_repr

ADDRESS = "127.0.0.1"
LOOPBACK = frozenset({"localhost", ADDRESS, "[::1]"})
CONNECTIONS = 64  # largest number of open connections; a browser opens about six
HEAD_SECONDS = 10  # longest wait for the head of a request, in seconds
HEAD_BYTES = 2**17  # largest size of a request line and its headers, in bytes
WRITE_SECONDS = 30  # longest time to send one chunk of an answer, in seconds
_CHUNK = 2**20  # bytes
# Error numbers when the system allows no more connections.
_FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?(?::([0-9]{0,5}))?")
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".gz": "application/gzip",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".zst": "application/zstd",
}


def host_names(names: Iterable[str]) -> set[str]:
    """Return host names in the form that browsers send.

    Args:
        names: host names as users type them, possibly with non-ASCII letters.

    Raises:
        InputError: a host name is malformed.
    """
    checked: set[str] = set()
    for name in names:
        with contextlib.suppress(UnicodeError):
            sent = name if name.isascii() else name.encode("idna").decode()
            if (found := _host(sent)) and ":" not in re.sub(r"\[.*\]", "", sent):
                checked.add(found)
                continue
        raise InputError(
            f"--host {short_repr(name)}: should be the name of a host without a port,"
            " like cards.example.org"
        )
    return checked


def _host(authority: str) -> str | None:
    """Return the host of "host:port" in lower case, without a final dot; None if malformed.

    The port is ignored: behind port forwarding it can differ from the server's port. The host name
    is enough to detect DNS rebinding.
    """
    match = _AUTHORITY.fullmatch(authority.strip(" \t").lower())
    return match[1] if match and int(match[2] or 0) < 2**16 else None


class PageServer(ThreadingHTTPServer):
    """Serve files from memory, each connection in its own thread.

    Args:
        files: {path: content}.
        headers: {name: value}, sent with every answer.
        port: 0 picks a free one.
        names: host names to answer to besides LOOPBACK, from `host_names`.

    Raises:
        OSError, OverflowError: the port is taken, not permitted or out of range.
    """

    request_queue_size = 128
    # On Windows, a second program could otherwise listen on the same port.
    allow_reuse_address = os.name == "posix"

    def __init__(
        self,
        files: Mapping[str, bytes],
        headers: Mapping[str, str],
        port: int,
        names: Collection[str] = (),
    ):
        self.files, self.headers, self.names = files, headers, LOOPBACK | set(names)
        # {socket: (whether a request is being answered, time of the last change)}
        self._connections: dict[Any, tuple[bool, float]] = {}
        self._lock = threading.Lock()
        super().__init__((ADDRESS, port), _Handler)

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    def server_bind(self) -> None:
        # HTTPServer.server_bind would look up a host name for the address.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def get_request(self) -> tuple[Any, Any]:
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in _FULL:  # the client stays queued: pause before the next try
                with self._lock:
                    self._drop_one()
                time.sleep(0.1)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            if len(self._connections) >= CONNECTIONS:
                self._drop_one()
            self._connections[request] = (False, time.monotonic())
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the system allows no more threads
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.pop(request, None)
        super().shutdown_request(request)

    def mark(self, request: Any, answering: bool) -> None:
        """Record whether a request of a connection is being answered."""
        with self._lock:
            if request in self._connections:
                self._connections[request] = (answering, time.monotonic())

    def _drop_one(self) -> None:
        """End the connection idle for longest, or the oldest answer if none is idle."""
        if self._connections:
            request = min(self._connections, key=self._connections.__getitem__)
            del self._connections[request]
            with contextlib.suppress(OSError):
                request.shutdown(2)  # its thread then closes it


class _LimitedReader(io.RawIOBase):
    """Read from a socket within the limits of time and size that `allow` sets."""

    def __init__(self, connection: Any):
        self._connection = connection
        self.allow(HEAD_SECONDS, HEAD_BYTES)

    def allow(self, seconds: int | float, size: int) -> None:
        self._end, self._left = time.monotonic() + seconds, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        if self._left <= 0:
            raise HTTPException  # the base class answers with status 431
        self._connection.settimeout(seconds)
        size = self._connection.recv_into(buffer, min(len(buffer), self._left))
        self._left -= size
        return size


class _Handler(BaseHTTPRequestHandler):
    """Answer the requests of one connection."""

    server: PageServer
    raw_requestline: bytes
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # answers to HTTP/0.9 would have no headers

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._reader = _LimitedReader(self.connection)
        self.rfile = io.BufferedReader(self._reader)

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # the browser has left
            super().handle()

    def handle_one_request(self) -> None:
        self.server.mark(self.connection, answering=False)
        self._reader.allow(HEAD_SECONDS, HEAD_BYTES)
        super().handle_one_request()

    def finish(self) -> None:
        # Read the rest of the request: closing a socket with unread bytes can cut off the answer.
        with contextlib.suppress(OSError, HTTPException):
            self.connection.shutdown(1)
            self._reader.allow(1, 16 * _CHUNK)
            while self._reader.readinto(bytearray(_CHUNK)):
                pass
        super().finish()

    def parse_request(self) -> bool:
        if len(self.raw_requestline.split()) == 2:  # HTTP/0.9, whose requests name no host
            self.command, self.request_version = "", self.default_request_version
            self.requestline = ""
            return self._refuse(HTTPStatus.BAD_REQUEST)
        if not super().parse_request():
            return False
        self.server.mark(self.connection, answering=True)
        self.connection.settimeout(WRITE_SECONDS)
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # the unread body would be read as the next request
        return self._is_addressed()

    def handle_expect_100(self) -> bool:
        return True  # the answer does not depend on the body

    def _is_addressed(self) -> bool:
        """Return whether the request names this server; answer with an error if not."""
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or self.headers.defects:
            return self._refuse(HTTPStatus.BAD_REQUEST)
        if not self.path.startswith("/"):  # a whole URL, as sent to proxies
            scheme, _, rest = self.path.partition("://")
            if scheme.lower() != "http":
                return self._refuse(HTTPStatus.BAD_REQUEST)
            authority, slash, path = rest.partition("/")
            hosts.append(authority.partition("?")[0])
            self.path = slash + path or "/"
        found = [_host(host) for host in hosts]
        if None in found:
            return self._refuse(HTTPStatus.BAD_REQUEST)
        if not self.server.names.issuperset(found):
            return self._refuse(
                HTTPStatus.MISDIRECTED_REQUEST,
                "cardpose app answers to localhost and to the names given with --host",
            )
        return True

    def _refuse(self, status: HTTPStatus, explanation: str | None = None) -> bool:
        """Answer with an error; return False."""
        self.send_error(status, explain=explanation)
        return False

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].removeprefix("/") or "index.html"
        content = self.server.files.get(path)
        if content is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self.send_response(HTTPStatus.OK)
        kind = TYPES.get(Path(path).suffix, "application/octet-stream")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "GET":
            for first in range(0, len(content), _CHUNK):
                self.wfile.write(memoryview(content)[first : first + _CHUNK])

    do_HEAD = do_GET

    def _not_allowed(self) -> None:
        self.send_error(HTTPStatus.METHOD_NOT_ALLOWED)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = _not_allowed

    def send_response(self, code: int, message: str | None = None) -> None:
        super().send_response(code, message)
        if code == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")

    def end_headers(self) -> None:
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        super().end_headers()

    def version_string(self) -> str:
        return "cardpose"

    def log_message(self, *_: Any) -> None:
        """Log nothing."""
