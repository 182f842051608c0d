"""Videos that are whole: which frames they show, and how."""

import gc
import shutil
import struct

import av
import cv2
import numpy as np
import pytest
from films import FILES, ONE, UPRIGHT, film, first, is_shown_as, noisy, numbers, places, same, seen

from cardpose.pictures.videos import sampled_frames, video_timing

# How frames are to be shown

MATRICES = {  # of the display: how the stored picture becomes the one that is shown
    (1, 0, 0, 1): lambda p: p,
    (-1, 0, 0, 1): lambda p: p[:, ::-1],
    (-1, 0, 0, -1): lambda p: p[::-1, ::-1],
    (1, 0, 0, -1): lambda p: p[::-1],
    (0, 1, 1, 0): lambda p: p.transpose(1, 0, 2),
    (0, 1, -1, 0): lambda p: np.rot90(p, -1),
    (0, -1, -1, 0): lambda p: np.rot90(p, 2).transpose(1, 0, 2),
    (0, -1, 1, 0): lambda p: np.rot90(p, 1),
}


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
def test_all_eight_orientations_are_applied(tmp_path, name, matrix):
    path = film(tmp_path / name, matrix=matrix)
    assert is_shown_as(first(path), MATRICES[matrix](UPRIGHT))


@pytest.mark.parametrize(
    ("orientation", "matrix"),
    [
        ("rotate=90", (0, -1, 1, 0)),
        ("rotate=180", (-1, 0, 0, -1)),
        ("flip=horizontal", (-1, 0, 0, 1)),
    ],
)
def test_a_turn_stored_in_the_frames_is_applied(tmp_path, orientation, matrix):
    bitstream = f"h264_metadata=display_orientation=insert:{orientation}"
    path = film(tmp_path / "a.mp4", bitstream=bitstream)
    assert is_shown_as(first(path), MATRICES[matrix](UPRIGHT))


@pytest.mark.parametrize(
    "matrix",
    [(0.7, 0.7, -0.7, 0.7), (1, 0.5, 0, 1), (0, 2, -1, 0), (1, 1, 1, 1)],
    ids=["45 degrees", "sheared", "on its side and stretched", "a line"],
)
def test_an_oblique_display_is_refused(tmp_path, complains, matrix):
    path = film(tmp_path / "a.mp4", matrix=matrix)
    with complains(f"{path}: is to be shown askew"):
        first(path)


def test_a_display_matrix_of_zeros_is_ignored(tmp_path):
    assert is_shown_as(first(film(tmp_path / "a.mp4", matrix=(0, 0, 0, 0))), UPRIGHT)


@pytest.mark.parametrize(("aspect", "size"), [("4/3", (48, 85)), ("3/4", (64, 64))])
@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.avi", "mjpeg")],
)
def test_pixels_become_square_and_one_side_grows(tmp_path, name, codec, aspect, size):
    picture = first(film(tmp_path / name, codec=codec, aspect=aspect))
    assert picture.shape[:2] == size
    assert picture[3, 3, 0] > 200
    assert picture[-3, 3, 1] > 200


def test_a_pixel_shape_stored_in_the_frames_is_applied(tmp_path):
    path = film(tmp_path / "a.ts", noisy(9), bitstream="h264_metadata=sample_aspect_ratio=2/1")
    assert first(path).shape[:2] == (64, 192)


def test_pixels_become_square_before_the_picture_is_turned(tmp_path):
    path = film(tmp_path / "a.mp4", aspect="4/3", matrix=(0, 1, -1, 0))
    assert first(path).shape[:2] == (85, 48)


def test_a_stretched_display_is_applied(tmp_path):
    path = film(tmp_path / "a.mp4", matrix=(-2, 0, 0, 1))
    picture = first(path)
    assert picture.shape[:2] == (48, 128)
    assert picture[3, -3, 0] > 200


def test_nearly_square_pixels_are_left_alone(tmp_path):
    path = film(tmp_path / "a.mp4", aspect="201/200")
    assert first(path).shape[:2] == (48, 64)


