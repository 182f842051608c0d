"""Everything that a user can hand in, handed in wrong: one line says what, and nothing is lost.

Each case damages one thing in a small repository whose stages have all run, and runs a stage. It
has to end with status 1 and one line, leave the old outputs as they were, and nothing beside them.
What looks odd and does no harm has to be read right.
"""

import contextlib
import importlib
import json
import os
import pickle
import re
import resource
import shutil
import struct
import subprocess
import sys
import zlib
from concurrent.futures import BrokenExecutor
from pathlib import Path

import cv2
import joblib
import numpy as np
import onnx
import onnx.parser
import pandas as pd
import pytest
import torch
from dvc.utils.serialize import dumps_yaml, loads_yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from outputs import as_nobody
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from support import STAND_IN

from cardpose.cli import main
from cardpose.cli.site import build_site
from cardpose.common.errors import InputError, run_stage
from cardpose.common.files import atomic_output
from cardpose.dataset.annotations import read_annotations, write_annotations
from cardpose.dataset.cardcut import convert_cardcut
from cardpose.dataset.names import split_frame_name
from cardpose.dataset.recordings import read_recordings
from cardpose.dataset.splits import split_frames
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.network.model import CardPose, network_shape
from cardpose.network.weights import save_network
from cardpose.params import Params, load_params
from cardpose.pictures.reading import read_picture
from cardpose.pictures.videos import sampled_frames

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "tests" / "files"
CLIP = "data/mine/videos/clip.mp4"
SHOT = "data/mine/videos/shots/shot_1.jpg"
VIDEOS, LABELS = "data/mine/videos.csv", "data/mine/annotations.csv"
POINTS = "data/cardcut/original/cardpoints.csv"
PRETRAINED, TRAINED = "models/pretrained.safetensors", "models/cardpose.safetensors"
HEADER = "frame," + ",".join(f"{k}_visible,{k}_x,{k}_y" for k in KEYPOINTS)
CARDCUT = "imageName,annotated,cards_counted,total_cards," + HEADER.removeprefix("frame,")
SEEN = ",1,0.5,0.25" + ",0,," * 7
ABOUT = {
    "encoder": "plain",
    "widths": [8, 8, 8],
    "stride": 4,
    "hidden": 8,
    "image_size": [64, 48],
    "sigma": 1.5,
    "deck": 52,
    "focal": 1.06,
    "card": [63.0, 88.0, 0.3],
    "margins": None,
}
PROGRESS = re.compile(r"(render|extract frames|make heatmaps|convert|evaluate|learn geometry): .*")


def jpeg(height=48, width=64, level=100):
    noise = np.random.default_rng(level).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.imencode(".jpg", noise)[1].tobytes()


def stage(name):
    run_stage(importlib.import_module(f"stages.{name}").main)


