"""Label Studio on this machine: its project, its tasks, its start, its access file."""

import json

import pytest
from raw_server import (
    DEEP,
    HEAD,
    NO_TASKS,
    PROJECT,
    TASKS,
    complaint,
    endless,
    healthy,
    is_export,
    reply,
)

from cardpose.common.errors import one_line
from cardpose.labelling import studio_server
from cardpose.labelling.label_import import read_labels_json
from cardpose.labelling.studio_client import Limits


def test_the_project_is_found_on_any_page(serve, studio_dataset):
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
    assert json.loads(studio_server.export_studio(studio_dataset, server.address)) == TASKS
    assert len(server.heads) == 4
    assert b"/api/projects/7/export" in server.heads[-1]


@pytest.mark.parametrize("made", [{}, {"id": "7"}, {"id": 10**400}, [], None, 7])
def test_an_odd_answer_to_a_new_project_is_one_line(made, serve, studio_dataset):
    server = serve(lambda head: reply(made if head.startswith(b"POST") else {"results": []}))
    with complaint(f"{server.address}/api/projects: "):
        studio_server.fill_studio(studio_dataset, NO_TASKS, server.address)


def test_the_request_for_a_new_project_follows_no_redirect(serve, studio_dataset):
    other = serve(healthy)
    away = reply(b"", "307 Away", f"Location: {other.address}/")
    server = serve(lambda head: away if head.startswith(b"POST") else reply({"results": []}))
    with complaint("answers 307"):
        studio_server.fill_studio(studio_dataset, NO_TASKS, server.address)
    assert other.heads == []


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


class Ended:
    """A process that has ended once `after` questions whether it has."""

    def __init__(self, after):
        self.after = after

    def poll(self):
        self.after -= 1
        return 1 if self.after < 0 else None


def test_health_checks_send_no_token_and_follow_no_redirect(serve, studio_dataset, monkeypatch):
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
    studio_server.wait_until_healthy(Ended(9).poll, server.address, studio_dataset)
    assert len(server.heads) == 4
    assert all(head.startswith(b"GET /health ") for head in server.heads)
    assert not any(b"Authorization" in head for head in server.heads)
    assert other.heads == []


def test_an_endless_answer_to_a_health_check_does_not_count(serve, studio_dataset, monkeypatch):
    monkeypatch.setattr(studio_server, "_PAUSE", 0)
    monkeypatch.setattr(studio_server, "_HEALTH", Limits(seconds=60, size=2**16))
    server = serve(lambda head: endless(HEAD + b"\r\n", b" " * 65536))
    with complaint("Label Studio does not start"):
        studio_server.wait_until_healthy(Ended(2).poll, server.address, studio_dataset)
    assert len(server.heads) == 2


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
def test_a_damaged_access_file_is_reported_without_its_content(content, serve, studio_dataset):
    path = studio_dataset / "labelling" / "label-studio" / "access.json"
    path.write_bytes(content)
    server = serve(healthy)
    with complaint(f"{path}: should hold a password and a token") as caught:
        studio_server.export_studio(studio_dataset, server.address)
    assert "secret-word" not in str(caught.value)
    assert server.heads == []
