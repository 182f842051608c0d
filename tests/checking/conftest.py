"""Data sets of rendered recordings with labels, to be spoilt."""

import shutil

import pytest
from support import SIZE

from cardpose.dataset.annotations import read_annotations, write_annotations
from cardpose.rendering.videos import render_dataset


@pytest.fixture(scope="session")
def rendered(tmp_path_factory):
    """Six recordings of 1 to 6 cards, 61 frames each, every fifth of them labelled."""
    folder = tmp_path_factory.mktemp("rendered")
    files = [folder / name for name in ("videos", "annotations.csv", "videos.csv")]
    render_dataset(*files, count=6, frames=61, seed=3)
    frames, points, visible, _ = read_annotations(files[1])
    kept = [k for k, frame in enumerate(frames) if int(frame.rpartition("_")[2]) % 5 == 0]
    write_annotations(files[1], [frames[k] for k in kept], points[kept], visible[kept])
    return folder


@pytest.fixture
def dataset(rendered, tmp_path):
    return shutil.copytree(rendered, tmp_path / "mine")


@pytest.fixture
def single(dataset):
    """The same data set with one recording listed and labelled, packet_06."""
    for name, kept in (("videos.csv", "packet_06.mp4,"), ("annotations.csv", "packet_06_frame")):
        header, *lines = (dataset / name).read_text().splitlines()
        lines = [line for line in lines if line.startswith(kept)]
        (dataset / name).write_text("\n".join([header, *lines]) + "\n")
    return dataset


@pytest.fixture
def spoil(single):
    """spoil(change, among): replace the labels of one frame by change(points, visible).

    The frame is the first with at least seven visible corners for which among(points in pixels,
    visible) holds. Returns the frame's name, and its points in pixels before the change.
    """

    def spoilt(change, among=lambda points, visible: True):
        path = single / "annotations.csv"
        frames, points, visible, _ = read_annotations(path)
        for row in range(len(frames)):
            if visible[row].sum() >= 7 and among(points[row] * SIZE, visible[row]):
                break
        before = points[row] * SIZE
        points[row], visible[row] = change(points[row].copy(), visible[row].copy())
        write_annotations(path, frames, points, visible)
        return frames[row], before

    return spoilt