@pytest.fixture(autouse=True)
def _no_workers():
    """Worker processes take seconds to start, and have a stderr of their own: do without them."""
    with joblib.parallel_config(backend="sequential"):
        yield


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A repository with a small data set, mine: clip.mp4 and film.mp4 of 25 frames, and a folder of
    three shots; whatever the stages make of it, networks that learnt nothing included."""
    folder = tmp_path_factory.mktemp("prepared")
    shots = folder / "data/mine/videos/shots"
    shots.mkdir(parents=True)
    for name in ("clip.mp4", "film.mp4"):
        shutil.copy(FILES / "plain.mp4", shots.parent / name)
    for index in range(3):
        (shots / f"shot_{index}.jpg").write_bytes(jpeg(level=index))
    (folder / VIDEOS).write_text(
        "video,cards_counted,total_cards\nclip.mp4,3,52\nfilm.mp4,17,52\nshots,40,52\n"
    )
    frames = [f"{name}_frame_{i}" for name in ("clip", "film") for i in (0, 5, 7)]
    frames += [f"shots_frame_{i}" for i in range(3)]
    (folder / LABELS).write_text("\n".join([HEADER, *(frame + SEEN for frame in frames)]) + "\n")
    shutil.copytree(folder / "data/mine", folder / "data/synthetic")
    images = folder / "data/cardcut/original/images"
    images.mkdir(parents=True)
    rows = [CARDCUT]
    for name in ("A_frame_0.jpg", "A_frame_20.jpg", "B_frame_0.jpg"):
        (images / name).write_bytes(jpeg())
        rows.append(f"{name},1,7,52{SEEN}")
    (folder / POINTS).write_text("\n".join(rows) + "\n")
    values = loads_yaml((ROOT / "params.yaml").read_text())
    values |= {"dataset": "mine", "frame_step": 5, "image_size": [64, 48]}
    values["synthetic"] = {"videos": 1, "frames": 10}
    values["split"] |= {"folds": 2, "validation": 0}
    values["model"] = {name: ABOUT[name] for name in ("encoder", "widths", "hidden")}
    (folder / "params.yaml").write_text(dumps_yaml(values))
    (folder / "metrics/plots").mkdir(parents=True)
    (folder / "metrics/plots/counts.png").write_bytes(b"old")
    (folder / "metrics/predictions.csv").write_text("old")
    (folder / "metrics/evaluate.json").write_text('{"cards": {"mae": 1.5}}')
    (folder / "metrics/train/plots/metrics/train").mkdir(parents=True)
    (folder / "metrics/train/plots/metrics/train/cards.tsv").write_text("step\tcards\n0\t0.1\n")
    (folder / "models").mkdir()
    torch.manual_seed(0)
    weights = CardPose(**network_shape(ABOUT)).state_dict()
    save_network(folder / PRETRAINED, weights, ABOUT)
    save_network(folder / TRAINED, weights, ABOUT)
    (folder / "models/cardpose.onnx").write_bytes(b"old")
    with pytest.MonkeyPatch.context() as patch, joblib.parallel_config(backend="sequential"):
        patch.chdir(folder)
        for name in ("extract_frames", "make_heatmaps", "convert_cardcut"):
            stage(name)
    return folder


@pytest.fixture
def repository(prepared, tmp_path, monkeypatch):
    """A copy of `prepared` for one test, and the working folder."""
    folder = tmp_path / "repository"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    return folder


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


# What can be done to a repository: functions of its folder


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
        made = {**ABOUT, **about}
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
    return json.dumps({**ABOUT, **changes})


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


BAD = {
    "extract_frames": [
        # what, how to come by it, words of the message
        # Videos
        ("a video that is empty", put(CLIP, b""), [CLIP, "cannot be opened as a video"]),
        ("a video cut off before its contents", cut(CLIP), [CLIP, "cannot be opened"]),
        ("a streamed video cut off", copy("faststart.mp4", CLIP, 0.95), [CLIP, "17 frames of 25"]),
        ("a streamed video cut off early", copy("faststart.mp4", CLIP, 0.6), [CLIP, "no frame"]),
        ("an mkv cut off", copy("plain.mkv", CLIP, 0.8), [CLIP, "12 frames of 25"]),
        ("sound alone", copy("audio_only.mp4", CLIP), [CLIP, "cannot be opened as a video"]),
        ("text as a video", put(CLIP, b"packet of 3\n" * 99), [CLIP, "cannot be opened"]),
        ("a video of no frames", copy("none.mp4", CLIP), [CLIP, "cannot be opened"]),
        ("an mkv of no frames", copy("none.mkv", CLIP), [CLIP, "cannot be opened"]),
        ("a picture as a video", put(CLIP, jpeg), [CLIP, "is a picture, not a video"]),
        ("a pipe as a video", pipe_at(CLIP), ["line 2", "clip.mp4", "a file or a folder"]),
        ("a missing video", gone(CLIP), [VIDEOS, "line 2", f"there is no {CLIP}"]),
        # Folders of pictures
        ("no pictures", folder_at("data/mine/videos/shots"), ["shots: holds no pictures"]),
        ("a picture twice", put(SHOT.replace("_1", "_01"), jpeg), ["same number", "shot_01"]),
        ("a picture without number", put(SHOT.replace("_1", ""), jpeg), ["shot.jpg", "number"]),
        ("half a picture", cut(SHOT), [SHOT, "ends early"]),
        ("an empty picture", put(SHOT, b""), [SHOT, "cannot be read as a picture"]),
        ("text as a picture", put(SHOT, "hello"), [SHOT, "cannot be read as a picture"]),
        ("a damaged PNG", put(SHOT, png_header(64, 48)[:-6]), [SHOT, "damaged"]),
        ("a bomb", put(SHOT, png_header(30_000, 30_000)), [SHOT, "too large", "268,435,456"]),
        (
            "a part of 4 GB",
            put(SHOT, b"\x89PNG\r\n\x1a\n" + bytes([0, 0, 0, 13]) + b"IHDR" + b"\xff" * 99),
            [SHOT, "damaged"],
        ),
        ("beyond OpenCV", put(SHOT, png_header(2_000_000, 2)), [SHOT, "picture"]),
        ("a HEIC picture", put(SHOT, b"\0\0\0\x18ftypheic" + bytes(99)), [SHOT, "HEIC", "JPEG"]),
        ("a folder as a picture", folder_at(SHOT), [SHOT, "Is a directory"]),
        # videos.csv
        ("a missing table", gone(VIDEOS), [VIDEOS, "No such file"]),
        ("a folder as a table", folder_at(VIDEOS), [VIDEOS, "Is a directory"]),
        ("an empty table", put(VIDEOS, b""), [VIDEOS, "line 1", "no column video"]),
        ("semicolons", edit(VIDEOS, ",", ";"), [VIDEOS, "line 1", "commas between"]),
        ("tabs", edit(VIDEOS, ",", "\t"), [VIDEOS, "line 1", "commas between"]),
        ("UTF-16", edit(VIDEOS, "v", "v", "utf-16"), [VIDEOS, "should be UTF-8 text"]),
        ("a zero byte", edit(VIDEOS, "film", "fi\0lm"), [VIDEOS, "line 3", "zero byte"]),
        ("an unclosed quote", edit(VIDEOS, "clip", '"clip'), [VIDEOS, "line 2", "quote"]),
        ("a quote over two lines", row(2, '"clip\nx.mp4",3,52'), ["line 2", "quote"]),
        ("a huge value", row(3, "x" * 200_000 + ",3,52"), [VIDEOS, "line 3", "field larger"]),
        ("a long name", row(3, "x" * 201 + ".mp4,3,52"), ["line 3", "at most 200 bytes"]),
        ("a long folder", row(3, "x" * 300 + "/a.mp4,3,52"), ["line 3", "File name too long"]),
        ("a renamed column", edit(VIDEOS, "total_cards", "deck"), ["no column total_cards"]),
        ("a doubled column", edit(VIDEOS, "total_cards", "video"), ["no column total_cards"]),
        ("a column twice", edit(VIDEOS, "total_cards", "total_cards,video"), ["video", "twice"]),
        ("a value too many", row(3, "film.mp4,17,52,9"), ["line 3", "3 values", "got 4"]),
        ("a value too few", row(3, "film.mp4,17"), ["line 3", "total_cards", "empty"]),
        ("a row twice", row(3, "clip.mp4,3,52"), ["line 3", "'clip.mp4'", "twice"]),
        ("a count of NaN", row(3, "film.mp4,NaN,52"), ["line 3", "cards_counted", "whole", "NaN"]),
        ("an infinite count", row(3, "film.mp4,inf,52"), ["line 3", "cards_counted", "inf"]),
        ("a count with a comma", row(3, 'film.mp4,"1,5",52'), ["cards_counted", "'1,5'"]),
        ("a count above the deck", row(3, "film.mp4,53,52"), ["line 3", "at most", "52"]),
        ("a count of none", row(3, "film.mp4,0,52"), ["line 3", "between 1 and 1000"]),
        ("a line wrong below a blank one", row(3, "\nfilm.mp4,0,52"), ["line 4", "1 and 1000"]),
        ("a path upwards", row(3, "../videos/film.mp4,3,52"), ["line 3", "below videos/"]),
        ("an absolute path", row(3, "/etc/passwd,3,52"), ["line 3", "below videos/"]),
        ("backslashes", row(3, "..\\film.mp4,3,52"), ["line 3", "should have /"]),
        ("a control character", row(3, "fi\x1blm.mp4,3,52"), ["line 3", r"fi\x1blm"]),
        ("no name", row(3, ",17,52"), ["line 3", "video", "empty"]),
        ("the videos' own folder", row(3, ".,17,52"), ["line 3", "video"]),
        (
            "a name that means the parent folder",
            all_of(row(3, "...mp4,17,52"), copy("plain.mp4", "data/mine/videos/...mp4")),
            ["line 3", "no recording can be named"],
        ),
        (
            "the index's own name",
            all_of(row(3, "index.csv.mp4,1,2"), put("data/mine/videos/index.csv.mp4", b"")),
            ["line 3", "no recording can be named 'index.csv'"],
        ),
        # params.yaml
        ("no parameters", gone("params.yaml"), ["params.yaml", "No such file"]),
        ("a tab", put("params.yaml", "seed:\n\t- 0\n"), ["params.yaml", "no valid YAML"]),
        (
            "a name twice",
            edit("params.yaml", "\nseed: 0", "\nseed: 0\nseed: 1"),
            ["'seed' is there"],
        ),
        (
            "a name twice inside",
            edit("params.yaml", "\n  cards: 1", "\n  cards: 1\n  cards: 2"),
            ["'ca"],
        ),
        ("nested too deeply", put("params.yaml", "a: " + "[" * 9999), ["nested too deeply"]),
        ("code", put("params.yaml", "seed: !!python/object/apply:os.getcwd []"), ["no valid YAML"]),
        ("a wrong tag", put("params.yaml", "seed: !!int [1]"), ["params.yaml: no valid YAML"]),
        (
            "laughter",
            put(
                "params.yaml",
                "a: &a [x]\n"
                + "".join(
                    f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n"
                    for a, b in zip("abcdefghijk", "bcdefghijkl", strict=True)
                ),
            ),
            ["params.yaml"],
        ),
        ("an unknown parameter", params(sigmoid=1), ["sigmoid: no such parameter"]),
        ("text for a number", params(frame_step="20"), ["frame_step: ", "integer", "'20'"]),
        ("true for a number", params(frame_step=True), ["frame_step: ", "integer", "True"]),
        ("a step of 0", params(frame_step=0), ["frame_step: ", "greater than 0"]),
        ("a step backwards", params(frame_step=-5), ["frame_step: ", "greater than 0"]),
        ("a huge step", params(frame_step=10**9), ["frame_step: ", "1000000"]),
        ("sigma 0", params(sigma=0), ["sigma: ", "0.5"]),
        ("sigma NaN", params(sigma=float("nan")), ["sigma: ", "nan"]),
        ("sigma infinite", params(sigma=float("inf")), ["sigma: ", "100"]),
        ("a word for yes", params(unlabelled="some"), ["unlabelled: ", "boolean", "'some'"]),
        ("an infinite weight", params(loss__cards=float("inf")), ["loss.cards: "]),
        ("huge pictures", params(image_size=[100_000, 240]), ["image_size.0: ", "4096"]),
        ("tiny pictures", params(image_size=[16, 16]), ["image_size.0: ", "32"]),
        ("pictures off the stride", params(image_size=[66, 48]), ["image_size: width", "of 8"]),
        ("pictures off half the size", params(image_size=[68, 48]), ["width", "of 8", "half_size"]),
        ("a stride of 3", params(heatmap_stride=3), ["heatmap_stride: ", "2, 4 or 8"]),
        ("huge layers", params(model__widths=[8, 8, 10**9]), ["model.widths.2: ", "4096"]),
        ("too few layers", params(model__widths=[8]), ["model.widths: ", "3"]),
        ("a huge head", params(model__hidden=10**9), ["model.hidden: ", "4096"]),
        ("endless training", params(train__epochs=10**12), ["train.epochs: ", "100000"]),
        ("endless geometry", params(geometry__steps=10**12), ["geometry.steps: ", "1000000"]),
        ("a huge batch", params(train__batch_size=10**9), ["train.batch_size: ", "4096"]),
        ("a flat card", params(geometry__card=[63, 88, 0]), ["geometry.card.2: ", "than 0"]),
        (
            "a card on its side",
            params(geometry__card=[88, 63, 0.3]),
            ["geometry.card: ", "[88, 63"],
        ),
        ("a deck for a card", params(geometry__card=[63, 88, 15.6]), ["geometry.card: ", "0.05"]),
        (
            "a card in metres",
            params(geometry__card=[0.063, 0.088, 3e-4]),
            ["geometry.card: ", "mm"],
        ),
        ("a card without end", params(geometry__card=[63, 880, 0.3]), ["geometry.card.1: ", "300"]),
        ("two numbers of a card", params(geometry__card=[63, 88]), ["geometry.card: ", "3 items"]),
        ("a focal length in mm", params(geometry__focal=26), ["geometry.focal: ", "equal to 5"]),
        ("a rate of NaN", params(train__learning_rate=float("nan")), ["train.learning_rate: "]),
        ("an endless value", params(dataset="x/" * 10**6), ["dataset: ", "folder below data/"]),
        ("the folder above", params(dataset=".."), ["dataset: ", "'..'"]),
        ("this folder", params(dataset="."), ["dataset: ", "'.'"]),
        ("a folder elsewhere", params(dataset="../x"), ["dataset: ", "'../x'"]),
        ("no such data set", params(dataset="yours"), ["data/yours/videos.csv", "No such file"]),
    ],
    "make_heatmaps": [
        ("a labelled picture that is missing", label("shots_frame_7" + SEEN), ["shots_frame_7"]),
        ("a label past the end", label("clip_frame_25" + SEEN), ["1 label", "clip_frame_25"]),
        ("a label of no recording", label("clap_frame_0" + SEEN), ["1 label", "clap_frame_0"]),
        ("no frame's name", label("clip20" + SEEN), [LABELS, "line 2", "MyVideo_frame_20"]),
        ("an endless number", label(f"clip_frame_{'1' * 5000}{SEEN}"), ["line 2", "MyVideo"]),
        ("a number spelt otherwise", label("clip_frame_00" + SEEN), ["line 2", "MyVideo_frame"]),
        ("a label twice", label("clip_frame_5" + SEEN), ["'clip_frame_5' is there twice"]),
        ("semicolons", edit(LABELS, ",", ";"), [LABELS, "line 1", "commas between"]),
        ("decimal commas", label('clip_frame_0,1,"0,5","0,25"' + ",0,," * 7), ["line 2", "'0,5'"]),
        ("a place outside", label("clip_frame_0,1,1.5,0.25" + ",0,," * 7), ["between 0", "1.5"]),
        ("a place in pixels", label("clip_frame_0,1,320,240" + ",0,," * 7), ["_x", "got 320"]),
        ("a place of NaN", label("clip_frame_0,1,nan,0.25" + ",0,," * 7), ["_x", "0 and 1"]),
        ("a place of infinity", label("clip_frame_0,1,0.5,-inf" + ",0,," * 7), ["_y", "-inf"]),
        ("visible 2", label("clip_frame_0,2,0.5,0.25" + ",0,," * 7), ["visible", "0 and 1"]),
        ("visible yes", label("clip_frame_0,yes,0.5,0.25" + ",0,," * 7), ["visible", "'yes'"]),
        ("a missing column", edit(LABELS, "lower_left_back_y", "y"), ["lower_left_back_y"]),
        ("no labels", put(LABELS, HEADER + "\n"), [LABELS, "no rows"]),
        ("a missing index", gone("data/frames/index.csv"), ["index.csv", "No such file"]),
        ("a garbled index", put("data/frames/index.csv", b"\xff\0"), ["index.csv", "damaged"]),
        ("an index cut off", put("data/frames/index.csv", "frame,rec"), ["index.csv", "damaged"]),
        ("no summary", put("data/frames/recordings.csv", b""), ["recordings.csv", "damaged"]),
        (
            "half a frame",
            cut("data/frames/clip/clip_frame_5.jpg"),
            ["data/frames/clip/clip_frame_5.jpg: ends early"],
        ),
        (
            "a frame that is gone",
            gone("data/frames/film/film_frame_0.jpg"),
            ["data/frames/film/film_frame_0.jpg: cannot be read (No such file"],
        ),
    ],
    "train": [
        ("more folds than recordings", params(split__folds=4), ["split.folds: ", "videos, 3 "]),
        ("a fold past the last", params(split__fold=2), ["split.fold: should be below"]),
        (
            "a held-out unknown",
            params(split__test_videos=["clap"]),
            ["test_videos", "clap", "clip"],
        ),
        (
            "all held out",
            params(split__test_videos=["clip", "film", "shots"]),
            ["split: leaves no recording to train on"],
        ),
        ("too much validation", params(split__validation=1.0), ["split.validation: ", "0.5"]),
        ("no network", gone(PRETRAINED), [PRETRAINED, "there is no such file"]),
        ("a folder", folder_at(PRETRAINED), [PRETRAINED, "should be a network"]),
        ("half a network", cut(PRETRAINED), [PRETRAINED, "should be a network"]),
        ("a pickle", put(PRETRAINED, pickle.dumps({"a": 1})), [PRETRAINED, "should be a network"]),
        ("no numbers", weights(PRETRAINED, spoil), [PRETRAINED, "no numbers", "stem.0.weight"]),
        ("wider", weights(PRETRAINED, widths=[8, 8, 16]), ["widths [8, 8, 16]", "[8, 8, 8]"]),
        ("deeper", weights(PRETRAINED, widths=[8] * 4), [PRETRAINED, "widths [8, 8, 8, 8]"]),
        ("a larger head", weights(PRETRAINED, hidden=16), ["hidden 16", "should be with 8"]),
        ("other blocks", weights(PRETRAINED, encoder="inverted"), ["encoder inverted", "plain"]),
        ("other pictures", weights(PRETRAINED, image_size=[96, 72]), ["image_size [96, 72]"]),
        ("another stride", weights(PRETRAINED, stride=2), ["stride 2", "should be with 4"]),
        ("no header", gone("data/tensors/meta.json"), ["meta.json", "No such file"]),
        ("a garbled header", put("data/tensors/meta.json", b"{\xff"), ["meta.json", "damaged"]),
        ("a list as header", put("data/tensors/meta.json", "[1]"), ["meta.json", "damaged"]),
        (
            "a header of more",
            edit("data/tensors/meta.json", '"deck"', '"x": 1, "deck"'),
            ["data/tensors", "damaged"],
        ),
        ("a size of one", edit("data/tensors/meta.json", "64,", ""), ["data/tensors", "damaged"]),
        ("a header of less", put("data/tensors/meta.json", '{"deck": 1}'), ["meta.json"]),
        ("half the pictures", cut("data/tensors/pictures.npy"), ["pictures.npy", "damaged"]),
        ("empty counts", put("data/tensors/cards.npy", b""), ["cards.npy", "damaged"]),
        ("a garbled array", put("data/tensors/points.npy", b"\x93NUMPY\x01"), ["points.npy"]),
        ("fewer", copy("data/tensors/meta.json", "data/tensors/visible.npy"), ["visible.npy"]),
        ("no table", gone("data/tensors/frames.csv"), ["frames.csv", "No such file"]),
        ("another table", put("data/tensors/frames.csv", "a\n1\n"), ["frames.csv", "damaged"]),
        ("half a table", cut("data/tensors/frames.csv"), ["data/tensors/", "damaged"]),
        (
            "words for counts",
            edit("data/tensors/frames.csv", ",3,", ",x,"),
            ["frames.csv", "damag"],
        ),
    ],
    "evaluate": [
        ("no network", gone(TRAINED), [TRAINED, "there is no such file"]),
        ("an empty network", put(TRAINED, b""), [TRAINED, "should be a network"]),
        ("half a network", cut(TRAINED, 0.9), [TRAINED, "should be a network"]),
        ("no metadata", claims(TRAINED, ""), [TRAINED, "should be a network"]),
        ("a list as metadata", claims(TRAINED, "[]"), [TRAINED, "should be a network"]),
        ("huge claims", claims(TRAINED, claim(hidden=10**12)), [TRAINED, "should be a network"]),
        (
            "wrong claims",
            claims(TRAINED, claim(widths=[8, 8, 9])),
            [TRAINED, "should be a network"],
        ),
        ("no numbers", weights(TRAINED, spoil), [TRAINED, "no numbers"]),
        ("other pictures", weights(TRAINED, image_size=[96, 72]), ["[96, 72]", "[64, 48]"]),
        ("half a frame", cut("data/frames/shots/shots_frame_1.jpg"), ["ends early"]),
        ("no frames", gone("data/frames"), ["data/frames/", "No such file"]),
        (
            "a garbled log",
            put("metrics/train/plots/metrics/train/cards.tsv", "\xff"),
            ["cards.tsv", "damaged"],
        ),
    ],
    "export": [
        ("half a network", cut(TRAINED), [TRAINED, "should be a network"]),
        ("no metrics", gone("metrics/evaluate.json"), ["metrics/evaluate.json", "No such file"]),
        ("garbled metrics", put("metrics/evaluate.json", '{"cards'), ["evaluate.json", "damaged"]),
        ("a list of metrics", put("metrics/evaluate.json", "[]"), ["evaluate.json", "damaged"]),
    ],
    "convert_cardcut": [
        ("no download", gone("data/cardcut/original"), ["missing", "data/cardcut/README.md"]),
        ("a file of pictures", put(POINTS, jpeg), [POINTS, "UTF-8"]),
        ("semicolons", edit(POINTS, ",", ";"), [POINTS, "line 1", "commas between"]),
        ("a path upwards", point("A_frame_0.jpg", "../A_frame_0.jpg"), ["line 2", "bare file"]),
        ("a recording upwards", point("A_frame_0.jpg", ".._frame_0.jpg"), ["line 2", "named '..'"]),
        ("no frame's name", point("B_frame_0.jpg", "B.jpg"), ["line 4", "MyVideo_frame_20"]),
        ("a picture that is missing", point("B_frame_0.jpg", "C_frame_0.jpg"), ["C_frame_0.jpg"]),
        (
            "a count above the deck",
            point("B_frame_0.jpg,1,7,52", "B_frame_0.jpg,1,7,5"),
            ["line 4"],
        ),
        ("two counts", point("A_frame_20.jpg,1,7", "A_frame_20.jpg,1,8"), ["A: ", "different"]),
        ("a place outside", point("B_frame_0.jpg,1,7,52,1,0.5", "B_frame_0.jpg,1,7,52,1,5"), ["5"]),
        ("annotated 7", point("B_frame_0.jpg,1,", "B_frame_0.jpg,7,"), ["line 4", "annotated"]),
        (
            "half a picture",
            cut("data/cardcut/original/images/B_frame_0.jpg"),
            ["B_frame_0.jpg: ends early"],
        ),
    ],
}
CASES = [
    pytest.param(name, *case[1:], id=f"{name}: {case[0]}")
    for name, cases in BAD.items()
    for case in cases
]


@pytest.mark.parametrize(("name", "damage", "words"), CASES)
def test_a_stage_names_what_is_wrong_and_changes_nothing(repository, capfd, name, damage, words):
    damage(repository)
    fails(repository, capfd, lambda: stage(name), words)


# Disks, rights and memory


@contextlib.contextmanager
def room(most):
    """No file may grow beyond so many bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def cramped(most, work):
    with room(most):
        work()


