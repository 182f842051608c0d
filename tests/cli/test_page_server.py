"""The page's server without a browser: hosts, requests, slow clients, limits."""

import contextlib
import errno
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest
from browser_page import INDEX, POLICY

from cardpose.cli import page_server
from cardpose.cli.app import site_server
from cardpose.cli.site import read_site

ROOT = Path(__file__).parents[2]
PATIENCE = 30  # seconds; other programs may keep the processor busy


@pytest.fixture
def files(small_app, stand_in):
    return read_site(stand_in, small_app)


@contextlib.contextmanager
def running(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def port(files):
    with running(site_server(files, 0)) as port:
        yield port


def sent(port, request):
    """Return the server's answer to these bytes, up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def status(port, *lines):
    """Return the status of the answer to a request of these lines."""
    answer = sent(port, "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1"))
    assert answer.startswith(b"HTTP/1.1 ")
    return int(answer[9:12])


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "127.0.0.1", "[::1]", "LocalHost", "localhost.", "127.0.0.1."),
        *("localhost:5252", "127.0.0.1:80", "[::1]:9000", "localhost:", " localhost "),
    ],
)
def test_names_of_this_machine_are_answered_at_any_port(port, host):
    assert status(port, "GET / HTTP/1.1", f"Host: {host}") == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:5252", "localhost.evil.example", "evil-localhost"),
        *("127.0.0.1.evil.example", "127.0.0.2", "0.0.0.0", "[::2]", "[::ffff:127.0.0.1]"),
        *("2130706433", "0x7f000001", "x.localhost"),
    ],
)
def test_other_host_names_get_misdirected_request(port, host):
    """This holds even if DNS lets the name point to this machine."""
    for request in ("GET / HTTP/1.1", "HEAD /sw.js HTTP/1.1", "GET /none HTTP/1.1"):
        assert status(port, request, f"Host: {host}") == 421
    assert status(port, "POST / HTTP/1.1", f"Host: {host}") == 421


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Host:"],
        ["Host: localhost", "Host: localhost"],
        ["Host: localhost", "host: evil.example"],
        ["Host: localhost, evil.example"],
        ["Host: evil.example@localhost"],
        ["Host: localhost@evil.example"],
        ["Host: localhost/evil.example"],
        ["Host: localhost\tevil.example"],
        ["Host: localhost", " evil.example"],
        ["Host: localhost:99999"],
        ["Host: localhost:x"],
        ["Host: localhost:\xb2"],
        ["Host: localhost.."],
        ["Host: .localhost"],
        ["Host: ::1"],
        ["Host: [::1"],
        ["Host: http://localhost"],
        ["Host: l\xf6calhost"],
        ["Host : localhost"],
        ["X-Forwarded-Host: localhost"],
        ["no header", "Host: localhost"],
        ["Host: localhost", "no header", "Host: evil.example"],
    ],
    ids=repr,
)
def test_a_request_without_exactly_one_valid_host_is_bad(port, lines):
    assert status(port, "GET / HTTP/1.1", *lines) == 400


@pytest.mark.parametrize(
    ("target", "host", "expected"),
    [
        ("http://localhost:5252/page.js", "localhost", 200),
        ("HTTP://LOCALHOST", "localhost", 200),
        ("http://localhost/?q=http://evil.example/", "localhost", 200),
        ("http://evil.example/", "localhost", 421),
        ("http://evil.example/", "evil.example", 421),
        ("http://localhost/", "evil.example", 421),
        ("http://localhost@evil.example/", "localhost", 400),
        ("https://localhost/", "localhost", 400),
        ("file:///etc/passwd", "localhost", 400),
        ("http:///", "localhost", 400),
        ("localhost:443", "localhost", 400),
        ("*", "localhost", 400),
        ("page.js", "localhost", 400),
    ],
)
def test_a_request_for_a_whole_url_must_name_this_machine_twice(port, target, host, expected):
    assert status(port, f"GET {target} HTTP/1.1", f"Host: {host}") == expected


def test_requests_of_old_http_versions_must_name_a_host(port):
    assert status(port, "GET / HTTP/1.0", "Host: localhost") == 200
    assert status(port, "GET / HTTP/1.0") == 400
    assert sent(port, b"GET /\r\n").startswith(b"HTTP/1.1 400 ")


def test_host_names_that_the_user_adds_are_answered(files):
    names = ["Cards.Example.org.", "karten-z\xe4hler.example", "192.168.1.5"]
    with running(site_server(files, 0, names)) as port:
        for host in ("cards.example.org", "xn--karten-zhler-ncb.example", "192.168.1.5:8080"):
            assert status(port, "GET / HTTP/1.1", f"Host: {host}") == 200
        assert status(port, "GET / HTTP/1.1", "Host: localhost") == 200
        assert status(port, "GET / HTTP/1.1", "Host: www.cards.example.org") == 421


@pytest.mark.parametrize(
    "name",
    [
        *("", "*", "*.example.org", "http://example.org", "a.example:80", "[::1]:80"),
        *("a b", "a\n", "a@b", "\xe4..b"),
    ],
)
def test_an_invalid_host_name_is_refused(complains, files, name):
    with complains("--host", "a host without a port"):
        site_server(files, 0, [name])


@pytest.mark.parametrize(
    "path",
    [
        *("/../pyproject.toml", "/%2e%2e/pyproject.toml", "//etc/passwd", "/page.js/"),
        "/page.js%00",
        *("/./page.js", "/%70age.js", "/icons", "/\xff", "/icons/../page.js", "/page.js#x"),
    ],
)
def test_only_paths_of_the_page_are_found(port, path):
    assert status(port, f"GET {path} HTTP/1.1", "Host: localhost") == 404


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        *[(f"{method} / HTTP/1.1", 405) for method in ("POST", "PUT", "DELETE", "OPTIONS")],
        *[(f"{method} / HTTP/1.1", 501) for method in ("FOO", "get", "\xff", "parse_request")],
        ("GET / HTTP/2.0", 505),
        *[(line, 400) for line in ("GET / HTTP/x", "GET / / HTTP/1.1", "GET", "\x16\x03\x01")],
        ("GET /" + 70_000 * "a" + " HTTP/1.1", 414),
    ],
)
def test_requests_that_name_no_file_are_refused(port, capfd, request_line, expected):
    assert status(port, request_line, "Host: localhost") == expected
    assert status(port, "GET / HTTP/1.1", "Host: localhost") == 200
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "lines",
    [["X: " + 70_000 * "a"], 200 * ["X: a"], 90 * ["X: " + 60_000 * "a"]],
    ids=["long line", "many lines", "many long lines"],
)
def test_endless_headers_are_refused(port, lines):
    with contextlib.suppress(ConnectionError):  # the server does not read them all
        assert status(port, "GET / HTTP/1.1", "Host: localhost", *lines) == 431
    assert status(port, "GET / HTTP/1.1", "Host: localhost") == 200


def test_a_body_is_not_read_as_the_next_request(port):
    hidden = b"GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    length = f"Content-Length: {len(hidden)}"
    for header in (length, "Transfer-Encoding: chunked"):
        for method, expected in (("GET", b"200"), ("POST", b"405")):
            head = f"{method} / HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n".encode()
            answer = sent(port, head + hidden)
            assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [expected]


def test_a_large_body_does_not_hide_the_answer(port):
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n"
    answer = sent(port, head + 5_000_000 * b"a")
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b"\r\nAllow: GET, HEAD\r\n" in answer


def test_one_connection_serves_many_requests(port, files):
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    for method in ("GET", "HEAD", "GET"):
        connection.request(method, "/page.js")
        first = connection.sock
        answer = connection.getresponse()
        assert int(answer.headers["Content-Length"]) == len(files["page.js"])
        assert answer.read() == (b"" if method == "HEAD" else files["page.js"])
        assert connection.sock is first is not None


@pytest.mark.parametrize("path", ["/", "/none"])
def test_every_answer_has_the_headers_and_none_names_a_version(port, path):
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", path)
    headers = connection.getresponse().headers
    assert headers["Content-Security-Policy"] == POLICY + "; frame-ancestors 'none'"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Server"] == "cardpose"


def ended(connection):
    """Return whether the server closes a connection."""
    connection.settimeout(PATIENCE)
    with contextlib.suppress(ConnectionError):
        return connection.recv(1) == b""
    return True


def test_a_silent_connection_is_closed(monkeypatch, port):
    monkeypatch.setattr(page_server, "HEAD_SECONDS", 0.2)
    for begun in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: local"):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(begun)
            assert ended(connection)


def refused(connection, text):
    """Return whether the other side has closed a connection; otherwise wait 50 ms."""
    try:
        connection.sendall(text)
    except ConnectionError:
        return True
    time.sleep(0.05)
    return False


def test_a_connection_that_sends_single_bytes_is_closed(monkeypatch, port):
    monkeypatch.setattr(page_server, "HEAD_SECONDS", 0.5)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        assert any(refused(connection, b"a") for _ in range(20 * PATIENCE))


def test_a_client_that_does_not_read_its_answer_is_dropped(monkeypatch, files):
    monkeypatch.setattr(page_server, "WRITE_SECONDS", 0.2)
    server = site_server({**files, "page.js": bytes(2**25)}, 0)
    with running(server) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(5) == b"HTTP/"
        end = time.monotonic() + PATIENCE
        while server.open_connections and time.monotonic() < end:
            time.sleep(0.05)
        assert not server.open_connections


def test_the_page_is_served_despite_too_many_silent_connections(monkeypatch, port):
    monkeypatch.setattr(page_server, "CONNECTIONS", 5)
    monkeypatch.setattr(page_server, "HEAD_SECONDS", 10 * PATIENCE)
    with contextlib.ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(12)
        ]
        assert status(port, "GET / HTTP/1.1", "Host: localhost") == 200
        # Those that have waited longest were closed.
        assert all(ended(connection) for connection in silent[:7])
        silent[-1].sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert silent[-1].recv(12) == b"HTTP/1.1 200"


def test_a_connection_that_is_being_answered_is_dropped_last(monkeypatch, files):
    monkeypatch.setattr(page_server, "CONNECTIONS", 3)
    content = bytes(range(256)) * 2**16
    with (
        running(site_server({**files, "page.js": content}, 0)) as port,
        socket.create_connection(("127.0.0.1", port), PATIENCE) as busy,
        contextlib.ExitStack() as stack,
    ):
        busy.sendall(b"GET /page.js HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = busy.recv(100)
        for _ in range(8):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        assert status(port, "GET / HTTP/1.1", "Host: localhost") == 200
        answer += b"".join(iter(lambda: busy.recv(2**20), b""))
    assert answer.endswith(content)


SERVED = """
from cardpose.cli import app, page_server
page_server.HEAD_SECONDS = 600
server = app.site_server({"index.html": %r, "sw.js": b""}, 0)
print(server.server_port, flush=True)
server.serve_forever()
"""


def test_the_page_is_served_despite_silent_connections_beyond_the_limit_of_the_system():
    few = ["sh", "-c", 'ulimit -n 24; exec "$@"', "sh"]
    command = [*few, sys.executable, "-c", SERVED % INDEX]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
        contextlib.ExitStack() as stack,
    ):
        stack.callback(process.kill)
        port = int(process.stdout.readline())
        for _ in range(40):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
        assert status(port, "GET / HTTP/1.1", "Host: localhost") == 200
        process.kill()
        assert process.stderr.read() == b""


def test_without_free_connections_the_server_pauses(monkeypatch, files):
    def full(_):
        raise OSError(errno.EMFILE, "full")

    rests = []
    monkeypatch.setattr(page_server.ThreadingHTTPServer, "get_request", full)
    monkeypatch.setattr(page_server.time, "sleep", rests.append)
    with site_server(files, 0) as server, pytest.raises(OSError, match="full"):
        server.get_request()
    assert rests == [0.1]


def test_without_free_threads_a_connection_is_closed(monkeypatch, port, capfd):
    def none(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none)
        with socket.create_connection(("127.0.0.1", port)) as connection:
            assert ended(connection)
    assert status(port, "GET / HTTP/1.1", "Host: localhost") == 200
    assert capfd.readouterr() == ("", "")


def test_the_server_makes_no_dns_request(monkeypatch, files):
    def asked(*_):
        raise AssertionError

    for name in ("getfqdn", "gethostbyaddr", "gethostbyname", "getnameinfo"):
        monkeypatch.setattr(socket, name, asked)
    with site_server(files, 0) as server:
        assert server.server_address == ("127.0.0.1", server.server_port)


def test_ctrl_c_ends_the_command_despite_open_connections(stand_in):
    if not (ROOT / "app/node_modules/onnxruntime-web").is_dir():
        pytest.skip("app/node_modules is not there: `make test` installs it, if npm is there")
    command = [sys.executable, "-m", "cardpose", "app", "--no-browser", "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, "--model", stand_in], cwd=ROOT, **pipes) as process:
        try:
            port = int(re.match(r"http://127\.0\.0\.1:(\d+)/ ", process.stdout.readline())[1])
            with socket.create_connection(("127.0.0.1", port)):
                assert status(port, "GET / HTTP/1.1", "Host: localhost") == 200
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=page_server.HEAD_SECONDS / 2)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (0, "\n", "")
