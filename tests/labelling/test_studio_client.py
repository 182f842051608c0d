"""The client of Label Studio: odd and endless answers, redirects, addresses that users type."""

import contextlib
import gzip
import json
import re
import socket
import threading
import time
import tracemalloc

import numpy as np
import pytest

from cardpose.common.errors import InputError, one_line
from cardpose.labelling import studio_address, studio_client, studio_server
from cardpose.labelling.label_import import read_labels_json
from cardpose.labelling.studio_client import Limits
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


@pytest.fixture
def serve():
    """serve(answer): a running `Server`."""
    with contextlib.ExitStack() as stack:

        def start(answer):
            server = Server(answer)
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture
def dataset(tmp_path):
    """A data set `mine` whose Label Studio has the token TOKEN."""
    path = tmp_path / "mine" / "labelling" / "label-studio" / "access.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"password": "secret-word", "token": TOKEN}))
    return tmp_path / "mine"


def healthy(head):
    return reply(TASKS if is_export(head) else PROJECTS)


def test_a_healthy_server_is_asked_with_the_token(serve, dataset):
    server = serve(healthy)
    assert json.loads(studio_server.export_studio(dataset, server.address)) == TASKS
    assert len(server.heads) == 2
    assert all(f"Authorization: Token {TOKEN}\r\n".encode() in head for head in server.heads)
    without_scheme = server.address.removeprefix("http://")
    assert json.loads(studio_server.export_studio(dataset, f"{without_scheme}/")) == TASKS


def test_proxies_and_netrc_are_not_used(serve, dataset, tmp_path, monkeypatch):
    other, server = serve(healthy), serve(healthy)
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, other.address)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password guessed\n")
    monkeypatch.setenv("NETRC", str(netrc))
    studio_server.export_studio(dataset, server.address)
    assert other.heads == []
    assert all(b"Authorization: Token" in head for head in server.heads)


DEEP = b"[" * 100_000 + b"]" * 100_000
# Of each answer: its bytes, and what the message says.
ODD = {
    "nothing": (reply(b""), "got nothing"),
    "no content": (reply(b"", "204 No Content"), "got nothing"),
    "no JSON": (reply(b"soon"), "should answer with JSON"),
    "a page": (reply(b"<!DOCTYPE html><title>Log in</title>"), "a page of HTML"),
    "another type": (reply(b"[]", "200 OK", "Content-Type: text/html"), "got 'text/html'"),
    "no UTF-8": (reply(b'[{"title": "\xff\xfe"}]'), "should answer with JSON"),
    "null": (reply(None), "its answer: "),
    "a number": (reply(7), "its answer: "),
    "a text": (reply("x"), "its answer: "),
    "a list of numbers": (reply([7]), ": Input should be"),
    "nested too deeply": (reply(DEEP), "nested too deeply"),
    "NaN": (reply(b'[{"id": NaN}]'), "NaN is no number"),
    "Infinity": (reply(b'{"results": [{"id": -Infinity}]}'), "-Infinity is no number"),
    "a long number": (reply(b"[" + b"9" * 10_000 + b"]"), "should answer with JSON"),
    "a bare 302": (reply(b"", "302 Found"), "answers 302: sends; name the address"),
    "a loop": (reply(b"", "302 Found", "Location: /api/projects"), "sends to '/api/projects'"),
    "an odd target": (reply(b"", "301 Moved", "Location: http://["), "sends to 'http://['"),
    "401": (reply({"detail": "Invalid token."}, "401 No"), "does not take the token in"),
    "403": (reply(b"<html>", "403 Forbidden"), "answers 403: it does not take the token in"),
    "404": (reply(b"<html>", "404 Not Found"), "the address should be that of Label Studio"),
    "429": (reply(b"", "429 Too Many Requests"), "answers 429: it has too much to do"),
    "a long 500": (reply(b"\x1b[31m\x00\r\n" + b"x" * 10**6, "500 Oh"), r"answers 500: \x1b[31m"),
    "a broken 500": (reply(b"half", "500 Oh", length=99), "answers 500"),
    "a status without sense": (b"HTTP/1.1 9999 x\r\n\r\n", "no Label Studio answers there"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n", "no HTTP: 'SSH-2.0-OpenSSH_9.6"),
    "no answer": (b"", "no Label Studio answers there"),
    "a reset": (None, "no Label Studio answers there"),
    "half a head": (b"HTTP/1.1 200 OK\r\nContent-", "should answer with JSON"),
    "too long a length": (reply(b"[]", length=100), "its answer breaks off"),
    "too short a length": (reply(b'{"results": []}', length=5), "should answer with JSON"),
    "lengths that differ": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n[]",
        "",
    ),
    "chunks that break off": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1,2",
        "its answer breaks off",
    ),
    "chunks of no length": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\x1b" + 5000 * b"z" + b"\r\n[]",
        "its answer breaks off",
    ),
    "no gzip": (reply(b"[]", "200 OK", "Content-Encoding: gzip"), "its answer breaks off"),
    "a long header": (
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10**6 + b"\r\n\r\n[]",
        "no Label Studio answers there",
    ),
    "many headers": (
        b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 10_000 + b"\r\n[]",
        "no Label Studio answers there",
    ),
}


