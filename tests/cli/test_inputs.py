"""Arguments of `cardpose predict`, batches of frames, and reading ahead."""

import os
import threading

import numpy as np
import pytest
from PIL import Image

from cardpose.cli import inputs
from cardpose.cli.inputs import batch_frames, find_sources, read_ahead
from cardpose.pictures.reading import read_picture


@pytest.fixture
def folder(tmp_path):
    def fill(*names):
        for name in names:
            (tmp_path / name).write_bytes(b"anything")
        return tmp_path

    return fill


def found(name):
    return [(source.kind, source.path.name) for source in find_sources(str(name))]


# What an argument stands for


def test_a_folder_means_its_pictures_and_videos_in_natural_order(folder):
    path = folder("b_10.JPG", "b_2.jpg", "a.mov", "c.HEIC", "notes.txt", "._b_2.jpg", "7.png")
    (path / "deeper").mkdir()
    (path / "deeper" / "d.jpg").write_bytes(b"anything")
    pictures = ["7.png", "b_2.jpg", "b_10.JPG", "c.HEIC"]
    assert sorted(found(path)) == sorted([("video", "a.mov"), *(("picture", p) for p in pictures)])
    assert [name for kind, name in found(path) if kind == "picture"] == pictures


def test_no_picture_or_video_of_a_folder_is_left_out(folder):
    names = ["a.gif", "b.jp2", "c.MPO", "d.avif", "e.jxl", "f.dng", "g.ts", "h.ogv", "i.flv"]
    path = folder(*names, "notes.txt")
    Image.new("L", (4, 4)).save(path / "j", "PNG")
    os.mkfifo(path / "pipe")
    kinds = ["picture"] * 6 + ["video"] * 3 + ["picture"]
    assert found(path) == list(zip(kinds, [*names, "j"], strict=True))


def test_files_of_unknown_suffix_are_recognised_by_content(folder, write_video):
    path = folder("film.mp4", "photo.JPEG", "odd")
    assert found(path / "film.mp4") == [("video", "film.mp4")]
    assert found(path / "photo.JPEG") == [("picture", "photo.JPEG")]
    assert found(path / "odd") == [("video", "odd")]
    Image.new("RGB", (5, 3)).save(path / "photograph", format="png")
    assert found(path / "photograph") == [("picture", "photograph")]


def test_a_number_means_a_camera_unless_a_file_has_that_name(folder, monkeypatch):
    monkeypatch.chdir(folder("1"))
    assert found("0") == [("camera", "0")]
    assert found("1") == [("video", "1")]


def test_missing_inputs_are_reported(tmp_path, complains):
    with complains(f"{tmp_path / 'a.jpg'}: there is no such file or folder"):
        find_sources(str(tmp_path / "a.jpg"))
    (tmp_path / "empty").mkdir()
    with complains(f"{tmp_path / 'empty'}: holds no pictures or videos"):
        find_sources(str(tmp_path / "empty"))


def test_a_broken_link_is_reported(tmp_path, complains):
    (tmp_path / "a.jpg").symlink_to(tmp_path / "gone.jpg")
    assert found(tmp_path) == [("picture", "a.jpg")]
    with complains(f"{tmp_path / 'a.jpg'}: cannot be read (No such file"):
        read_picture(tmp_path / "a.jpg")


# Videos and cameras


# Batches


def frames(count, height=10, width=10):
    return [(i, np.zeros((height, width, 3), np.uint8)) for i in range(count)]


@pytest.mark.parametrize(
    ("count", "pixels", "most", "sizes"),
    [
        (7, 10**6, 3, [3, 3, 1]),
        (6, 10**6, 3, [3, 3]),
        (0, 10**6, 3, []),
        (5, 250, 16, [2, 2, 1]),  # of 100 pixels each
        (2, 50, 16, [1, 1]),
    ],
)
def test_a_batch_has_limits_in_pictures_and_pixels(count, pixels, most, sizes):
    cut = list(batch_frames(frames(count), pixels, most))
    assert [len(batch) for batch in cut] == sizes
    assert [index for batch in cut for index, _ in batch] == list(range(count))


def test_items_before_an_error_are_kept(complains):
    def breaking():
        yield from frames(5)
        raise inputs.InputError("broken")

    seen = []
    with complains("broken"):
        for batch in read_ahead(batch_frames(breaking(), most=3)):
            seen.extend(index for index, _ in batch)
    assert seen == [0, 1, 2, 3, 4]


def test_the_next_item_is_read_while_the_last_is_processed():
    read = [threading.Event() for _ in range(3)]

    def items():
        for event in read:
            event.set()
            yield event

    for i, item in enumerate(read_ahead(items())):
        assert item is read[i]
        # The next item is read although it has not been asked for yet.
        assert all(event.wait(60) for event in read[: i + 2])
    assert i == 2


def test_reading_ahead_ends_with_its_consumer():
    ended = threading.Event()

    def items():
        try:
            yield from range(1, 1000)
        finally:
            ended.set()

    for _ in read_ahead(items()):
        break
    assert ended.wait(60)