@pytest.mark.parametrize(
    ("name", "most", "words"),
    [
        ("extract_frames", 300, ["data/frames/shots/shots_frame_0.jpg", "File too large"]),
        ("make_heatmaps", 20_000, ["data/tensors: ", "File too large"]),
        ("pretrain", 5_000, ["models/.pretrain.scratch", "File too large"]),
        ("convert_cardcut", 100, ["data/cardcut/", "File too large"]),
        ("evaluate", 50, ["metrics/", "File too large"]),
        ("render_synthetic", 10_000, ["data/synthetic/", "cannot be written; is the disk full?"]),
    ],
)
def test_a_full_disk_is_said_and_changes_nothing(repository, capsys, name, most, words):
    fails(repository, capsys, lambda: cramped(most, lambda: stage(name)), words)


def test_weights_that_cannot_be_written_are_said(repository, capsys):
    state = CardPose(**network_shape(ABOUT)).state_dict()

    def work():
        with atomic_output("models/new.safetensors") as path:
            save_network(path, state, ABOUT)

    words = ["models/new.safetensors: ", "File too large"]
    fails(repository, capsys, lambda: cramped(1000, lambda: run_stage(work)), words)


@pytest.mark.parametrize(
    ("name", "path", "words"),
    [
        ("extract_frames", CLIP, [CLIP, "Permission denied"]),
        ("extract_frames", SHOT, [SHOT, "Permission denied"]),
        ("extract_frames", VIDEOS, [VIDEOS, "Permission denied"]),
        ("extract_frames", "params.yaml", ["params.yaml", "Permission denied"]),
        ("make_heatmaps", LABELS, [LABELS, "Permission denied"]),
        ("train", PRETRAINED, [PRETRAINED, "Permission denied"]),
        ("train", "data/tensors/details.npy", ["details.npy", "Permission denied"]),
    ],
)
def test_what_may_not_be_read_is_named(repository, capsys, name, path, words):
    # Pytest lets nobody else into its own folders, and locks are found by their whole path.
    for folder in repository.parents[:3]:
        folder.chmod(0o755)
    for folder in (repository, *repository.rglob("*/")):
        folder.chmod(0o777)
    (repository / path).chmod(0)
    with pytest.raises(SystemExit) as ended:
        as_nobody(lambda: stage(name))
    assert ended.value.code == 1
    line = complaint(capsys.readouterr().err)
    assert all(word in line for word in words), line


