"""Nobody is told that cardpose runs: no library that it uses leaves files or reports."""

import ast
import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "cardpose"]
FOLDERS = ("cardpose", "stages", "benchmarks", "tests")
MODULES = {path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
SOURCES = sorted(MODULES - {ROOT / "cardpose/common/onnx_runtime.py"})
EXPORT = """
from pathlib import Path
import torch
from cardpose.inference.export import export_onnx
from cardpose.network.model import CardPose, network_shape
from cardpose.inference.predictor import load
from support import ABOUT

about = ABOUT | {"margins": {"picture": 1.0, "keypoints": 1.0, "both": 1.0}}
torch.manual_seed(0)
export_onnx("made.onnx", CardPose(**network_shape(about)).eval(), about, "both", {})
load("made.onnx")
"""
PATIENCE = 60  # seconds; ONNX Runtime first reports about 9 s after it is imported


def environment(home, **more):
    """The variables of a user at home: ONNX Runtime is silent where it finds those of a CI."""
    home.mkdir(exist_ok=True)
    places = {"HOME": home, "XDG_CACHE_HOME": home / "cache", "XDG_CONFIG_HOME": home / "config"}
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        **{name: str(place) for name, place in places.items()},
        **more,
    }


def left(home):
    return sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "packet.png"
    cv2.imwrite(str(path), np.full((48, 64, 3), 200, np.uint8))
    return path


@pytest.mark.parametrize("wanted", [{}, {"ORT_DISABLE_TELEMETRY": "0"}], ids=["unset", "0"])
def test_predict_leaves_no_file_in_the_users_home(picture, stand_in, tmp_path, wanted):
    home = tmp_path / "home"
    command = [*COMMAND, "predict", picture, "--model", stand_in]
    run = subprocess.run(command, env=environment(home, **wanted), capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert left(home) == []


def test_building_the_page_leaves_no_file_in_the_users_home(stand_in, tmp_path):
    if not (ROOT / "app/node_modules/onnxruntime-web").is_dir():
        pytest.skip("app/node_modules is not there: `make test` installs it, if npm is there")
    home = tmp_path / "home"
    command = [*COMMAND, "app", "--model", stand_in, "--build", tmp_path / "page"]
    run = subprocess.run(command, env=environment(home), capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert left(home) == []


def test_exporting_a_network_leaves_no_file_in_the_users_home(tmp_path):
    home = tmp_path / "home"
    command = [sys.executable, "-c", EXPORT]
    run = subprocess.run(
        command, cwd=tmp_path, env=environment(home), capture_output=True, text=True
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert left(home) == []


class Proxy:
    """A proxy for a process, which refuses all and counts who asks.

    Whatever a library wants to send comes here, so nothing leaves this machine, and no name has to
    be looked up.
    """

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        names = ("http_proxy", "https_proxy", "all_proxy")
        self.variables = {n: address for name in names for n in (name, name.upper())}

    def asked(self, seconds):
        """What the next client asks for, or None where none comes."""
        if not select.select([self.socket], [], [], seconds)[0]:
            return None
        with self.socket.accept()[0] as connection:
            return connection.recv(1000).decode(errors="replace").split("\r\n")[0]


@contextlib.contextmanager
def started(command, **options):
    """A process that ends once it has read its input to the end."""
    options |= {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield process
        process.communicate(timeout=PATIENCE)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def watched(trace):
    """A command that notes in the file `trace` whom a process connects to; [] where none works."""
    command = ["strace", "--seccomp-bpf", "-f", "-e", "trace=connect", "-o", str(trace)]
    works = shutil.which("strace") and not subprocess.run([*command, "true"]).returncode
    return command if works else []


def test_a_network_kept_loaded_asks_for_no_host(stand_in, tmp_path):
    """ONNX Runtime alone runs beside it: once that reports, the other has had the time to."""
    trace = tmp_path / "trace"
    keep = (
        "import sys; from cardpose.inference.predictor import load\n"
        "load(sys.argv[1]); print('loaded', flush=True); sys.stdin.read()"
    )
    alone = "import onnxruntime, sys; sys.stdin.read()"
    ours, theirs = Proxy(), Proxy()
    home, other = tmp_path / "home", tmp_path / "other"
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(
            started(
                [*watched(trace), sys.executable, "-c", keep, stand_in],
                env=environment(home, **ours.variables),
            )
        )
        assert kept.stdout.readline() == "loaded\n"
        stack.enter_context(
            started([sys.executable, "-c", alone], env=environment(other, **theirs.variables))
        )
        if theirs.asked(PATIENCE) is None:
            pytest.skip("this ONNX Runtime reports to nobody by itself")
        assert left(other) != []
        assert ours.asked(2) is None
        assert kept.poll() is None
    assert left(home) == []
    connected = re.findall(r"connect\(.*AF_INET.*", trace.read_text()) if trace.exists() else []
    assert connected == []


def imports(tree):
    """The names of the modules that a syntax tree imports, also by a call with a name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func
            called = getattr(called, "id", called)
            first = node.args[0]
            if called in ("import_module", "__import__", "importorskip", "find_spec"):
                yield str(getattr(first, "value", ""))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_other_module_imports_onnx_runtime(path):
    names = imports(ast.parse(path.read_text(encoding="utf-8")))
    assert [name for name in names if name.split(".")[0] == "onnxruntime"] == []


def test_dvc_reports_nothing_and_asks_for_no_newer_version():
    read = [str(Path(sys.executable).parent / "dvc"), "config", "--project"]
    for name in ("core.analytics", "core.check_update"):
        run = subprocess.run([*read, name], cwd=ROOT, capture_output=True, text=True)
        assert run.stdout.strip() == "false"
