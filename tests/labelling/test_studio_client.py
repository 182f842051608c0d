"""Requests to Label Studio: odd and endless answers, redirects, limits."""

import gzip
import json
import re
import time
import tracemalloc

import pytest
from raw_server import (
    DEEP,
    HEAD,
    PROJECT,
    PROJECTS,
    TASKS,
    TOKEN,
    complaint,
    endless,
    healthy,
    is_export,
    reply,
)

from cardpose.common.errors import one_line
from cardpose.labelling import studio_client, studio_server
from cardpose.labelling.studio_client import Limits


def test_requests_carry_the_token(serve, studio_dataset):
    server = serve(healthy)
    assert json.loads(studio_server.export_studio(studio_dataset, server.address)) == TASKS
    assert len(server.heads) == 2
    assert all(f"Authorization: Token {TOKEN}\r\n".encode() in head for head in server.heads)
    without_scheme = server.address.removeprefix("http://")
    assert json.loads(studio_server.export_studio(studio_dataset, f"{without_scheme}/")) == TASKS


def test_proxies_and_netrc_are_not_used(serve, studio_dataset, tmp_path, monkeypatch):
    other, server = serve(healthy), serve(healthy)
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, other.address)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password guessed\n")
    monkeypatch.setenv("NETRC", str(netrc))
    studio_server.export_studio(studio_dataset, server.address)
    assert other.heads == []
    assert all(b"Authorization: Token" in head for head in server.heads)


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
def test_an_odd_answer_is_one_line_that_names_the_address(name, place, serve, studio_dataset):
    odd, words = ODD[name]
    server = serve(lambda head: odd if is_export(head) == (place == "tasks") else healthy(head))
    with complaint(server.address, words) as caught:
        studio_server.export_studio(studio_dataset, server.address)
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
def test_odd_lists_of_projects_are_one_line(projects, words, serve, studio_dataset):
    server = serve(lambda head: reply(TASKS if is_export(head) else projects))
    with complaint(server.address, words):
        studio_server.export_studio(studio_dataset, server.address)


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
def test_odd_tasks_are_one_line(tasks, words, serve, studio_dataset):
    server = serve(lambda head: reply(tasks if is_export(head) else PROJECTS))
    with complaint(f"{server.address}/api/projects/7/export", words):
        studio_server.export_studio(studio_dataset, server.address)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("place", ["projects", "tasks"])
def test_a_redirect_is_not_followed_and_gets_no_token(place, status, serve, studio_dataset):
    other = serve(healthy)
    away = reply(b"", f"{status} Away", f"Location: {other.address}/api/projects")
    server = serve(lambda head: away if is_export(head) == (place == "tasks") else healthy(head))
    with complaint(f"answers {status}: sends to '{other.address}/api/projects'"):
        studio_server.export_studio(studio_dataset, server.address)
    assert other.heads == []


@pytest.mark.parametrize("same", [True, False])
def test_pages_without_end_are_one_line(same, serve, studio_dataset, monkeypatch):
    monkeypatch.setattr(studio_client, "_PAGES", 4)
    count = iter(range(1, 1000))
    server = serve(
        lambda head: reply(
            {"results": [{"id": 1 if same else next(count), "title": None}], "next": "again"}
        )
    )
    with complaint("its list of projects has no end"):
        studio_server.export_studio(studio_dataset, server.address)
    assert len(server.heads) == (2 if same else 4)


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
def test_a_long_answer_is_one_line_and_little_memory(answer, serve, studio_dataset, monkeypatch):
    monkeypatch.setattr(studio_client, "SHORT", Limits(seconds=60, size=2**20))
    server = serve(lambda head: answer())
    gzip.compress(b"")
    tracemalloc.start()
    try:
        with complaint(f"{server.address}/api/projects", "longer than 1048576 bytes"):
            studio_server.export_studio(studio_dataset, server.address)
        assert tracemalloc.get_traced_memory()[1] < 2**28
    finally:
        tracemalloc.stop()


def slow(start, piece):
    """An answer of a few seconds, each piece of which comes soon."""
    yield start
    for _ in range(150):
        time.sleep(0.02)
        yield piece


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
def test_an_answer_that_drips_is_one_line(answer, serve, studio_dataset, monkeypatch):
    monkeypatch.setattr(studio_client, "SHORT", Limits(seconds=0.3, size=2**20))
    server = serve(lambda head: answer())
    with complaint(server.address) as caught:
        studio_server.export_studio(studio_dataset, server.address)
    # Of two time-outs that are as long, either may be the first.
    assert re.search(r"no whole answer within 0\.3 seconds|timed out", str(caught.value))


def test_only_the_beginning_of_an_error_is_read(serve, studio_dataset):
    server = serve(lambda head: endless(b"HTTP/1.1 500 Oh\r\n\r\n", b"x" * 65536))
    with complaint("answers 500: xxx"):
        studio_server.export_studio(studio_dataset, server.address)


def test_all_requests_of_a_client_have_one_time_limit(serve, studio_dataset, monkeypatch):
    monkeypatch.setattr(studio_client, "_TOTAL", 0)
    with complaint("no whole answer within"):
        studio_server.export_studio(studio_dataset, serve(healthy).address)