def test_a_folder_that_may_not_be_written_to_is_named(repository, capsys):
    repository.chmod(0o755)
    (repository / "data").chmod(0o555)
    words = ["data/frames: ", "Permission denied"]
    try:
        fails(repository, capsys, lambda: as_nobody(lambda: stage("extract_frames")), words)
    finally:
        (repository / "data").chmod(0o755)


def crowd():
    raise BrokenExecutor("A worker was terminated")


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (lambda: np.empty(10**15), ["out of memory", "make batch_size"]),
        (lambda: torch.empty(10**15), ["out of memory", "make batch_size"]),
        (crowd, ["a worker process was killed"]),
    ],
)
def test_too_little_memory_is_said(repository, capsys, work, words):
    fails(repository, capsys, lambda: run_stage(work), words)


def test_a_fault_of_the_program_keeps_its_traceback():
    def work():
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        run_stage(work)


# The command


def onnx_of(change=lambda text: text, **known):
    model = onnx.parser.parse_model(change(STAND_IN))
    onnx.helper.set_model_props(model, known)
    return model.SerializeToString()


def by_zero(text):
    return text.replace("ten = {10}", "ten = {0}")


OTHER = '<ir_version: 10, opset_import: ["": 18]> g (float[1] x) => (float[1] y) {y = Neg(x)}'
META = {"cardpose": json.dumps({**ABOUT, "count": "picture"})}
MODELS = [
    # what, its name, how to come by it
    ("nothing", "a.onnx", lambda folder: None),
    ("an empty file", "a.onnx", put("a.onnx", b"")),
    ("half a network", "a.onnx", put("a.onnx", lambda: onnx_of(**META)[:1500])),
    ("a pickle", "a.onnx", put("a.onnx", pickle.dumps({"a": 1}))),
    ("something else", "a.onnx", put("a.onnx", lambda: onnx_of(lambda _: OTHER))),
    ("something else, labelled", "a.onnx", put("a.onnx", lambda: onnx_of(lambda _: OTHER, **META))),
    ("no metadata", "a.onnx", put("a.onnx", lambda: onnx_of())),
    (
        "garbled text",
        "a.onnx",
        put("a.onnx", lambda: onnx_of(**META).replace(b"pictures", b"pictur\xff\xfe")),
    ),
    ("garbled metadata", "a.onnx", put("a.onnx", lambda: onnx_of(cardpose="{"))),
    ("a list as metadata", "a.onnx", put("a.onnx", lambda: onnx_of(cardpose="[]"))),
    (
        "infinite counts",
        "a.onnx",
        put(
            "a.onnx", lambda: onnx_of(lambda text: text.replace("ten = {10}", "ten = {0}"), **META)
        ),
    ),
    ("a folder", "a.onnx", lambda folder: (folder / "a.onnx").mkdir()),
    ("another suffix", "a.pt", put("a.pt", pickle.dumps({"a": 1}))),
    ("half a network", TRAINED, cut(TRAINED)),
    ("a pickle", TRAINED, put(TRAINED, pickle.dumps({"a": 1}))),
    ("no numbers", TRAINED, weights(TRAINED, spoil)),
    ("no metadata", TRAINED, claims(TRAINED, "")),
    ("wrong claims", TRAINED, claims(TRAINED, claim(encoder="inverted"))),
    ("a folder", TRAINED, folder_at(TRAINED)),
]


