"""What workers of a cluster return is checked before it is written."""

import pytest
from distributed import LocalCluster

from cardpose.dataset.extraction import _accept, _extract, extract_frames
from cardpose.dataset.recordings import read_recordings

FOUND = ("video", 25, 10, [(0, ".jpg", 64, 48), (10, ".jpg", 64, 48), (20, ".jpg", 64, 48)])


REFUSED = {
    "nothing": None,
    "text": "video",
    "too short": FOUND[:3],
    "a list": list(FOUND),
    "another kind": ("folder", *FOUND[1:]),
    "an unknown kind": ("../../x", *FOUND[1:]),
    "no frames": ("video", 0, 10, []),
    "true for a number": ("video", True, 10, []),
    "another step": ("video", 25, 5, FOUND[3]),
    "frames between": (*FOUND[:3], [(5, ".jpg", 64, 48)]),
    "frames beyond": (*FOUND[:3], [(30, ".jpg", 64, 48)]),
    "a frame twice": (*FOUND[:3], [FOUND[3][0]] * 2),
    "frames in disorder": (*FOUND[:3], FOUND[3][::-1]),
    "a path": (*FOUND[:3], [(0, "/../../../etc/passwd", 64, 48)]),
    "a path with a suffix": (*FOUND[:3], [(0, ".jpg/../x.jpg", 64, 48)]),
    "a suffix of two lines": (*FOUND[:3], [(0, ".jpg\n", 64, 48)]),
    "a comma": (*FOUND[:3], [(0, ".jpg,", 64, 48)]),
    "a width of text": (*FOUND[:3], [(0, ".jpg", "64", 48)]),
    "a height below 1": (*FOUND[:3], [(0, ".jpg", 64, 0)]),
}


@pytest.fixture
def cluster():
    """A scheduler with one worker, in threads of this process."""
    options = {"dashboard_address": ":0", "processes": False, "silence_logs": 50}
    with LocalCluster(n_workers=1, host="127.0.0.1", protocol="tcp://", **options) as started:
        yield started


@pytest.fixture
def clip(small_dataset):
    return next(each for each in read_recordings(small_dataset) if not each.is_folder)


def test_results_of_extraction_are_accepted(small_dataset, tmp_path, clip):
    for recording in read_recordings(small_dataset):
        _accept(10, recording, _extract(recording, 10, tmp_path))
    _accept(10, clip, FOUND)


@pytest.mark.parametrize("found", REFUSED.values(), ids=REFUSED)
def test_results_that_extraction_cannot_give_are_refused(clip, found):
    with pytest.raises(ValueError):  # noqa: PT011
        _accept(10, clip, found)


def test_paths_outside_the_folder_never_reach_the_index(
    cluster, small_dataset, tmp_path, complains, monkeypatch
):
    monkeypatch.setattr("cardpose.dataset.extraction._extract", lie)
    with complains("machine.dask", "a worker returned what is no result"):
        extract_frames(
            read_recordings(small_dataset), 10, tmp_path / "f", dask=cluster.scheduler_address
        )
    assert "passwd" not in (tmp_path / "f/index.csv").read_text()


def lie(recording, step, folder):
    return (*FOUND[:3], [(0, "/../../../etc/passwd", 64, 48)])
