"""Two processes that merge labels into the same file lose none."""

import multiprocessing
import os

import numpy as np
import pytest
from outputs import WRITTEN, another_writer

from cardpose.common.errors import InputError
from cardpose.dataset.annotations import read_annotations
from cardpose.labelling import merge
from cardpose.labelling.labels import Labels, plain_origin
from cardpose.labelling.merge import merge_labels

PAIRS, FRAMES = 20, 25


def labels_of(name):
    n = FRAMES
    frames = [f"{name}_frame_{i}" for i in range(n)]
    points, filled = np.full((n, 8, 2), 0.5), np.ones((n, 8), bool)
    return Labels(frames, points, filled, filled, plain_origin(points, False), {})


def merge_all(paths, name, barrier):
    """Merge the labels of a recording into each file, at the same time as the other process."""
    labels, sizes = labels_of(name), np.full((FRAMES, 2), 640)
    for path in paths:
        barrier.wait(60)
        assert len(merge_labels(path, labels, sizes).added) == FRAMES


def test_two_simultaneous_merges_keep_all_labels(tmp_path):
    processes = multiprocessing.get_context("spawn")
    barrier = processes.Barrier(2)
    (tmp_path / "link").mkdir()
    for pair in range(PAIRS):
        (tmp_path / "link" / f"{pair}.csv").symlink_to(tmp_path / f"{pair}.csv")
    pair = [
        processes.Process(
            target=merge_all,
            args=([folder / f"{pair}.csv" for pair in range(PAIRS)], name, barrier),
        )
        for folder, name in ((tmp_path, "a"), (tmp_path / "link", "b"))  # one of them by links
    ]
    for process in pair:
        process.start()
    for process in pair:
        process.join(120)
    assert [process.exitcode for process in pair] == [0, 0]
    for pair in range(PAIRS):
        frames, *_ = read_annotations(tmp_path / f"{pair}.csv")
        assert sorted(frames) == sorted(labels_of("a").frames + labels_of("b").frames)
    assert [name for name in os.listdir(tmp_path) if name.startswith(".")] == []


def test_a_merge_that_waits_too_long_names_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(merge, "_WAIT", 0)
    path = tmp_path / "annotations.csv"
    with another_writer("locked", path), pytest.raises(InputError, match=f"{path}: {WRITTEN}"):
        merge_labels(path, labels_of("a"), np.full((FRAMES, 2), 640))
    assert os.listdir(tmp_path) == []