@pytest.mark.parametrize(
    ("name", "damage"), [m[1:] for m in MODELS], ids=[f"{m[1]}: {m[0]}" for m in MODELS]
)
def test_predict_names_a_network_that_is_none(repository, capfd, name, damage):
    damage(repository)
    arguments = f"predict {SHOT} --model {name} --csv old.csv --force --output drawn".split()
    (repository / "old.csv").write_text("old")
    fails(repository, capfd, lambda: main.main(arguments), [name])


INPUTS = [
    ("half a picture", cut(SHOT), SHOT, "ends early"),
    ("a bomb", put(SHOT, png_header(30_000, 30_000)), SHOT, "too large"),
    ("a damaged PNG", put(SHOT, png_header(64, 48)[:-6]), SHOT, "damaged"),
    ("an empty picture", put(SHOT, b""), SHOT, "cannot be read as a picture"),
    ("half a video", cut(CLIP), CLIP, "cannot be opened as a video"),
    ("sound alone", copy("audio_only.mp4", CLIP), CLIP, "cannot be opened as a video"),
    ("text as a video", put(CLIP, "hello"), CLIP, "cannot be opened as a video"),
    ("nothing", gone(CLIP), CLIP, "there is no such file or folder"),
    ("an empty folder", folder_at("data/mine/videos/shots"), "data/mine/videos/shots", "holds no"),
]