@pytest.mark.parametrize("place", ["projects", "tasks"])
@pytest.mark.parametrize("name", ODD)
def test_an_odd_answer_is_one_line_that_names_the_address(name, place, serve, dataset):
    odd, words = ODD[name]
    server = serve(lambda head: odd if is_export(head) == (place == "tasks") else healthy(head))
    with complaint(server.address, words) as caught:
        studio_server.export_studio(dataset, server.address)
    assert len(server.heads) == 1 + (place == "tasks")  # nothing is asked again, or elsewhere
    message = one_line(caught.value)
    assert len(message) < 700
    assert TOKEN not in message
    assert "secret-word" not in message


def project(**changes):
    return {"results": [PROJECT | changes]}


@pytest.mark.parametrize(
    ("projects", "words"),
    [
        ({}, "results: Field required"),
        ([], "its answer: "),
        ({"results": None}, "results: "),
        ({"results": {}}, "results: "),
        ({"results": [None]}, "results.0: "),
        ({"results": [{"id": 7}]}, "results.0.title: Field required"),
        ({"results": [{"title": "cardpose mine"}]}, "results.0.id: Field required"),
        (project(id="7"), "results.0.id: "),
        (project(id=True), "results.0.id: "),
        (project(id=7.0), "results.0.id: "),
        (project(id=-7), "results.0.id: "),
        (project(id=10**400), "results.0.id: "),
        (project(id=None), "results.0.id: "),
        (project(id="../../admin"), "results.0.id: "),
        (project(title=["cardpose mine"]), "results.0.title: "),
        (PROJECTS | {"next": 7}, "next: "),
        ({"results": []}, "has no project named cardpose mine"),
        (project(title="another\nline"), "has no project named cardpose mine"),
    ],
)
def test_odd_lists_of_projects_are_one_line(projects, words, serve, dataset):
    server = serve(lambda head: reply(TASKS if is_export(head) else projects))
    with complaint(server.address, words):
        studio_server.export_studio(dataset, server.address)


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ({}, "its answer: "),
        ([None], "0: "),
        ([TASKS[0] | {"id": "1"}], "0.id: "),
        ([TASKS[0] | {"id": False}], "0.id: "),
        ([TASKS[0] | {"id": 10**400}], "0.id: "),
        ([{"id": 1}], "0.data: Field required"),
        ([TASKS[0] | {"data": []}], "0.data: "),
        ([TASKS[0] | {"data": {"frame": ["a"]}}], "0.data.frame: "),
        ([TASKS[0] | {"annotations": {}}], "0.annotations: "),
        ([TASKS[0] | {"annotations": [7]}], "0.annotations.0: "),
        ([TASKS[0] | {"drafts": "x"}], "0.drafts: "),
    ],
)
def test_odd_tasks_are_one_line(tasks, words, serve, dataset):
    server = serve(lambda head: reply(tasks if is_export(head) else PROJECTS))
    with complaint(f"{server.address}/api/projects/7/export", words):
        studio_server.export_studio(dataset, server.address)


