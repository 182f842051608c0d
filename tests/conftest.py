"""What several tests share: videos to order, a small data set, and how a complaint has to read."""

import os

from jaxtyping import install_import_hook

if os.environ.get("CARDPOSE_UNCHECKED") != "1":
    # Before anything imports the package: types and shapes of its functions are checked in tests.
    install_import_hook("cardpose", "beartype.beartype")

import contextlib
import signal

import cv2
import numpy as np
import pytest
from support import REPOSITORY, _write_video, write_stand_in

from cardpose.common import locks
from cardpose.common.errors import InputError
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.params import load_params

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # FFmpeg looks once, at the first video

# Shells let what they start in the background ignore Ctrl-C, and all that it starts as well.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def write_video():
    """write(path, pictures, codec): a video; without pictures, 25 frames of brightness 10 index."""
    return _write_video


@pytest.fixture
def small_dataset(tmp_path):
    """A valid data set: clip.mp4, 25 frames of brightness 10 index, and the folder shots.

    Its labels are of clip's frames 0, 7 and 20 and of all of shots' frames, 0, 2 and 10: in each
    only the first keypoint is visible, at x = 0.5 and y = 0.25.
    """
    folder = tmp_path / "small"
    (folder / "videos" / "shots").mkdir(parents=True)
    _write_video(folder / "videos" / "clip.mp4")
    for index in (0, 2, 10):
        picture = np.full((48, 64, 3), 100 + index, np.uint8)
        cv2.imwrite(str(folder / "videos" / "shots" / f"shot_{index}.png"), picture)
    rows = "video,cards_counted,total_cards\nclip.mp4,3,52\nshots,52,52\n"
    (folder / "videos.csv").write_text(rows)
    labelled = [f"clip_frame_{i}" for i in (0, 7, 20)] + [f"shots_frame_{i}" for i in (0, 2, 10)]
    header = "frame," + ",".join(f"{k}_visible,{k}_x,{k}_y" for k in KEYPOINTS)
    lines = [header] + [f"{frame},1,0.5,0.25" + ",0,," * 7 for frame in labelled]
    (folder / "annotations.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def stand_in(tmp_path):
    """The path of an ONNX file that stands in for a network, see `write_stand_in`."""
    path = tmp_path / "network" / "stand_in.onnx"
    path.parent.mkdir()
    write_stand_in(path)
    return path


@pytest.fixture
def complains():
    """with complains("a", "b"): the block has to raise an InputError of one line with a and b."""

    @contextlib.contextmanager
    def expect(*words):
        with pytest.raises(InputError) as caught:
            yield
        message = str(caught.value)
        assert "\n" not in message
        for word in words:
            assert word in message

    return expect


@pytest.fixture
def params():
    """The parameters of the repository's params.yaml; tests set those that they depend on."""
    return load_params(REPOSITORY / "params.yaml")


@pytest.fixture
def cardpose(stand_in, tmp_path, monkeypatch, capsys):
    """cardpose("predict", ...): run in tmp_path with the stand-in; (status, stdout, stderr)."""
    from cardpose.cli.main import main

    monkeypatch.chdir(tmp_path)

    def run(command, *arguments, model=stand_in):
        model = [] if model is None else ["--model", str(model)]
        with pytest.raises(SystemExit) as ended:
            main([command, *map(str, arguments), *model])
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


@pytest.fixture
def no_waiting(monkeypatch):
    """Let nobody wait for a file that another process writes."""

    class Impatient(locks.FileLock):
        def acquire(self, *_, **__):
            return super().acquire(timeout=0)

    monkeypatch.setattr(locks, "FileLock", Impatient)