@pytest.mark.parametrize(
    ("damage", "path", "words"), [i[1:] for i in INPUTS], ids=[i[0] for i in INPUTS]
)
def test_predict_names_what_cannot_be_read(repository, stand_in, capfd, damage, path, words):
    damage(repository)
    arguments = ["predict", path, "--model", str(stand_in), "--output", "drawn"]
    fails(repository, capfd, lambda: main.main(arguments), [path, words])


def test_predict_says_that_the_disk_is_full(repository, stand_in, capsys):
    (repository / "old.csv").write_text("old")
    arguments = ["predict", SHOT, "--model", str(stand_in), "--csv", "old.csv", "--force"]
    fails(repository, capsys, lambda: cramped(10, lambda: main.main(arguments)), ["File too large"])


def test_predict_says_that_a_drawn_video_is_not_whole(repository, stand_in, capsys):
    arguments = ["predict", CLIP, "--model", str(stand_in), "--output", "drawn"]
    words = ["drawn/clip.mp4: cannot be written; is the disk full?"]
    fails(repository, capsys, lambda: cramped(1000, lambda: main.main(arguments)), words)


@pytest.mark.parametrize("threads", ["0", "1025", "many", "9" * 5000])
def test_predict_takes_a_sensible_number_of_threads(threads, capsys):
    with pytest.raises(SystemExit) as ended:
        main.main(["predict", "a.jpg", "--threads", threads])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert "--threads: should be a whole number above 0, at most 1024" in error
    assert len(error) < 1000


@pytest.mark.parametrize("listed", ['["../keep.txt", "old.js"]', "[1", "[[]]"])
def test_a_page_is_never_built_over_what_is_not_its_own(tmp_path, listed):
    site = tmp_path / "site"
    site.mkdir()
    for path in (tmp_path / "keep.txt", site / "old.js", site / "cardpose.onnx"):
        path.write_text("old")
    (site / "sw.js").write_text(f"const FILES = {listed};\n")
    with contextlib.suppress(InputError):  # of a folder that holds no page
        build_site(site, {"index.html": b"new"})
    assert (tmp_path / "keep.txt").read_text() == "old"
    assert (site / "index.html").exists() != (site / "old.js").exists()


# The same through real processes, with worker processes that have a stderr of their own


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut(SHOT), f"{SHOT}: ends early"),
        (copy("plain.mkv", CLIP, 0.8), f"{CLIP}: ends early: 12 frames of 25"),
    ],
)
def test_a_stage_as_a_process_says_one_line(repository, damage, words):
    damage(repository)
    before = contents(repository)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "stages.extract_frames"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert complaint(done.stderr).startswith(words)
    assert contents(repository) == before


# What looks odd and does no harm


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("plain.mp4", (48, 64)),
        ("faststart.mp4", (48, 64)),
        ("plain.mkv", (48, 64)),
        ("variable_rate.mp4", (48, 64)),  # frames are counted, whatever time they are shown at
        ("ten_bit.mp4", (48, 64)),
        ("odd_size.mp4", (77, 101)),
        ("changing_size.ts", (48, 64)),  # later frames are scaled to the size of the first
    ],
)
def test_odd_videos_give_the_right_frames(name, size):
    *frames, (count, _) = sampled_frames(FILES / name, 7)
    assert count == 25
    assert [index for index, _ in frames] == [0, 7, 14, 21]
    for index, picture in frames:
        assert picture.shape == (*size, 3)
        assert abs(picture.astype(int) - 10 * index).max() <= 3


def test_a_video_that_was_filmed_upright_is_shown_upright():
    (_, picture), *_ = sampled_frames(FILES / "rotated.mp4", 25)
    assert picture.shape == (64, 48, 3)
    # The bright corner, stored at the top left, has been turned by 90 degrees.
    corners = {(r, c): picture[r, c].mean() for r in (4, -5) for c in (4, -5)}
    assert sorted(value > 200 for value in corners.values()) == [False, False, False, True]
    assert max(corners, key=corners.get) in [(4, -5), (-5, 4)]