@pytest.mark.parametrize("made", [{}, {"id": "7"}, {"id": 10**400}, [], None, 7])
def test_an_odd_answer_to_a_new_project_is_one_line(made, serve, dataset):
    server = serve(lambda head: reply(made if head.startswith(b"POST") else {"results": []}))
    with complaint(f"{server.address}/api/projects: "):
        studio_server.fill_studio(dataset, NO_TASKS, server.address)


def mark(**changes):
    value = {"x": 5, "y": 5, "keypointlabels": ["upper_left_face"]}
    return {"type": "keypointlabels", "value": value | changes}


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ({"annotations": [{"result": [mark(x=10**400)]}]}, "x and y should be numbers"),
        ({"annotations": [{"result": None}]}, "annotations should be a list"),
        ({"id": "\x1b[31m" + "x" * 10**5, "annotations": 3}, r"task '\x1b[31mx"),
        ({"id": 10**400, "annotations": 3}, "task 1000"),
        ({"data": {"image": "http://["}}, "`image`"),
        ({"data": {"frame": "\ud800"}}, r"'\ud800'"),
        ({"annotations": [{"result": [], "id": [], "updated_at": {}}] * 2}, None),
    ],
)
def test_tasks_that_hold_odd_marks_are_one_line(task, words):
    index = {"a_frame_0": ("a_frame_0.jpg", (640, 480))}
    content = json.dumps([TASKS[0] | task])
    if words is None:
        assert read_labels_json("http://x", content, index).frames == ["a_frame_0"]
        return
    with complaint(words) as caught:
        read_labels_json("http://x", content, index)
    assert len(one_line(caught.value)) < 400


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("place", ["projects", "tasks"])
def test_a_redirect_is_not_followed_and_the_token_goes_nowhere_else(place, status, serve, dataset):
    other = serve(healthy)
    away = reply(b"", f"{status} Away", f"Location: {other.address}/api/projects")
    server = serve(lambda head: away if is_export(head) == (place == "tasks") else healthy(head))
    with complaint(f"answers {status}: sends to '{other.address}/api/projects'"):
        studio_server.export_studio(dataset, server.address)
    assert other.heads == []


def test_a_new_project_is_not_sent_on(serve, dataset):
    other = serve(healthy)
    away = reply(b"", "307 Away", f"Location: {other.address}/")
    server = serve(lambda head: away if head.startswith(b"POST") else reply({"results": []}))
    with complaint("answers 307"):
        studio_server.fill_studio(dataset, NO_TASKS, server.address)
    assert other.heads == []


def test_the_project_is_found_on_any_page(serve, dataset):
    """Label Studio gives 100 projects at once, however many are asked for."""

    def answer(head):
        if is_export(head):
            return reply(TASKS)
        page = int(head.split(b"&page=")[1].split()[0]) if b"&page=" in head else 1
        many = [{"id": 100 * page + k, "title": "other"} for k in range(100)]
        found = [PROJECT] if page == 3 else many
        onward = "http://elsewhere.invalid/?page=2" if page < 3 else None
        return reply({"results": found, "next": onward})

    server = serve(answer)
    assert json.loads(studio_server.export_studio(dataset, server.address)) == TASKS
    assert len(server.heads) == 4
    assert b"/api/projects/7/export" in server.heads[-1]


@pytest.mark.parametrize("same", [True, False])
def test_pages_without_end_are_one_line(same, serve, dataset, monkeypatch):
    monkeypatch.setattr(studio_client, "_PAGES", 4)
    count = iter(range(1, 1000))
    server = serve(
        lambda head: reply(
            {"results": [{"id": 1 if same else next(count), "title": None}], "next": "again"}
        )
    )
    with complaint("its list of projects has no end"):
        studio_server.export_studio(dataset, server.address)
    assert len(server.heads) == (2 if same else 4)