def test_pixels_far_from_square_are_refused(tmp_path, complains):
    path = film(tmp_path / "a.mp4", aspect="20/1")
    with complains(f"{path}: says that its pixels are 20 times as wide as high"):
        first(path)


@pytest.mark.parametrize("name", ["plain.mp4", "plain.mkv", "ten_bit.mp4", "odd_size.mp4"])
def test_frames_equal_those_of_opencv(name):
    pictures, count = seen(FILES / name)
    capture = cv2.VideoCapture(str(FILES / name), cv2.CAP_FFMPEG)
    for index in range(count):
        assert (pictures[index] == capture.read()[1]).all()
    assert not capture.read()[0]


def test_frames_are_freed_at_once(tmp_path):
    """Without waiting for Python to look for cycles: they are megabytes each."""
    path = film(tmp_path / "a.mp4", [UPRIGHT] * 20)
    gc.collect()
    gc.disable()
    try:
        assert seen(path)[1] == 20
        alive = [each for each in gc.get_objects() if isinstance(each, av.VideoFrame)]
    finally:
        gc.enable()
    assert len(alive) <= 2


# Which frames are shown


def test_frames_that_an_edit_list_hides_do_not_count(tmp_path):
    """Phones trim so: what is before the cut stays in the file."""
    whole, _ = seen(film(tmp_path / "a.mov", noisy(40), g=40))
    path = film(tmp_path / "b.mov", noisy(40), g=40, shift=15)
    pictures, count = seen(path, 5)
    assert count == 25
    assert list(pictures) == [0, 5, 10, 15, 20]
    assert numbers(pictures, whole) == [15, 20, 25, 30, 35]
    assert video_timing(path) == (25.0, 25)


def with_edits(content, edits):
    """An MP4, its table of contents at the end, with other edits: (duration, start), in seconds."""
    content = bytearray(content)
    at = content.index(b"elst") - 4
    (old,) = struct.unpack_from(">I", content, at)
    scale = struct.unpack_from(">I", content, content.index(b"mvhd") + 16)[0]
    media = struct.unpack_from(">I", content, content.index(b"mdhd") + 16)[0]
    body = struct.pack(">II", 0, len(edits))
    for duration, start in edits:
        body += struct.pack(">IiI", round(duration * scale), round(start * media), ONE)
    box = struct.pack(">I", 8 + len(body)) + b"elst" + body
    for kind in (b"moov", b"trak", b"edts"):
        outer = content.index(kind) - 4
        size = struct.unpack_from(">I", content, outer)[0] + len(box) - old
        struct.pack_into(">I", content, outer, size)
    content[at : at + old] = box
    return bytes(content)


def test_several_edits_are_shown_one_after_the_other(tmp_path):
    path = film(tmp_path / "a.mp4", noisy(40), g=5, bf=0)
    whole, _ = seen(path)
    path.write_bytes(with_edits(path.read_bytes(), [(0.4, 0.2), (0.4, 1.0)]))
    pictures, count = seen(path)
    assert count == 20
    assert same(pictures, whole, [*range(5, 15), *range(25, 35)])


