"""What can be done to a repository that a stage, or a command, has to name in one line."""

import contextlib
import importlib
import json
import os
import re
import resource
import shutil
import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from dvc.utils.serialize import dumps_yaml, loads_yaml
from safetensors import safe_open
from safetensors.torch import save_file
from support import SMALLEST

from cardpose.common.errors import run_stage
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.network.model import CardPose, network_shape

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "tests" / "files"
CLIP = "data/mine/videos/clip.mp4"
SHOT = "data/mine/videos/shots/shot_1.jpg"
VIDEOS, LABELS = "data/mine/videos.csv", "data/mine/annotations.csv"
LOSSES = "metrics/train/plots/metrics/whole/train/cards.tsv"
POINTS = "data/cardcut/original/cardpoints.csv"
PRETRAINED, TRAINED = "models/pretrained.safetensors", "models/cardpose.safetensors"
HEADER = "frame," + ",".join(f"{k}_visible,{k}_x,{k}_y" for k in KEYPOINTS)
CARDCUT = "imageName,annotated,cards_counted,total_cards," + HEADER.removeprefix("frame,")
SEEN = ",1,0.5,0.25" + ",0,," * 7
PROGRESS = re.compile(r"(render|extract frames|make heatmaps|convert|evaluate|learn geometry): .*")


def jpeg(height=48, width=64, level=100):
    noise = np.random.default_rng(level).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.imencode(".jpg", noise)[1].tobytes()


def stage(name):
    run_stage(importlib.import_module(f"stages.{name}").main)


def contents(folder):
    """{path: bytes, or what it is} of all that lies in a folder, hidden files included."""
    found = {}
    for path in sorted(folder.rglob("*")):
        kind = "folder" if path.is_dir() else "special"
        found[str(path.relative_to(folder))] = path.read_bytes() if path.is_file() else kind
    return found


def complaint(text):
    """The one line on stderr that is no progress bar, and no warning of what evaluate found."""
    lines = [line.strip() for line in re.split(r"[\r\n]", text)]
    lines = [line for line in lines if line and not line.startswith("warning: ")]
    (line,) = [line for line in lines if not PROGRESS.fullmatch(line)]
    return line.removeprefix("error: ")


def fails(folder, capfd, work, words):
    """`work` has to end with status 1 and a line that holds the words, and change nothing."""
    before = contents(folder)
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        work()
    assert ended.value.code == 1
    out, error = capfd.readouterr()
    assert "error: " in error
    line = complaint(error)
    for word in words:
        assert word in line
    assert len(line) < 400
    assert "EP Error" not in out
    assert contents(folder) == before


def put(path, content):
    def damage(folder):
        data = content() if callable(content) else content
        data = data.encode() if isinstance(data, str) else data
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)

    return damage


def copy(source, path, share=1.0):
    """A file, or the first so much of it, in another's place."""

    def damage(folder):
        content = (FILES / source if (FILES / source).exists() else folder / source).read_bytes()
        (folder / path).write_bytes(content[: int(len(content) * share)])

    return damage


def cut(path, share=0.5):
    return copy(path, path, share)


def edit(path, old, new, encoding="utf-8"):
    def damage(folder):
        text = (folder / path).read_text()
        assert old in text
        (folder / path).write_bytes(text.replace(old, new).encode(encoding))

    return damage


def gone(path):
    def damage(folder):
        target = folder / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    return damage


def folder_at(path):
    def damage(folder):
        gone(path)(folder)
        (folder / path).mkdir()

    return damage


def pipe_at(path):
    def damage(folder):
        gone(path)(folder)
        os.mkfifo(folder / path)

    return damage


def params(**changes):
    """Parameters by their dotted names, with __ for each dot."""

    def damage(folder):
        values = loads_yaml((folder / "params.yaml").read_text())
        for name, value in changes.items():
            *sections, last = name.split("__")
            section = values
            for part in sections:
                section = section[part]
            section[last] = value
        (folder / "params.yaml").write_text(dumps_yaml(values))

    return damage


def weights(path, change=lambda weights: None, **about):
    """A network of another shape or with other weights."""

    def damage(folder):
        made = {**SMALLEST, **about}
        state = CardPose(**network_shape(made)).state_dict()
        change(state)
        save_file(state, folder / path, metadata={"cardpose": json.dumps(made)})

    return damage


def claims(path, text):
    """A network whose metadata say something else of it."""

    def damage(folder):
        with safe_open(folder / path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        save_file(state, folder / path, metadata={"cardpose": text})

    return damage


def all_of(*damages):
    def damage(folder):
        for each in damages:
            each(folder)

    return damage


def spoil(state):
    state["stem.0.weight"][0, 0, 0, 0] = torch.nan


def claim(**changes):
    return json.dumps({**SMALLEST, **changes})


def png_header(width, height):
    """A PNG that claims to be so large: all zeros, which compress a thousandfold."""

    def chunk(kind, data):
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def row(line, text):
    """The line of videos.csv that is replaced, and by what."""

    def damage(folder):
        lines = (folder / VIDEOS).read_text().splitlines()
        lines[line - 1] = text
        (folder / VIDEOS).write_bytes(("\n".join(lines) + "\n").encode())

    return damage


def label(text):
    """The first label of annotations.csv, on line 2, replaced."""
    return edit(LABELS, "clip_frame_0" + SEEN, text)


def point(old, new):
    """The same of cardcut's cardpoints.csv."""
    return edit(POINTS, old, new)


def cramped(most, work):
    with room(most):
        work()


@contextlib.contextmanager
def room(most):
    """Limit files to `most` bytes, as a full disk would.

    Python caches no compiled modules meanwhile, because it would leave half a file.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)
        patch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # in workers
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