def endless(start, piece):
    yield start
    while True:
        yield piece


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        lambda: endless(HEAD + b"\r\n[", b" " * 65536),
        lambda: endless(HEAD + CHUNKED + b"\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"),
        lambda: [
            reply(gzip.compress(b" " * 2**26), "200 OK", "Content-Encoding: gzip"),
        ],
        lambda: [
            reply(
                gzip.compress(gzip.compress(b" " * 2**26)),
                "200 OK",
                "Content-Encoding: gzip, gzip",
            ),
        ],
    ],
    ids=["endless", "endless chunks", "a gzip bomb", "a gzip bomb in another"],
)
def test_a_long_answer_is_one_line_and_takes_little_memory(answer, serve, dataset, monkeypatch):
    monkeypatch.setattr(studio_client, "SHORT", Limits(seconds=60, size=2**20))
    server = serve(lambda head: answer())
    gzip.compress(b"")
    tracemalloc.start()
    try:
        with complaint(f"{server.address}/api/projects", "longer than 1048576 bytes"):
            studio_server.export_studio(dataset, server.address)
        assert tracemalloc.get_traced_memory()[1] < 2**28
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "answer",
    [
        lambda: slow(HEAD + b"Content-Length: 151\r\n\r\n[", b" "),
        lambda: slow(HEAD + b"X: ", b"x"),
        lambda: slow(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        lambda: slow(b"", b""),
        lambda: slow(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", b"x"),
        lambda: slow(b"HTTP/1.1 500 Oh\r\n\r\n", b"x"),
    ],
    ids=["body", "head", "continue", "silence", "body of a redirect", "body of an error"],
)
def test_an_answer_that_drips_is_one_line(answer, serve, dataset, monkeypatch):
    monkeypatch.setattr(studio_client, "SHORT", Limits(seconds=0.3, size=2**20))
    server = serve(lambda head: answer())
    with complaint(server.address) as caught:
        studio_server.export_studio(dataset, server.address)
    # Of two time-outs that are as long, either may be the first.
    assert re.search(r"no whole answer within 0\.3 seconds|timed out", str(caught.value))


def slow(start, piece):
    """An answer of a few seconds, each piece of which comes soon."""
    yield start
    for _ in range(150):
        time.sleep(0.02)
        yield piece


def test_the_beginning_of_an_error_is_enough(serve, dataset):
    server = serve(lambda head: endless(b"HTTP/1.1 500 Oh\r\n\r\n", b"x" * 65536))
    with complaint("answers 500: xxx"):
        studio_server.export_studio(dataset, server.address)


def test_all_questions_together_have_an_end(serve, dataset, monkeypatch):
    monkeypatch.setattr(studio_client, "_TOTAL", 0)
    with complaint("no whole answer within"):
        studio_server.export_studio(dataset, serve(healthy).address)


class Ended:
    """A process that has ended once `after` questions whether it has."""

    def __init__(self, after):
        self.after = after

    def poll(self):
        self.after -= 1
        return 1 if self.after < 0 else None


def test_the_sign_of_life_is_waited_for_without_token_or_redirects(serve, dataset, monkeypatch):
    monkeypatch.setattr(studio_server, "_PAUSE", 0)
    other = serve(lambda head: reply(b"up"))
    answers = iter(
        [
            reply(b"", "503 Soon"),
            reply(b"", "302 Away", f"Location: {other.address}/"),
            b"nonsense\r\n",
            reply(b"up"),
        ]
    )
    server = serve(lambda head: next(answers))
    studio_server.wait_until_healthy(Ended(9).poll, server.address, dataset)
    assert len(server.heads) == 4
    assert all(head.startswith(b"GET /health ") for head in server.heads)
    assert not any(b"Authorization" in head for head in server.heads)
    assert other.heads == []


def test_a_sign_of_life_without_end_is_none(serve, dataset, monkeypatch):
    monkeypatch.setattr(studio_server, "_PAUSE", 0)
    monkeypatch.setattr(studio_server, "_HEALTH", Limits(seconds=60, size=2**16))
    server = serve(lambda head: endless(HEAD + b"\r\n", b" " * 65536))
    with complaint("Label Studio does not start"):
        studio_server.wait_until_healthy(Ended(2).poll, server.address, dataset)
    assert len(server.heads) == 2


ADDRESSES = {
    "http://127.0.0.1:8080": "http://127.0.0.1:8080",
    "http://127.0.0.1:8080/": "http://127.0.0.1:8080",
    "HTTP://LocalHost:8080": "http://localhost:8080",
    "localhost:8080": "http://localhost:8080",
    "localhost": "http://localhost",
    "127.0.0.1:8080/studio/": "http://127.0.0.1:8080/studio",
    "[::1]:8080": "http://[::1]:8080",
    "http://[::1]:8080": "http://[::1]:8080",
    "https://labels.example": "https://labels.example",
    "http://bücher.example:80": "http://xn--bcher-kva.example:80",
}


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_may_be_typed_in_several_ways(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert studio_address.is_address(text)
    assert studio_address.normalised(text) == ADDRESSES[text]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://", "names no host"),
        ("http://:8080", "names no host"),
        ("http:localhost:8080", "names no host"),
        ("http:///api", "names no host"),
        ("http://localhost:0", "port should be between 1 and 65535"),
        ("localhost:99999", "is no address (Port out of range"),
        ("http://localhost:x", "is no address (Port could not"),
        ("http://[::1:8080", "is no address (Invalid IPv6"),
        ("http://[zz]:80", "is no address"),
        ("ftp://localhost:21", "should begin with http:// or https://"),
        ("file:///etc/hosts", "should begin with http:// or https://"),
        ("http://local host:8080", "no spaces"),
        (" http://localhost:8080", "no spaces"),
        ("http://localhost:8080\n", r"'http://localhost:8080\n': should hold no spaces"),
        ("http://localhost\x1b[31m:8080", "control characters"),
        ("http://localhost\\@elsewhere:80", "backslashes"),
        ("http://somebody:pa/ss-word@localhost:80", "'http://...@localhost:80': should hold no"),
        ("somebody:pass-word@localhost:80", "'...@localhost:80': should hold no user name"),
        ("http://localhost:8080/?page=1", "should end after the port or the path"),
        ("http://localhost:8080#x", "should end after the port or the path"),
        ("http://\U0001f600.example", "is no valid address"),
        ("http://*:8080", "is no valid address"),
    ],
)
def test_a_wrong_address_is_one_line(text, words, dataset):
    assert studio_address.is_address(text)
    with complaint(words, studio_address.EXAMPLE) as caught:
        studio_server.export_studio(dataset, text)
    assert "ss-word" not in str(caught.value)


