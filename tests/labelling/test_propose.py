"""`cardpose label start`: what it writes, and what it leaves alone."""

import numpy as np
import pandas as pd
import pytest
import torch
from network_views import SMALL, viewed
from support import ABOUT, SIZE

from cardpose.cli import main
from cardpose.dataset.annotations import read_annotations
from cardpose.dataset.names import split_frame_name
from cardpose.labelling import propose
from cardpose.labelling.proposals import read_proposals
from cardpose.network.model import CardPose, network_shape
from cardpose.network.weights import save_network
from cardpose.rendering.videos import render_dataset


@pytest.fixture
def network_file(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "network" / "small.safetensors"
    path.parent.mkdir()
    save_network(path, CardPose(**network_shape(ABOUT)).state_dict(), ABOUT)
    return path


@pytest.fixture
def start(capsys):
    def start(dataset, *more):
        with pytest.raises(SystemExit) as end:
            main.main(["label", "start", str(dataset), *map(str, more)])
        return end.value.code, *capsys.readouterr()

    return start


def kept(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_every_sampled_frame_gets_a_proposal(small_dataset, network_file, start):
    before = kept(small_dataset)
    status, out, _ = start(small_dataset, "--model", network_file, "--threads", 1)
    assert status == 0
    folder = small_dataset / "labelling"
    index = pd.read_csv(folder / "frames" / "index.csv")
    proposals = read_proposals(folder / "proposals.csv")
    # Of the video, frames 0 and 20; of the folder all.
    expected = ["clip_frame_0", "clip_frame_20"] + [f"shots_frame_{i}" for i in (0, 2, 10)]
    assert proposals.frames == index["frame"].tolist() == expected
    assert ((proposals.points >= 0) & (proposals.points <= 1))[proposals.visible].all()
    assert not (folder / "seen.csv").exists()
    (line,) = out.strip().splitlines()
    assert line.startswith("5 frames of 2 recordings; ")
    assert str(folder / "proposals.csv") in line
    after = kept(small_dataset)
    assert {name: after[name] for name in before} == before


def test_a_second_start_gives_the_same_and_keeps_other_files(small_dataset, network_file, start):
    start(small_dataset, "--model", network_file)
    (small_dataset / "labelling" / "next.csv").write_text("frame\nclip_frame_0\n")
    (small_dataset / "labelling" / "exported.json").write_text("[]")
    before = kept(small_dataset)
    assert start(small_dataset, "--model", network_file)[0] == 0
    assert kept(small_dataset) == before


def test_rendered_recordings_get_their_own_corners(tmp_path, network_file, start, monkeypatch):
    """With a network in whose place stands what it should say, all of it, up to the file."""
    files = [tmp_path / "mine" / name for name in ("videos", "annotations.csv", "videos.csv")]
    render_dataset(*files, count=2, frames=41, seed=5)
    frames, points, visible, _ = read_annotations(files[1])
    truth = {frame: (points[k], visible[k]) for k, frame in enumerate(frames)}
    recordings = iter(["packet_01", "packet_02"])

    def stand_in(network, pictures, thickness, progress):
        n = len(list(pictures))
        assert n == 3
        progress(n)
        name = next(recordings)
        assert thickness == pytest.approx(0.305 * int(name[-2:]))
        rows = [truth[f"{name}_frame_{20 * k}"] for k in range(n)]
        at, shown = (np.stack(part) for part in zip(*rows, strict=True))
        at = np.nan_to_num(at, nan=0.5) * SIZE
        return viewed(at, shown, thickness)

    metadata = ABOUT | {"image_size": list(SMALL)}
    network = CardPose(**network_shape(metadata))
    monkeypatch.setattr(propose, "view_recording", stand_in)
    monkeypatch.setattr(propose, "load_network", lambda path: (network, metadata))
    assert start(tmp_path / "mine", "--model", network_file)[0] == 0
    found = read_proposals(tmp_path / "mine" / "labelling" / "proposals.csv")
    assert len(found.frames) == 6
    assert {split_frame_name(frame)[0] for frame in found.frames} == {"packet_01", "packet_02"}
    for frame, at, shown in zip(found.frames, found.points, found.visible, strict=True):
        true, visible = truth[frame]
        both = shown & visible
        assert both.sum() >= visible.sum() - 1
        assert (abs(at - true) * SIZE)[both].max() < 3


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.safetensors", None, ["none.safetensors", "no such file"]),
        ("some.onnx", b"", ["some.onnx", ".safetensors"]),
        ("bad.safetensors", b"no network", ["bad.safetensors", "network that cardpose trained"]),
    ],
)
def test_a_file_without_a_network_is_named(small_dataset, tmp_path, start, name, content, words):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    status, out, err = start(small_dataset, "--model", path)
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert all(word in err for word in words)
    assert not (small_dataset / "labelling").exists()


def test_the_usual_network_comes_with_the_repository(small_dataset, tmp_path, start, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, err = start(small_dataset)
    assert status == 1
    assert "models/pretrained.safetensors: there is no such file: it comes with" in err


def test_an_unreadable_file_is_named_and_older_proposals_stay(
    small_dataset, network_file, start, tmp_path
):
    start(small_dataset, "--model", network_file)
    before = kept(small_dataset / "labelling")
    (small_dataset / "videos" / "clip.mp4").write_bytes(b"no video")
    status, _, err = start(small_dataset, "--model", network_file)
    assert status == 1
    assert "clip.mp4: cannot be opened as a video" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert kept(small_dataset / "labelling") == before
    (small_dataset / "videos.csv").unlink()
    status, _, err = start(small_dataset, "--model", network_file)
    assert (status, err.count("\n")) == (1, 1)
    assert "videos.csv: cannot be read" in err
    status, _, err = start(tmp_path / "nowhere", "--model", network_file)
    assert (status, err.count("\n")) == (1, 1)
    assert "nowhere: there is no such folder" in err


def test_no_threads_make_no_sense(small_dataset, network_file, start):
    status, _, err = start(small_dataset, "--model", network_file, "--threads", "0")
    assert status == 2
    assert "whole number above 0" in err