RED, BGR = (200, 100, 40), (40, 100, 200)
FLAT = Image.new("RGB", (64, 48), RED)
ODD = [
    # what, file, how to write it, (height, width), its colour
    ("grey", "a.png", Image.new("L", (64, 48), 77).save, (48, 64), 77),
    ("alpha", "a.png", Image.new("RGBA", (64, 48), (*RED, 9)).save, (48, 64), BGR),
    ("CMYK", "a.jpg", FLAT.convert("CMYK").save, (48, 64), BGR),
    ("a palette", "a.png", FLAT.quantize(4).save, (48, 64), BGR),
    ("black and white", "a.png", Image.new("1", (64, 48), 1).save, (48, 64), 255),
    ("16 bits", "a.png", Image.new("I;16", (64, 48), 77 * 257).save, (48, 64), 77),
    ("one pixel", "a.png", Image.new("RGB", (1, 1), RED).save, (1, 1), BGR),
    ("a line", "a.png", Image.new("RGB", (5000, 1), RED).save, (1, 5000), BGR),
    ("a GIF in disguise", "a.jpg", lambda path: gif(path), (48, 64), BGR),
    ("a PNG in disguise", "a.jpg", lambda path: FLAT.save(path, "PNG"), (48, 64), BGR),
    ("100 megapixels", "a.png", lambda path: huge().save(path), (10_000, 10_000), 77),
]


def huge():
    return Image.new("L", (10_000, 10_000), 77)


def gif(path):
    first, second = (Image.new("RGB", (64, 48), colour) for colour in (RED, (0, 0, 250)))
    first.save(path, "GIF", save_all=True, append_images=[second])


