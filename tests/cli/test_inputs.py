"""Photographs, folders, videos, cameras: what is found in them, upright, and what is refused."""

import struct
import threading
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image
from support import TURNS, Camera, with_orientation

from cardpose.cli import inputs
from cardpose.cli.inputs import batch_frames, find_sources, read_ahead
from cardpose.pictures import videos
from cardpose.pictures.reading import read_picture
from cardpose.pictures.videos import camera_frames, video_timing


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


def test_a_folder_stands_for_its_pictures_and_videos_in_natural_order(folder):
    path = folder("b_10.JPG", "b_2.jpg", "a.mov", "c.HEIC", "notes.txt", "._b_2.jpg", "7.png")
    (path / "deeper").mkdir()
    (path / "deeper" / "d.jpg").write_bytes(b"anything")
    pictures = ["7.png", "b_2.jpg", "b_10.JPG", "c.HEIC"]
    assert sorted(found(path)) == sorted([("video", "a.mov"), *(("picture", p) for p in pictures)])
    assert [name for kind, name in found(path) if kind == "picture"] == pictures


def test_a_file_is_a_picture_or_a_video_whatever_its_name(folder, write_video):
    path = folder("film.mp4", "photo.JPEG", "odd")
    assert found(path / "film.mp4") == [("video", "film.mp4")]
    assert found(path / "photo.JPEG") == [("picture", "photo.JPEG")]
    assert found(path / "odd") == [("video", "odd")]
    Image.new("RGB", (5, 3)).save(path / "photograph", format="png")
    assert found(path / "photograph") == [("picture", "photograph")]


def test_a_number_is_a_camera_unless_a_file_has_that_name(folder, monkeypatch):
    monkeypatch.chdir(folder("1"))
    assert found("0") == [("camera", "0")]
    assert found("1") == [("video", "1")]


def test_what_is_not_there_is_named(tmp_path, complains):
    with complains(f"{tmp_path / 'a.jpg'}: there is no such file or folder"):
        find_sources(str(tmp_path / "a.jpg"))
    (tmp_path / "empty").mkdir()
    with complains(f"{tmp_path / 'empty'}: holds no pictures or videos"):
        find_sources(str(tmp_path / "empty"))


@pytest.mark.parametrize("orientation", TURNS)
def test_photographs_are_upright_in_all_eight_orientations(tmp_path, orientation):
    upright = np.zeros((48, 64, 3), np.uint8)
    upright[:16, :16] = (250, 0, 0)
    upright[-16:, :16] = (0, 250, 0)
    with_orientation(upright, orientation, tmp_path / "a.jpg")
    read = read_picture(tmp_path / "a.jpg")
    assert read.shape == (48, 64, 3)
    assert abs(read.astype(int) - upright).mean() < 6
    # Pillow, asked to turn it, agrees.
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.getexif()[0x0112] == orientation


@pytest.mark.parametrize(
    ("name", "mode"), [("a.png", "L"), ("a.png", "RGBA"), ("a.tif", "CMYK"), ("a.jpg", "CMYK")]
)
def test_grey_transparent_and_printers_pictures_become_bgr(tmp_path, name, mode):
    made = np.full((48, 64, 3), (200, 100, 40), np.uint8)
    Image.fromarray(made).convert(mode).save(tmp_path / name)
    read = read_picture(tmp_path / name)
    assert (read.shape, read.dtype) == ((48, 64, 3), np.uint8)
    # The usual weights of red, green and blue: 0.299, 0.587, 0.114.
    expected = [200 * 0.299 + 100 * 0.587 + 40 * 0.114] * 3 if mode == "L" else [40, 100, 200]
    assert abs(read[24, 32].astype(float) - expected).max() < 3


@pytest.mark.parametrize("channels", [1, 3])
def test_of_16_bits_the_high_ones_are_taken(tmp_path, channels):
    made = np.full((48, 64, channels), 51400, np.uint16)  # 200 x 257
    cv2.imwrite(str(tmp_path / "a.png"), made)
    assert (read_picture(tmp_path / "a.png") == np.full((48, 64, 3), 200)).all()


@pytest.mark.parametrize("name", ["a.heic", "a.jpg"])
def test_a_heic_picture_is_told_what_to_do(tmp_path, complains, name):
    (tmp_path / name).write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    with complains(f"{tmp_path / name}: is a HEIC picture", "convert it to JPEG"):
        read_picture(tmp_path / name)


