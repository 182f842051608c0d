"""Rendered data sets: their files, their seeds, and corners that belong to their frames."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from dvc.utils.serialize import dumps_yaml, loads_yaml

from cardpose.dataset.annotations import read_annotations
from cardpose.rendering.renderer import Renderer
from cardpose.rendering.scenes import random_scene
from cardpose.rendering.videos import render_dataset
from stages import render_synthetic

REPOSITORY = Path(__file__).parents[2]


def rendered(folder, seed):
    paths = folder / "videos", folder / "annotations.csv", folder / "videos.csv"
    render_dataset(*paths, count=2, frames=8, seed=seed, jobs=1)
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return rendered(tmp_path_factory.mktemp("first"), seed=0)


def hashes(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def pictures_of(video):
    capture = cv2.VideoCapture(str(video))
    pictures = []
    while (read := capture.read())[0]:
        pictures.append(read[1])
    capture.release()
    return pictures


def test_a_rendered_data_set_has_videos_counts_and_one_row_per_frame(dataset):
    assert sorted(hashes(dataset)) == [
        "annotations.csv",
        "videos.csv",
        "videos/packet_01.mp4",
        "videos/packet_02.mp4",
    ]
    counts = pd.read_csv(dataset / "videos.csv")
    assert counts.to_dict("list") == {
        "video": ["packet_01.mp4", "packet_02.mp4"],
        "cards_counted": [1, 2],
        "total_cards": [52, 52],
    }
    frames, points, visible, _ = read_annotations(dataset / "annotations.csv")
    assert frames == [f"packet_{n:02d}_frame_{i}" for n in (1, 2) for i in range(8)]
    assert visible.any(axis=1).all()
    assert np.array_equal(np.isnan(points).any(axis=2), ~visible)
    for n in (1, 2):
        pictures = pictures_of(dataset / "videos" / f"packet_{n:02d}.mp4")
        assert [picture.shape for picture in pictures] == [(480, 640, 3)] * 8


def test_the_same_seed_gives_a_data_set_of_the_same_bytes(dataset, tmp_path):
    assert hashes(rendered(tmp_path, seed=0)) == hashes(dataset)


def test_another_seed_gives_other_bytes_except_for_the_counts(dataset, tmp_path):
    other, first = hashes(rendered(tmp_path, seed=1)), hashes(dataset)
    same = {name for name in first if first[name] == other[name]}
    assert same == {"videos.csv"}


def test_the_stage_renders_the_deck_and_the_focal_length_of_params_yaml(tmp_path, monkeypatch):
    params = loads_yaml((REPOSITORY / "params.yaml").read_text())
    params["synthetic"] = {"videos": 2, "frames": 3}
    params["geometry"].update(card=[57, 88, 0.28], focal=0.8)
    (tmp_path / "data/synthetic").mkdir(parents=True)
    (tmp_path / "params.yaml").write_text(dumps_yaml(params))
    monkeypatch.chdir(tmp_path)
    render_synthetic.main()
    _, points, visible, _ = read_annotations("data/synthetic/annotations.csv")
    renderer = Renderer(random_scene(params["seed"], 2, 3, card=(57, 88, 0.28), focal=0.8))
    for index in range(3):
        expected, seen = renderer.keypoints(index)
        assert np.array_equal(seen, visible[3 + index])
        assert np.allclose(points[3 + index][seen] * [640, 480], expected[seen], atol=1e-3)


def test_each_frame_of_a_video_is_annotated_with_its_own_corners(tmp_path, monkeypatch):
    class Stub:
        """Frame i is as bright as 30 i, its corners stand at (64 i, 48 i)."""

        def __init__(self, scene):
            pass

        def frame(self, index):
            return np.full((480, 640, 3), 30 * index, np.uint8)

        def keypoints(self, index):
            return np.tile([64.0 * index, 48.0 * index], (8, 1)), np.ones(8, bool)

    monkeypatch.setattr("cardpose.rendering.videos.Renderer", Stub)
    rendered(tmp_path, seed=0)
    _, points, _, _ = read_annotations(tmp_path / "annotations.csv")
    # As fractions of 640 and 480 both coordinates are i / 10.
    expected = np.tile(np.arange(8) / 10, 2)[:, None, None]
    assert np.allclose(points, expected)
    for video in sorted((tmp_path / "videos").iterdir()):
        bright = [picture.mean() for picture in pictures_of(video)]
        assert np.allclose(bright, 30 * np.arange(8), atol=8)