@pytest.mark.parametrize(
    ("name", "make", "size", "colour"), [o[1:] for o in ODD], ids=[o[0] for o in ODD]
)
def test_odd_pictures_are_read(tmp_path, capfd, name, make, size, colour):
    make(tmp_path / name)
    picture = read_picture(tmp_path / name)
    assert (picture.shape, picture.dtype) == ((*size, 3), np.uint8)
    assert abs(picture[:: size[0] // 2 + 1, :: size[1] // 2 + 1].astype(int) - colour).max() <= 3
    assert capfd.readouterr().err == ""


def test_a_packet_is_looked_for_in_a_single_pixel(repository, stand_in, capfd):
    Image.new("RGB", (1, 1), (250, 250, 250)).save("dot.png")
    with pytest.raises(SystemExit) as ended:
        main.main(["predict", "dot.png", "--model", str(stand_in)])
    assert ended.value.code == 0
    assert "25.0" in capfd.readouterr().out


DIALECTS = {
    "byte order mark": lambda text: ("\ufeff" + text).encode(),
    "Windows line ends": lambda text: text.replace("\n", "\r\n").encode(),
    "old Macintosh line ends": lambda text: text.replace("\n", "\r").encode(),
    "quotes": lambda text: re.sub(r"[^,\n]+", r'"\g<0>"', text).encode(),
    "spaces": lambda text: text.replace(",", " , ").encode(),
    "blank lines": lambda text: text.replace("\n", "\n\n").encode(),
    "no last line end": lambda text: text.rstrip("\n").encode(),
    "spare columns": lambda text: text.replace("\n", ",note\n").encode(),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_tables_may_come_from_any_program(repository, dialect):
    recordings_before, labels_before = read_recordings("data/mine"), read_annotations(LABELS)
    for path in (VIDEOS, LABELS):
        Path(path).write_bytes(DIALECTS[dialect](Path(path).read_text()))
    assert read_recordings("data/mine") == recordings_before
    frames, points, visible, _ = read_annotations(LABELS)
    assert frames == labels_before[0]
    np.testing.assert_array_equal(points, labels_before[1])
    np.testing.assert_array_equal(visible, labels_before[2])


@pytest.mark.parametrize(("unlabelled", "taken"), [(True, (0, 5, 10, 15, 20)), (False, (0, 5))])
def test_what_is_not_sampled_is_left_out_and_what_is_not_labelled_if_so_wished(
    repository, unlabelled, taken
):
    values = loads_yaml(Path("params.yaml").read_text()) | {"unlabelled": unlabelled}
    Path("params.yaml").write_text(dumps_yaml(values))
    stage("make_heatmaps")
    frames = pd.read_csv("data/tensors/frames.csv")["frame"].tolist()
    # Frame 7 is labelled and not sampled; 10, 15 and 20 are sampled and not labelled.
    assert frames == [f"{name}_frame_{i}" for name in ("clip", "film") for i in taken] + [
        f"shots_frame_{i}" for i in range(3)
    ]
    labelled = np.load("data/tensors/known.npy").all(axis=1)
    assert [frame for frame, known in zip(frames, labelled, strict=True) if known] == [
        frame for frame in frames if frame.endswith(("_0", "_5")) or frame.startswith("shots")
    ]


def test_a_gap_in_a_folder_of_pictures_is_no_fault_where_no_label_names_it(repository, capfd):
    gone(SHOT)(repository)
    stage("extract_frames")
    before = contents(repository)
    with pytest.raises(SystemExit):
        stage("make_heatmaps")
    assert "1 label without a frame: shots_frame_1" in complaint(capfd.readouterr().err)
    assert contents(repository) == before
    edit(LABELS, f"shots_frame_1{SEEN}\n", "")(repository)
    stage("make_heatmaps")
    frames = pd.read_csv("data/tensors/frames.csv")["frame"].tolist()
    assert frames[-2:] == ["shots_frame_0", "shots_frame_2"]


def test_a_held_out_recording_may_be_named_twice(repository):
    settings = load_params("params.yaml").split
    frames, cards = ["a", "a", "b", "b"], [3, 3, 4, 4]
    twice, once = (settings.model_copy(update={"test_videos": n}) for n in (["a", "a"], ["a"]))
    roles = [split_frames(frames, cards, each, seed=0).tolist() for each in (twice, once)]
    assert roles[0] == roles[1] == ["test", "test", "train", "train"]


def test_a_network_that_learnt_no_numbers_is_not_kept(repository, capfd):
    state = CardPose(**network_shape(ABOUT)).state_dict()
    spoil(state)

    def work():
        with atomic_output(TRAINED) as path:
            save_network(path, state, ABOUT)

    fails(repository, capfd, lambda: run_stage(work), [TRAINED, "learning rates were too high"])


def test_a_step_beyond_the_end_takes_the_first_frame(repository):
    params(frame_step=1_000_000)(repository)
    stage("extract_frames")
    frames = pd.read_csv("data/frames/index.csv")["frame"].tolist()
    assert frames == ["clip_frame_0", "film_frame_0", *(f"shots_frame_{i}" for i in range(3))]


# Anything at all

EXAMPLES = int(os.environ.get("CARDPOSE_EXAMPLES", "150"))
FUZZ = settings(deadline=None, derandomize=True, database=None, max_examples=EXAMPLES)
WORDS = ["", " ", ",", ";", '"', "'", "\n", "\r", "\r\n", "\0", "\ufeff", "nan", "inf", "-1", "1e9"]
WORDS += [
    "0,5",
    "9" * 30,
    "../",
    "/",
    "\\",
    "\x1b",
    "_frame_",
    "frame",
    "video",
    "²",
    "１",
    "\u2028",
]


@st.composite
def mutated(draw, text):
    """A valid file, changed in a few places."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        text = text[:start] + draw(st.sampled_from(WORDS) | st.text(max_size=4)) + text[end:]
    return text.encode("utf-8", "surrogatepass")


def tables(text):
    anything = st.text().map(lambda text: text.encode("utf-8", "surrogatepass"))
    below = anything.map(lambda rest: text.splitlines()[0].encode() + b"\n" + rest)
    return mutated(text) | st.binary() | anything | below


@pytest.fixture(scope="module")
def fuzzed(prepared, tmp_path_factory):
    """A data set and a downloaded set whose tables are overwritten again and again."""
    folder = tmp_path_factory.mktemp("fuzzed")
    shutil.copytree(prepared / "data/mine/videos", folder / "mine/videos")
    shutil.copytree(prepared / "data/cardcut/original", folder / "original")
    return folder


def result(read, *arguments):
    """What a reader returns, or None where it complained, in one line."""
    try:
        return read(*arguments)
    except InputError as error:
        message = str(error)
        assert message.isprintable()
        assert len(message) < 600
        return None


VALID = "video,cards_counted,total_cards\nclip.mp4,3,52\nfilm.mp4,17,52\nshots,40,52\n"


@FUZZ
@given(content=tables(VALID))
@example(content=VALID.encode())
def test_any_videos_csv_is_read_or_refused(fuzzed, content):
    (fuzzed / "mine/videos.csv").write_bytes(content)
    found = result(read_recordings, fuzzed / "mine")
    for recording in found or []:
        assert 1 <= recording.cards <= recording.total_cards <= 1000
        assert recording.path.resolve().is_relative_to(fuzzed / "mine/videos")
        assert recording.path.exists()
    names = [recording.name for recording in found or []]
    assert len(set(names)) == len(names)
    assert content != VALID.encode() or names == ["clip", "film", "shots"]


LABELLED = "\n".join([HEADER, "clip_frame_0" + SEEN, '"a,b_frame_20"' + SEEN])


@FUZZ
@given(content=tables(LABELLED))
@example(content=LABELLED.encode())
def test_any_annotations_csv_is_read_or_refused(fuzzed, content):
    (fuzzed / "mine/annotations.csv").write_bytes(content)
    found = result(read_annotations, fuzzed / "mine/annotations.csv")
    if found is None:
        assert content != LABELLED.encode()
        return
    frames, points, visible, mask = found
    assert len(frames) == len(set(frames)) == len(points) == len(visible) > 0
    assert not (visible & ~mask).any()
    assert all(split_frame_name(frame) for frame in frames)
    assert (points.shape[1:], points.dtype, visible.dtype) == ((8, 2), float, bool)
    assert ((points[visible] >= 0) & (points[visible] <= 1)).all()
    assert np.isnan(points[~visible]).all()


POINTED = "\n".join(
    [CARDCUT, *(f"{name}.jpg,1,7,52{SEEN}" for name in ("A_frame_0", "A_frame_20", "B_frame_0"))]
)


@FUZZ
@given(content=tables(POINTED))
@example(content=POINTED.encode())
def test_any_cardpoints_csv_is_converted_or_refused(fuzzed, content):
    (fuzzed / "original/cardpoints.csv").write_bytes(content)
    made = fuzzed / "made"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    targets = [made / name for name in ("videos", "annotations.csv", "videos.csv")]
    before = contents(fuzzed / "original")
    result(convert_cardcut, fuzzed / "original", *targets)
    assert contents(fuzzed / "original") == before
    assert sorted(os.listdir(fuzzed)) == ["made", "mine", "original"]
    if targets[2].exists():
        names = {recording.name for recording in read_recordings(made)}
        assert {split_frame_name(frame)[0] for frame in read_annotations(targets[1])[0]} == names
    else:
        assert content != POINTED.encode()


NAMES = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=20)


@FUZZ
@given(
    names=st.lists(NAMES.map(str.strip).filter(bool), min_size=1, max_size=4, unique=True),
    seed=st.integers(0, 2**32 - 1),
)
def test_annotations_come_back_as_they_were_written(fuzzed, names, seed):
    rng = np.random.default_rng(seed)
    frames = [f"{name}_frame_{rng.integers(10**6)}" for name in names]
    points, visible = rng.random((len(frames), 8, 2)), rng.random((len(frames), 8)) < 0.7
    write_annotations(fuzzed / "mine/written.csv", frames, points, visible)
    read, places, seen, _ = read_annotations(fuzzed / "mine/written.csv")
    assert read == frames
    np.testing.assert_array_equal(seen, visible)
    points[~visible] = np.nan
    np.testing.assert_allclose(places, points, atol=5.1e-7)


YAML = loads_yaml((ROOT / "params.yaml").read_text())
KEYS = [(name,) for name in YAML] + [
    (section, name)
    for section, values in YAML.items()
    if isinstance(values, dict)
    for name in values
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates()
SCALARS |= st.sampled_from([10**400, -1, 0, 1, 2, 10**9, 1e300, "..", "a\nb", b"\xff"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SCALARS, inner, max_size=3),
    max_leaves=8,
)


def accepted(path):
    found = result(load_params, path)
    assert found is None or isinstance(found, Params)
    return found


@FUZZ
@given(changes=st.lists(st.tuples(st.sampled_from(KEYS), VALUES), min_size=1, max_size=3))
def test_any_value_of_a_parameter_is_taken_or_refused(fuzzed, changes):
    values = loads_yaml((ROOT / "params.yaml").read_text())
    for (*section, name), value in changes:
        target = values[section[0]] if section else values
        if isinstance(target, dict):
            target[name] = value
    (fuzzed / "mine/params.yaml").write_text(dumps_yaml(values))
    accepted(fuzzed / "mine/params.yaml")


@FUZZ
@given(content=tables((ROOT / "params.yaml").read_text()))
def test_any_params_yaml_is_read_or_refused(fuzzed, content):
    (fuzzed / "mine/params.yaml").write_bytes(content)
    accepted(fuzzed / "mine/params.yaml")