def test_a_picture_of_unheard_of_size_is_named(tmp_path, complains):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    content = (
        chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    with complains(f"{tmp_path / 'a.png'}: is too large"):
        read_picture(tmp_path / "a.png")


def test_half_a_photograph_is_named(tmp_path, complains):
    """Also where its thumbnail, a JPEG within the JPEG, is whole."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    thumbnail = cv2.imencode(".jpg", noise[:8, :8])[1].tobytes()
    jpeg = cv2.imencode(".jpg", noise)[1].tobytes()
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(thumbnail)) + thumbnail
    whole = jpeg[:2] + segment + jpeg[2:]
    (tmp_path / "a.jpg").write_bytes(whole + b"what phones append")
    assert read_picture(tmp_path / "a.jpg").shape == (48, 64, 3)
    for length in (len(whole) // 2, len(whole) - 2, len(segment) + 10, 5, 2):
        (tmp_path / "a.jpg").write_bytes(whole[:length])
        with complains(f"{tmp_path / 'a.jpg'}: ends early"):
            read_picture(tmp_path / "a.jpg")


def test_segments_of_a_photograph_may_have_more_than_one_0xff_before_them(tmp_path):
    jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(jpeg[:2] + b"\xff\xff" + jpeg[2:])
    assert read_picture(tmp_path / "a.jpg").mean() == pytest.approx(90, abs=2)


def test_a_link_to_nowhere_is_named(tmp_path, complains):
    (tmp_path / "a.jpg").symlink_to(tmp_path / "gone.jpg")
    assert found(tmp_path) == [("picture", "a.jpg")]
    with complains(f"{tmp_path / 'a.jpg'}: cannot be read (No such file"):
        read_picture(tmp_path / "a.jpg")


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_named(tmp_path, complains, content):
    (tmp_path / "a.png").write_bytes(content)
    with complains(f"{tmp_path / 'a.png'}: cannot be read as a picture"):
        read_picture(tmp_path / "a.png")


# Videos and cameras


def test_timing_is_what_the_header_says(tmp_path, write_video):
    write_video(tmp_path / "a.mp4")
    assert video_timing(tmp_path / "a.mp4") == (25.0, 25)
    (tmp_path / "b.mp4").write_bytes(b"no video")
    assert video_timing(tmp_path / "b.mp4") == (25.0, 0)


def test_a_camera_that_stops_is_named(monkeypatch, complains):
    camera = Camera(3)
    monkeypatch.setattr(videos.cv2, "VideoCapture", lambda number: camera)
    seen = []
    with complains("camera 2: sends no more pictures"):
        seen.extend((index, picture[0, 0, 0]) for index, picture in camera_frames(2))
    assert camera.released
    monkeypatch.setattr(videos.cv2, "VideoCapture", lambda number: Camera(None))
    with complains("camera 2: cannot be opened"):
        list(camera_frames(2))


def test_a_camera_is_looked_through_for_so_many_seconds(monkeypatch):
    camera = Camera(10**9)
    clock = iter(range(100, 1000))
    monkeypatch.setattr(videos.cv2, "VideoCapture", lambda number: camera)
    monkeypatch.setattr(videos.time, "monotonic", lambda: next(clock))
    # A second passes at every look at the clock; it starts at 100 and ends at 105.
    assert [index for index, _ in camera_frames(0, seconds=5)] == [0, 1, 2, 3]
    assert camera.released


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
def test_a_batch_is_bounded_in_pictures_and_pixels(count, pixels, most, sizes):
    cut = list(batch_frames(frames(count), pixels, most))
    assert [len(batch) for batch in cut] == sizes
    assert [index for batch in cut for index, _ in batch] == list(range(count))


def test_what_comes_before_an_error_is_not_lost(complains):
    def breaking():
        yield from frames(5)
        raise inputs.InputError("broken")

    seen = []
    with complains("broken"):
        for batch in read_ahead(batch_frames(breaking(), most=3)):
            seen.extend(index for index, _ in batch)
    assert seen == [0, 1, 2, 3, 4]


def test_the_next_item_is_read_while_one_is_worked_on():
    read = [threading.Event() for _ in range(3)]

    def items():
        for event in read:
            event.set()
            yield event

    for i, item in enumerate(read_ahead(items())):
        assert item is read[i]
        # Nobody asked for the next one yet, and still it is read.
        assert all(event.wait(5) for event in read[: i + 2])
    assert i == 2


def test_reading_ahead_ends_with_who_reads():
    ended = threading.Event()

    def items():
        try:
            yield from range(1, 1000)
        finally:
            ended.set()

    for _ in read_ahead(items()):
        break
    assert ended.wait(5)