@pytest.mark.parametrize("container", [{}, {"live": "1"}], ids=["whole header", "no duration"])
@pytest.mark.parametrize("name", ["a.webm", "a.mkv"])
def test_frames_may_come_at_any_time(tmp_path, name, container):
    """Browsers and screen recorders write them as they come, and perhaps no duration."""
    codec = "libvpx" if name == "a.webm" else "libx264"
    times = [n * n // 4 + n for n in range(40)]
    path = film(tmp_path / name, noisy(40), codec, container=container, times=times)
    pictures, count = seen(path, 13)
    assert count == 40
    assert list(pictures) == [0, 13, 26, 39]
    assert video_timing(path)[1] == 0 or container == {}


def test_the_first_frame_may_have_any_time(tmp_path):
    path = film(tmp_path / "a.mkv", noisy(25), times=range(2500, 2525))
    assert seen(path)[1] == 25
    assert video_timing(path) == (25.0, 25)


def test_a_header_may_promise_too_much(tmp_path):
    """An AVI counts the gaps between frames as frames."""
    path = film(tmp_path / "a.avi", noisy(20), "mpeg4", times=[*range(10), *range(30, 40)])
    assert video_timing(path)[1] == 40
    assert seen(path)[1] == 20


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
@pytest.mark.parametrize("share", [0.2, 0.45, 0.7])
def test_a_recording_may_begin_anywhere_in_a_broadcast(tmp_path, codec, share):
    path = film(tmp_path / "a.ts", noisy(72), codec, g=12, bf=2)
    whole, _ = seen(path)
    content = path.read_bytes()
    path.write_bytes(content[188 * int(share * len(content) / 188) :])
    pictures, count = seen(path)
    assert (1 - share) * 72 - 16 < count < (1 - share) * 72 + 2
    # What is left out is left out at the beginning.
    assert same(pictures, whole, range(72 - count, 72))


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_a_broadcast_may_begin_with_damaged_packets(tmp_path, codec):
    path = film(tmp_path / "a.ts", noisy(36), codec, g=12, bf=0)
    whole, _ = seen(path)
    content, begin = bytearray(path.read_bytes()), places(path)[0]
    for number in range(6, 10):  # of the first key frame; their headers are whole
        at = begin + 188 * number + 12
        content[at : at + 176] = 176 * b"\x55"
    path.write_bytes(content)
    pictures, count = seen(path)
    assert count == 24
    assert same(pictures, whole, range(12, 36))


def test_frames_that_depend_on_ones_before_the_beginning_are_left_out(tmp_path):
    whole, _ = seen(film(tmp_path / "a.webm", noisy(36), "libvpx", g=12))
    pictures, count = seen(film(tmp_path / "b.webm", noisy(36), "libvpx", g=12, skip=1))
    assert 24 <= count < 36
    assert numbers(pictures, whole) == list(range(36 - count, 36))


def test_two_broadcasts_may_be_put_together(tmp_path):
    content = film(tmp_path / "a.ts", noisy(30)).read_bytes()
    (tmp_path / "b.ts").write_bytes(content + content)
    assert seen(tmp_path / "b.ts")[1] == 60


def test_a_cover_is_not_the_video(tmp_path):
    jpeg = cv2.imencode(".jpg", np.full((120, 160, 3), 250, np.uint8))[1].tobytes()
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as file:
        cover = file.add_stream("mjpeg", 25)
        cover.width, cover.height, cover.pix_fmt = 160, 120, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        stream = file.add_stream("libx264", 25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        packet = av.Packet(jpeg)
        packet.stream, packet.pts, packet.dts = cover, 0, 0
        file.mux(packet)
        for _ in range(5):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(UPRIGHT, "bgr24")))
        file.mux(stream.encode())
    pictures, count = seen(path)
    assert count == 5
    assert is_shown_as(pictures[0], UPRIGHT)


def test_a_cover_alone_is_no_video(tmp_path, complains):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as file:
        cover = file.add_stream("mjpeg", 25)
        cover.width, cover.height, cover.pix_fmt = 160, 120, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        packet = av.Packet(cv2.imencode(".jpg", UPRIGHT)[1].tobytes())
        packet.stream, packet.pts, packet.dts = cover, 0, 0
        file.mux(packet)
    with complains(f"{path}: cannot be opened as a video: it holds none"):
        list(sampled_frames(path, 1))


NAMES = [
    *("2026-01-05T10:30.mp4", "-i.mp4", "a%03d.mp4", "http:x.mp4", "concat:a|b.mp4", "file:x.mp4"),
    *("a?b#c.mp4", "pipe:0", "Gru\udcdf.mp4", "*.mp4", "~.mp4"),
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_like_an_address_or_an_option_is_a_path(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    shutil.copy(FILES / "plain.mp4", name)
    assert seen(name, 10)[1] == 25
    assert video_timing(name) == (25.0, 25)
