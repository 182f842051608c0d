"""The wheel, as somebody installs it who only wants to count: no clone, no torch, no node."""

import gzip
import os
import subprocess
import sys
import venv

import cv2
import pytest
from browser_page import running
from support import REPOSITORY

import cardpose
from cardpose.cli.app import site_server
from cardpose.cli.site import APP, build_site, read_site
from cardpose.inference.predictor import load
from cardpose.rendering.renderer import Renderer
from cardpose.rendering.scenes import random_scene

NETWORK = REPOSITORY / "models/pretrained.safetensors"
LARGEST = 30e6  # bytes
READY = ["--old-file=install", "--old-file=app/node_modules/.installed"]  # do not install again


def run(*command, folder, ok=True):
    """Run a command that does not see the repository; return its standard output and errors."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "CARDPOSE"))}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    if not (APP / "node_modules/onnxruntime-web").is_dir():
        pytest.skip("app/node_modules is not there: `make test` installs it, if npm is there")
    folder = tmp_path_factory.mktemp("wheel")
    places = [f"BUILD={folder}/build", f"DIST={folder}", f"NETWORK={NETWORK}"]
    path = {"PATH": f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["make", *READY, "wheel", *places],
        cwd=REPOSITORY,
        env={**os.environ, **path, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of programs of an environment with the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    programs = folder / "bin"
    versions = REPOSITORY / "requirements.lock"
    pip = [programs / "python", "-m", "pip", "install", "--quiet", "--constraint", versions]
    run(*pip, wheel, folder=folder)
    return programs


@pytest.fixture
def picture(tmp_path):
    """A rendered packet of 30 cards, in an otherwise empty folder."""
    path = tmp_path / "packet.png"
    cv2.imwrite(str(path), Renderer(random_scene(1, 30, 8)).frame(2))
    return path


def test_the_pipeline_brings_the_network_of_a_wheel_up_to_date(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/cardpose.onnx").touch()  # of older code
    make = ["make", "--dry-run", *READY, f"--file={REPOSITORY}/Makefile", "wheel"]
    out, _ = run(*make, folder=tmp_path)
    commands = out.splitlines()
    export = next(line for line in commands if line.startswith("cardpose export"))
    assert commands.index("dvc repro") < commands.index(export)


def test_the_wheel_is_small(wheel):
    assert 2e6 < wheel.stat().st_size < LARGEST


def test_the_command_counts_as_in_the_repository(installed, picture):
    expected = load(NETWORK).predict(picture)
    assert expected.packet
    out, err = run(installed / "cardpose", "predict", picture.name, folder=picture.parent)
    assert err == "network: the one that comes with cardpose\n"
    name, cards, *_ = out.splitlines()[1].split()
    assert name == "packet.png"
    assert float(cards) == pytest.approx(expected.cards, abs=0.1)


def test_python_counts_as_in_the_repository(installed, picture):
    code = "import cardpose; print(cardpose.load().predict('packet.png').cards)"
    out, _ = run(installed / "python", "-c", code, folder=picture.parent)
    assert float(out) == pytest.approx(load(NETWORK).predict(picture).cards, abs=0.1)


def test_the_page_is_that_of_the_repository(installed, picture, tmp_path):
    run(installed / "cardpose", "app", "--build", "page", folder=tmp_path)
    network = tmp_path / "cardpose.onnx"
    network.write_bytes(gzip.decompress((tmp_path / "page/cardpose.onnx.gz").read_bytes()))
    build_site(tmp_path / "expected", read_site(network))
    run("diff", "-r", "page", "expected", folder=tmp_path)


def test_the_page_counts_as_in_the_repository(installed, picture, tmp_path, visit):
    run(installed / "cardpose", "app", "--build", "page", folder=tmp_path)
    paths = [path for path in (tmp_path / "page").rglob("*") if path.is_file()]
    files = {path.relative_to(tmp_path / "page").as_posix(): path.read_bytes() for path in paths}
    files["empty.html"] = b"<!doctype html><link rel=icon href=icons/icon.svg>"
    files["packet.png"] = picture.read_bytes()
    with running(site_server(files, 0)) as url:
        found = visit(url + "empty.html").evaluate("""async () => {
            const { counter } = await import("./counter.js");
            const file = await (await fetch("packet.png")).blob();
            return (await counter.count(await createImageBitmap(file), 1920)).cards;
        }""")
    assert found == pytest.approx(load(NETWORK).predict(picture).cards, abs=0.1)


def test_training_names_the_extra_that_it_misses(installed, tmp_path):
    for command in (["predict", ".", "--model", NETWORK], ["check", "."], ["export", NETWORK]):
        (tmp_path / "a.png").touch()
        _, err = run(installed / "cardpose", *command, folder=tmp_path, ok=False)
        assert 'pip install "cardpose[train]"' in err
        assert len(err.splitlines()) == 1


def test_the_command_says_its_version(installed, tmp_path):
    version = run(installed / "cardpose", "--version", folder=tmp_path)[0]
    assert version == f"cardpose {cardpose.__version__}\n"
