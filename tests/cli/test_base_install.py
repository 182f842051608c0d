"""What the base install does on every system: runs without torch, conftest.py and a clone.

    pip install cardpose-*.whl pytest
    pytest --noconftest --override-ini pythonpath= tests/cli/test_base_install.py

The GitHub workflow runs it on Linux, macOS and Windows. The network is the stand-in of `support`,
whose counts are the mean of the red channel / 10.
"""

import csv
import io
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import cardpose

FILES = Path(__file__).resolve().parents[1] / "files"
NETWORK = FILES / "stand_in.onnx"
WITHOUT_TORCH = pytest.mark.skipif(find_spec("torch") is not None, reason="torch is installed")


def run(folder, *arguments, **environment):
    """Run a command as a user does; return its exit status and the bytes of stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "cardpose", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
    )
    return done.returncode, done.stdout, done.stderr


def picture(path, red):
    """Write a picture in the format of its suffix, with the stand-in's count `red` / 10."""
    made = np.full((48, 64, 3), (90, 120, red), np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, made)[1].tobytes())
    return path


@pytest.fixture
def packet(tmp_path):
    return picture(tmp_path / "packet.png", 200)


def test_the_stand_in_is_that_of_the_other_tests(tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("torch")
    support = pytest.importorskip("support")
    support.write_stand_in(tmp_path / "made.onnx")
    assert (tmp_path / "made.onnx").read_bytes() == NETWORK.read_bytes()


def test_a_folder_of_pictures_and_a_video_are_counted_and_drawn(tmp_path):
    folder = tmp_path / "Päckchen 牌"
    folder.mkdir()
    for suffix in (".jpg", ".png", ".webp", ".tiff", ".avif"):
        if suffix != ".avif" or cv2.haveImageWriter(".avif"):
            picture(folder / f"é{suffix}", 200)
    for name in ("corner.heic", "plain.mp4"):
        (folder / name).write_bytes((FILES / name).read_bytes())
    given = len(list(folder.iterdir()))
    words = ["predict", folder.name, "--model", NETWORK, "--output", "drawn"]
    for _ in range(2):  # the second time over its own files
        status, _, err = run(tmp_path, *words, "--csv", "found.csv", "--jsonl", "found.jsonl")
        assert (status, err) == (0, b""), err.decode()
    assert len(os.listdir(tmp_path / "drawn")) == given
    written = (tmp_path / "found.csv").read_bytes()
    assert b"\r" not in written + (tmp_path / "found.jsonl").read_bytes()
    rows = list(csv.DictReader(io.StringIO(written.decode())))
    records = [json.loads(line) for line in (tmp_path / "found.jsonl").open(encoding="utf-8")]
    assert [row["input"] for row in rows] == [record["input"] for record in records]
    counts = {Path(row["input"]).name: float(row["cards"]) for row in rows if row["cards"]}
    assert counts.keys() == {path.name for path in folder.iterdir()}
    assert all(abs(counts[name] - 20) < 0.5 for name in counts if name.startswith("é"))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["drawn", "found.csv", "found.jsonl", folder.name]
    )


def test_a_screen_that_lacks_the_letters_of_a_name_shows_them_escaped(tmp_path):
    name = picture(tmp_path / "牌.png", 200).name
    status, out, _ = run(
        tmp_path, "predict", name, "--model", NETWORK, PYTHONIOENCODING="cp1252", PYTHONUTF8="0"
    )
    assert status == 0
    assert rb"\u724c.png" in out


def test_errors_are_one_line(tmp_path, packet):
    (tmp_path / "mine.csv").write_text("mine")
    for words in (
        ["predict", "nowhere.png"],
        ["predict", packet, "--csv", "mine.csv"],
        ["predict", packet, "--model", "nowhere.onnx"],
    ):
        model = [] if "--model" in words else ["--model", NETWORK]
        status, _, err = run(tmp_path, *words, *model)
        assert status == 1
        assert err.startswith(b"error: ")
        assert len(err.splitlines()) == 1
    assert (tmp_path / "mine.csv").read_text() == "mine"


@WITHOUT_TORCH
@pytest.mark.parametrize("command", ["predict packet.png --model", "export"])
def test_networks_for_torch_say_what_to_install(tmp_path, packet, command):
    (tmp_path / "network.safetensors").touch()
    status, _, err = run(tmp_path, *command.split(), "network.safetensors")
    assert status == 1
    assert b'pip install "cardpose[train]"' in err
    assert len(err.splitlines()) == 1


def test_python_counts_paths_arrays_and_pillow_images(packet):
    predictor = cardpose.load(NETWORK)
    array = cv2.imdecode(np.fromfile(packet, np.uint8), cv2.IMREAD_COLOR)
    with Image.open(packet) as image:
        results = [predictor.predict(each) for each in (packet, str(packet), array, image)]
    results.append(predictor.predict(array[..., ::-1], rgb=True))
    assert [round(result.cards, 3) for result in results] == [20] * 5
    assert np.isfinite(results[0].corners["upper_left_face"]).all()
    assert results[0].draw(array).shape == array.shape


def test_the_command_says_its_version_and_completes():
    status, out, _ = run(FILES, "--version")
    assert (status, out.decode().strip()) == (0, f"cardpose {cardpose.__version__}")
    for shell in ("bash", "zsh", "tcsh"):
        status, out, err = run(FILES, "completion", shell)
        assert (status, err) == (0, b"")
        assert b"predict" in out
