"""Written videos: what the file says, and that reading gives the pictures that were written."""

import os
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from films import noisy, seen
from support import COLOURS, stripes

from cardpose.pictures.videos import video_timing
from cardpose.pictures.writing import video_output


def written(path, pictures, rate=25):
    with video_output(path, rate) as add:
        for picture in pictures:
            add(picture)
    return path


def colours(picture):
    """The colours in the middles of the stripes, as RGB."""
    height, width = picture.shape[:2]
    middles = ((np.arange(len(COLOURS)) + 0.5) * width / len(COLOURS)).astype(int)
    return picture[height // 2, middles, ::-1].astype(int)


def test_colours_are_read_as_written(tmp_path):
    path = written(tmp_path / "a.mp4", [stripes(640, 480)] * 3)
    assert np.allclose(colours(seen(path)[0][2]), COLOURS, atol=2)
    assert np.allclose(colours(cv2.VideoCapture(str(path)).read()[1]), COLOURS, atol=2)


def test_grey_stays_as_bright_as_written(tmp_path):
    noise = noisy(3)
    pictures, _ = seen(written(tmp_path / "a.mp4", noise))
    for index, picture in enumerate(noise):
        assert pictures[index].mean() == pytest.approx(picture.mean(), abs=0.7)


def test_each_frame_is_kept_in_its_place(tmp_path):
    pictures = [np.full((48, 64, 3), 4 * index, np.uint8) for index in range(60)]
    read, count = seen(written(tmp_path / "a.mp4", pictures))
    assert count == 60
    assert [read[i].mean() for i in range(60)] == pytest.approx([4 * i for i in range(60)], abs=1.5)


@pytest.mark.parametrize("rate", [25, 30000 / 1001, 30000 / 1001 / 7, 1000])
@pytest.mark.parametrize("frames", [1, 2, 31])
def test_the_frame_rate_is_kept(tmp_path, rate, frames):
    path = written(tmp_path / "a.mp4", [np.zeros((48, 64, 3), np.uint8)] * frames, rate)
    assert video_timing(path) == (pytest.approx(rate, rel=1e-9), frames)


def test_browsers_can_play_the_file_while_it_loads(tmp_path):
    path = written(tmp_path / "a.mp4", noisy(3))
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(str(path)) as file:
        codec = file.streams.video[0].codec_context
        assert (codec.name, codec.profile, codec.pix_fmt) == ("h264", "High", "yuv420p")
        # matrix of BT.601, limited range, primaries and transfer of BT.709
        coded = codec.colorspace, codec.color_range, codec.color_primaries, codec.color_trc
        assert coded == (6, 1, 1, 1)


@pytest.mark.parametrize("size", [(1, 1), (63, 47), (64, 47), (63, 48)])
def test_an_odd_size_is_padded_with_its_last_row_and_column(tmp_path, size):
    width, height = size
    picture = np.full((height, width, 3), 60, np.uint8)
    picture[-1:] = picture[:, -1:] = 180
    read = seen(written(tmp_path / "a.mp4", [picture]))[0][0]
    assert read.shape == (height + height % 2, width + width % 2, 3)
    assert read[-1].mean() == pytest.approx(180, abs=8)
    assert read[:, -1].mean() == pytest.approx(180, abs=8)
    assert read[:height, :width].mean() == pytest.approx(picture.mean(), abs=8)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux assigns cores")
def test_the_number_of_cores_does_not_change_the_bytes(tmp_path):
    noise = [cv2.resize(picture, (640, 480)) for picture in noisy(12)]
    cores = os.sched_getaffinity(0)
    many = written(tmp_path / "many.mp4", noise).read_bytes()
    try:
        os.sched_setaffinity(0, {min(cores)})
        assert written(tmp_path / "one.mp4", noise).read_bytes() == many
    finally:
        os.sched_setaffinity(0, cores)


def test_a_name_is_not_read_as_an_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(Path("http:a.mp4"), noisy(1))
    assert os.listdir(tmp_path) == ["http:a.mp4"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has /dev/full")
def test_a_full_disk_is_reported_in_one_line(complains):
    with complains("/dev/full: cannot be written: No space left on device"):
        written("/dev/full", noisy(3))
