"""The command `cardpose app`: what it serves, builds and refuses."""

import argparse
import shutil
import socket

from browser_page import without_packages

from cardpose.cli import app
from cardpose.cli.app import site_server
from cardpose.cli.site import APP, build_site, read_site


def arguments(*words):
    parser = argparse.ArgumentParser()
    app.add_app_arguments(parser)
    return parser.parse_args(words)


def test_the_command_serves_until_it_is_interrupted(monkeypatch, model, files, capsys):
    opened = []

    def interrupted(server):
        opened.append(server.server_port)
        raise KeyboardInterrupt

    monkeypatch.setattr(app.PageServer, "serve_forever", interrupted)
    monkeypatch.setattr(app.webbrowser, "open", opened.append)
    app.run_app(arguments("--model", str(model), "--port", "0"))
    url, port = opened
    assert url == f"http://127.0.0.1:{port}/"
    assert capsys.readouterr().out.startswith(url)
    app.run_app(arguments("--model", str(model), "--port", "0", "--no-browser"))
    assert len(opened) == 3


def test_a_missing_or_broken_model_is_reported(complains, tmp_path):
    with complains("none.onnx: there is no such file", "`make repro`"):
        app.run_app(arguments("--model", str(tmp_path / "none.onnx")))
    (tmp_path / "note.onnx").write_text("no network")
    with complains("note.onnx", "should be a network"):
        app.run_app(arguments("--model", str(tmp_path / "note.onnx")))


def test_missing_node_packages_are_reported(complains, model, tmp_path):
    shutil.copytree(APP, tmp_path / "app", ignore=without_packages)
    with complains("onnxruntime-web", "`make app`"):
        read_site(model, tmp_path / "app")


def test_a_taken_or_impossible_port_is_reported(complains, files):
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        complains(f"port {taken.getsockname()[1]}", "in use", "--port"),
    ):
        site_server(files, taken.getsockname()[1])
    with complains("port 99999", "--port"):
        site_server(files, 99999)


def test_a_folder_with_other_files_is_left_alone(complains, model, files, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with complains("mine", "holds something else"):
        build_site(tmp_path / "mine", files)
    assert (tmp_path / "mine/notes.txt").read_text() == "mine"


def test_building_again_replaces_the_earlier_build(model, files, tmp_path, capsys):
    words = ("--model", str(model), "--build", str(tmp_path / "page"))
    listed = files["sw.js"].replace(b"FILES = [", b'FILES = ["old.js", ')
    build_site(tmp_path / "page", {**files, "old.js": b"", "sw.js": listed})
    (tmp_path / "page/CNAME").write_text("cards.example")  # what a host may want there
    app.run_app(arguments(*words))
    assert "page: upload this folder" in capsys.readouterr().out
    built = [path for path in (tmp_path / "page").rglob("*") if path.is_file()]
    contents = {path.relative_to(tmp_path / "page").as_posix(): path.read_bytes() for path in built}
    assert contents == {**files, "CNAME": b"cards.example"}
