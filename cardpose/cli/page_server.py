"""HTTP server of the page, for browsers on this machine.

It listens on the loopback address only and answers only requests that name this machine. Otherwise
any page on the web could read it, by letting its own host name point to 127.0.0.1 (DNS rebinding).
Slow and silent clients are dropped, so that they keep nobody else from being served.
"""

import contextlib
import errno
import io
import re
import socketserver
import threading
import time
from http import HTTPStatus
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cardpose.common.errors import InputError, short_repr

ADDRESS = "127.0.0.1"
LOOPBACK = frozenset({"localhost", ADDRESS, "[::1]"})
CONNECTIONS = 64  # open at the same time; a browser opens about six
HEAD_SECONDS = 10  # to send a request, and between two requests of one connection
HEAD_BYTES = 2**17  # of a request line and its headers together
WRITE_SECONDS = 30  # to take the next MiB of an answer
_CHUNK = 2**20
_FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?(?::([0-9]{0,5}))?")
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".onnx": "application/octet-stream",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}


def host_names(names):
    """The names to answer to beside those of the loopback address, as browsers send them.

    Args:
        names: as users type them, international ones too.

    Raises:
        InputError: one is no host name.
    """
    checked = set()
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


def _host(authority):
    """The host in "host:port", in lower case and without the root's dot; None if it is malformed.

    The port does not matter. Where it is forwarded, browsers send another one than we listen at,
    and a page that rebinds its host name still sends that name.
    """
    match = _AUTHORITY.fullmatch(authority.strip(" \t").lower())
    return match[1] if match and int(match[2] or 0) < 2**16 else None


class Server(ThreadingHTTPServer):
    """Serve files from memory, each connection in a thread of its own.

    Args:
        files: {path: content}.
        headers: {name: value}, to be sent with every answer.
        port: 0 for any that is free.
        names: hosts to answer to beside LOOPBACK, from `host_names`.

    Raises:
        OSError, OverflowError: the port is taken, not allowed, or none.
    """

    request_queue_size = 128

    def __init__(self, files, headers, port, names=()):
        self.files, self.headers, self.names = files, headers, LOOPBACK | set(names)
        self._connections = {}  # {socket: (a request is being answered, since when)}
        self._lock = threading.Lock()
        super().__init__((ADDRESS, port), _Handler)

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)  # HTTPServer's looks up the name of the address
        self.server_name, self.server_port = self.server_address

    def get_request(self):
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in _FULL:  # the client stays in the queue, and we would spin
                with self._lock:
                    self._drop_one()
                time.sleep(0.1)
            raise

    def process_request(self, request, client_address):
        with self._lock:
            if len(self._connections) >= CONNECTIONS:
                self._drop_one()
            self._connections[request] = (False, time.monotonic())
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the system allows no more threads
            self.shutdown_request(request)

    def shutdown_request(self, request):
        with self._lock:
            self._connections.pop(request, None)
        super().shutdown_request(request)

    def mark(self, request, answering):
        """Note that a connection's request has arrived, or has been answered."""
        with self._lock:
            if request in self._connections:
                self._connections[request] = (answering, time.monotonic())

    def _drop_one(self):
        """End the connection that has waited longest for a request, or else for its answer."""
        if self._connections:
            request = min(self._connections, key=self._connections.get)
            del self._connections[request]
            with contextlib.suppress(OSError):
                request.shutdown(2)  # its thread finds it ended, and closes it


class _Limited(io.RawIOBase):
    """Bytes from a socket, within a time and a number that `allow` sets."""

    def __init__(self, connection):
        self._connection = connection
        self.allow(HEAD_SECONDS, HEAD_BYTES)

    def allow(self, seconds, size):
        self._end, self._left = time.monotonic() + seconds, size

    def readable(self):
        return True

    def readinto(self, buffer):
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        if self._left <= 0:
            raise HTTPException  # which the base class answers with 431
        self._connection.settimeout(seconds)
        size = self._connection.recv_into(buffer, min(len(buffer), self._left))
        self._left -= size
        return size


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # HTTP/0.9 would get answers without a head

    def setup(self):
        super().setup()
        self.rfile.close()
        self._limited = _Limited(self.connection)
        self.rfile = io.BufferedReader(self._limited)

    def handle(self):
        with contextlib.suppress(ConnectionError):  # the browser has left
            super().handle()

    def handle_one_request(self):
        self.server.mark(self.connection, answering=False)
        self._limited.allow(HEAD_SECONDS, HEAD_BYTES)
        super().handle_one_request()

    def finish(self):
        # What is left unread would make the system take back an answer that is still on its way.
        with contextlib.suppress(OSError, HTTPException):
            self.connection.shutdown(1)
            self._limited.allow(1, 16 * _CHUNK)
            while self._limited.readinto(bytearray(_CHUNK)):
                pass
        super().finish()

    def parse_request(self):
        if len(self.raw_requestline.split()) == 2:  # HTTP/0.9, which names no host
            self.command, self.request_version = None, self.default_request_version
            self.requestline = ""
            return self._refuse(HTTPStatus.BAD_REQUEST)
        if not super().parse_request():
            return False
        self.server.mark(self.connection, answering=True)
        self.connection.settimeout(WRITE_SECONDS)
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body is not read, and must not be the next request
        return self._addressed()

    def handle_expect_100(self):
        return True  # the answer does not depend on the body

    def _addressed(self):
        """Whether the request is meant for this server; refuse it if not."""
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or self.headers.defects:
            return self._refuse(HTTPStatus.BAD_REQUEST)
        if not self.path.startswith("/"):  # a whole URL, as proxies get it
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

    def _refuse(self, status, explanation=None):
        self.send_error(status, explain=explanation)
        return False

    def do_GET(self):
        path = self.path.partition("?")[0].removeprefix("/") or "index.html"
        content = self.server.files.get(path)
        if content is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self.send_response(HTTPStatus.OK)
        kind = _TYPES.get(Path(path).suffix, "application/octet-stream")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "GET":
            for first in range(0, len(content), _CHUNK):
                self.wfile.write(memoryview(content)[first : first + _CHUNK])

    do_HEAD = do_GET

    def _not_allowed(self):
        self.send_error(HTTPStatus.METHOD_NOT_ALLOWED)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = _not_allowed

    def send_response(self, code, message=None):
        super().send_response(code, message)
        if code == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")

    def end_headers(self):
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        super().end_headers()

    def version_string(self):
        return "cardpose"

    def log_message(self, *_):
        """Log nothing: requests are nobody's news."""
