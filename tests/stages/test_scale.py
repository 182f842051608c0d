"""What a stage holds in memory does not grow with the data."""

import shutil
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from cardpose.dataset.extraction import extract_frames
from cardpose.dataset.recordings import Recording
from cardpose.dataset.tensors import write_tensors


def peak(work):
    """The most bytes that Python and numpy held at once for `work()`; memory maps do not count."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture
def video(tmp_path, write_video):
    picture = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    write_video(tmp_path / "a.mp4", [picture] * 70)
    return tmp_path / "a.mp4"


def test_heatmaps_of_four_times_the_frames_take_no_more_memory(tmp_path, video):
    extract_frames([Recording("a", video, 5, 52)], 1, tmp_path / "frames", jobs=1)
    index = pd.read_csv(tmp_path / "frames/index.csv")

    def write(times):
        frames = pd.concat([index] * times, ignore_index=True)
        frames = frames.assign(cards_counted=5, total_cards=52)
        n = len(frames)
        points, visible = np.full((n, 8, 2), 0.5), np.ones((n, 8), bool)
        folder = tmp_path / f"tensors{times}"
        write_tensors(folder, tmp_path / "frames", frames, points, visible, [320, 240], 4, 1.5)
        shutil.rmtree(folder)

    write(1)  # what is made once and kept
    once, often = peak(lambda: write(1)), peak(lambda: write(4))
    # 210 more frames are 242 MB of pictures; threads have a few in hand, more or less.
    assert often < once + 20e6


def test_extraction_of_many_videos_takes_no_more_memory(tmp_path, video):
    def extract(times):
        recordings = [Recording(f"r{i}", video, 5, 52) for i in range(times)]
        extract_frames(recordings, 1, tmp_path / "frames", jobs=1)
        shutil.rmtree(tmp_path / "frames")

    extract(1)
    once, often = peak(lambda: extract(1)), peak(lambda: extract(4))
    # 210 more frames are 48 MB decoded.
    assert often < once + 1e6