@pytest.mark.parametrize("text", ["a..b:80", f"{'a' * 300}:80", "nobody.invalid:80"])
def test_a_host_that_is_not_there_is_one_line(text, dataset):
    with complaint("no Label Studio answers there"):
        studio_server.export_studio(dataset, text)


def test_a_file_that_is_there_is_no_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels:12").touch()
    for text in ("labels:12", "labels.json", "data/a:12", r"C:\labels.json", "C:/a", "a b:1"):
        assert not studio_address.is_address(text)
    assert studio_address.is_address("labels:13")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        DEEP,
        b'{"password": "secret-word"}',
        b'{"password": "secret-word", "token": 7}',
        b'{"password": "secret-word", "token": null}',
        b'{"password": "secret-word", "token": ["secret-word"]}',
        b'{"password": "secret-word", "token": ""}',
        b'{"password": "secret-word", "token": "secret-word\\r\\nX: y"}',
        b'{"password": "secret-word", "token": "secret-word\\u0000"}',
        b'{"password": "secret-word", "token": "\\u00e4"}',
        b'{"password": "secret-word", "token": "' + b"x" * 10**6 + b'"}',
        b'{"password": {}, "token": "secret-word"}',
    ],
)
def test_a_damaged_access_file_is_one_line_that_tells_nothing_of_it(content, serve, dataset):
    path = dataset / "labelling" / "label-studio" / "access.json"
    path.write_bytes(content)
    server = serve(healthy)
    with complaint(f"{path}: should hold a password and a token") as caught:
        studio_server.export_studio(dataset, server.address)
    assert "secret-word" not in str(caught.value)
    assert server.heads == []
