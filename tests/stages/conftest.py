"""A small repository whose stages have run, to be spoilt by tests."""

import shutil

import joblib
import pytest
import torch
from bad_input import (
    CARDCUT,
    FILES,
    HEADER,
    LABELS,
    LOSSES,
    POINTS,
    PRETRAINED,
    ROOT,
    SEEN,
    TRAINED,
    VIDEOS,
    jpeg,
    stage,
)
from dvc.utils.serialize import dumps_yaml, loads_yaml
from support import SMALLEST

from cardpose.network.model import CardPose, network_shape
from cardpose.network.weights import save_network


@pytest.fixture
def no_workers():
    """Worker processes take seconds to start, and have a stderr of their own: do without them."""
    with joblib.parallel_config(backend="sequential"):
        yield


@pytest.fixture(scope="session")
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
    values["model"] = {name: SMALLEST[name] for name in ("encoder", "widths", "hidden")}
    (folder / "params.yaml").write_text(dumps_yaml(values))
    (folder / "metrics/plots").mkdir(parents=True)
    (folder / "metrics/plots/counts.png").write_bytes(b"old")
    (folder / "metrics/predictions.csv").write_text("old")
    (folder / "metrics/evaluate.json").write_text('{"cards": {"mae": 1.5}}')
    (folder / LOSSES).parent.mkdir(parents=True)
    (folder / "metrics/train/metrics.json").write_text('{"best_epoch": 0}')
    (folder / LOSSES).write_text("step\tcards\n0\t0.1\n")
    (folder / "models").mkdir()
    torch.manual_seed(0)
    weights = CardPose(**network_shape(SMALLEST)).state_dict()
    save_network(folder / PRETRAINED, weights, SMALLEST)
    save_network(folder / TRAINED, weights, SMALLEST)
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
