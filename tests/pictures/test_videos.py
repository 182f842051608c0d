"""What videos say of their frames, where they end, and what is damaged: made by FFmpeg itself."""

import gc
import itertools
import shutil
import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from PIL import Image

from cardpose.cli.inputs import find_sources
from cardpose.pictures.videos import sampled_frames, video_timing

FILES = Path(__file__).parents[1] / "files"
UPRIGHT = np.full((48, 64, 3), 20, np.uint8)
UPRIGHT[:16, :16] = (250, 20, 20)
UPRIGHT[-16:, :16] = (20, 250, 20)
ONE = 65536  # in a matrix of 16.16 fixed point numbers


def noisy(count):
    """Pictures of brightness 100, 101, ...; their noise makes packets of some length."""
    random = np.random.default_rng(0)
    grey = [random.normal(100 + i, 15, (64, 96, 1)).round() for i in range(count)]
    return [np.repeat(each, 3, axis=2).clip(0, 255).astype(np.uint8) for each in grey]


def film(
    path,
    pictures=None,
    codec="libx264",
    matrix=None,
    aspect=None,
    bitstream=None,
    container=None,
    times=None,
    shift=0,
    skip=0,
    **options,
):
    """Write a video at 25 frames a second.

    Args:
        matrix: (a, b, c, d) of the display: (x, y) is shown at (a x + c y, b x + d y).
        aspect: a pixel's width / height.
        bitstream: a bitstream filter of FFmpeg.
        container: options of the container.
        times: of the frames, in 25ths of a second.
        shift: so many 25ths of a second begin before time 0, which players do not show.
        skip: so many packets are left out at the beginning.
        options: of the codec.
    """
    pictures = [UPRIGHT] * 3 if pictures is None else pictures
    with av.open(str(path), "w", options=container or {}) as file:
        stream = file.add_stream(codec, 25)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if codec == "libvpx":
            stream.bit_rate = 500_000
        elif codec == "libx264":
            options = {"sc_threshold": 0, **options}  # noise is no reason for a key frame
        else:
            options = {"flags": "+qscale", "global_quality": 4 * 118, **options}
        stream.options = {name: str(value) for name, value in options.items()}
        stream.codec_context.time_base = Fraction(1, 25)
        if aspect:
            stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        if matrix:
            a, b, c, d = (round(ONE * number) for number in matrix)
            stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 2**30])
        frames = [av.VideoFrame.from_ndarray(each, "bgr24") for each in pictures]
        for frame, time in zip(frames, times or itertools.count(), strict=False):
            frame.pts, frame.time_base = time, Fraction(1, 25)
        packets = [packet for frame in [*frames, None] for packet in stream.encode(frame)]
        file.start_encoding()  # writes the header, which makes the codec's data known
        if bitstream:
            chain = BitStreamFilterContext(bitstream, stream)
            packets = [new for old in [*packets, None] for new in chain.filter(old)]
        for packet in packets[skip:]:
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            file.mux(packet)
    return path


def seen(path, step=1):
    """The sampled pictures by index, and how many frames there are."""
    *frames, (count, nothing) = sampled_frames(path, step)
    assert nothing is None
    return dict(frames), count


def first(path):
    return seen(path, 1000)[0][0]


def places(path):
    """Where each packet begins in a file."""
    with av.open(str(path)) as file:
        return [packet.pos for packet in file.demux(video=0) if packet.size]


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


def is_shown_as(picture, expected):
    assert picture.shape == expected.shape
    return abs(picture.astype(int) - expected).mean() < 8


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
def test_all_eight_orientations_are_applied(tmp_path, name, matrix):
    path = film(tmp_path / name, matrix=matrix)
    assert is_shown_as(first(path), MATRICES[matrix](UPRIGHT))


@pytest.mark.parametrize(
    ("said", "matrix"),
    [
        ("rotate=90", (0, -1, 1, 0)),
        ("rotate=180", (-1, 0, 0, -1)),
        ("flip=horizontal", (-1, 0, 0, 1)),
    ],
)
def test_frames_say_how_they_are_turned(tmp_path, said, matrix):
    bitstream = f"h264_metadata=display_orientation=insert:{said}"
    path = film(tmp_path / "a.mp4", bitstream=bitstream)
    assert is_shown_as(first(path), MATRICES[matrix](UPRIGHT))


@pytest.mark.parametrize(
    "matrix",
    [(0.7, 0.7, -0.7, 0.7), (1, 0.5, 0, 1), (0, 2, -1, 0), (1, 1, 1, 1)],
    ids=["45 degrees", "sheared", "on its side and stretched", "a line"],
)
def test_other_displays_are_refused(tmp_path, complains, matrix):
    path = film(tmp_path / "a.mp4", matrix=matrix)
    with complains(f"{path}: is to be shown askew"):
        first(path)


def test_a_matrix_of_zeros_is_none(tmp_path):
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


def test_frames_say_what_their_pixels_are_like(tmp_path):
    path = film(tmp_path / "a.ts", noisy(9), bitstream="h264_metadata=sample_aspect_ratio=2/1")
    assert first(path).shape[:2] == (64, 192)


def test_pixels_are_wide_before_the_picture_is_turned(tmp_path):
    path = film(tmp_path / "a.mp4", aspect="4/3", matrix=(0, 1, -1, 0))
    assert first(path).shape[:2] == (85, 48)


def test_a_display_may_be_stretched(tmp_path):
    path = film(tmp_path / "a.mp4", matrix=(-2, 0, 0, 1))
    picture = first(path)
    assert picture.shape[:2] == (48, 128)
    assert picture[3, -3, 0] > 200


def test_nearly_square_pixels_are_square(tmp_path):
    path = film(tmp_path / "a.mp4", aspect="201/200")
    assert first(path).shape[:2] == (48, 64)


def test_needles_are_refused(tmp_path, complains):
    path = film(tmp_path / "a.mp4", aspect="20/1")
    with complains(f"{path}: says that its pixels are 20 times as wide as high"):
        first(path)


@pytest.mark.parametrize("name", ["plain.mp4", "plain.mkv", "ten_bit.mp4", "odd_size.mp4"])
def test_frames_are_opencvs_to_the_bit(name):
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


# Good videos


def same(pictures, whole, numbers):
    """Whether each of some pictures, in order, is the one of another video that has the number."""
    chosen = [whole[number] for number in numbers]
    return len(pictures) == len(chosen) and all(
        (a == b).all() for a, b in zip(pictures.values(), chosen, strict=True)
    )


def numbers(pictures, whole):
    """The numbers of the pictures in another video, of the same pictures encoded anew."""
    return [
        min(whole, key=lambda i: abs(whole[i].astype(int) - picture).mean())
        for picture in pictures.values()
    ]


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


def test_time_need_not_begin_at_zero(tmp_path):
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


def test_what_needs_frames_before_the_beginning_is_left_out(tmp_path):
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
def test_a_name_is_a_path_whatever_it_looks_like(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    shutil.copy(FILES / "plain.mp4", name)
    assert seen(name, 10)[1] == 25
    assert video_timing(name) == (25.0, 25)


# Videos that are not whole

WHOLE = {
    "streamed.mp4": {"container": {"movflags": "faststart"}},
    "fragments.mp4": {"container": {"movflags": "frag_keyframe+empty_moov"}},
    "a.mkv": {},
    "live.mkv": {"container": {"live": "1"}},
    "a.webm": {"codec": "libvpx"},
    "a.ts": {},
    "b.ts": {"codec": "mpeg2video"},
    "a.mpg": {"codec": "mpeg2video"},
    "a.avi": {"codec": "mjpeg"},
    "b.avi": {"codec": "mpeg4"},
    "a.flv": {},
    "a.wmv": {"codec": "wmv2"},
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_that_was_cut_off_ends_early(tmp_path, complains, name):
    path = film(tmp_path / name, noisy(36), g=12, bf=0, **WHOLE[name])
    whole, count = seen(path)
    assert count == 36
    content = path.read_bytes()
    begin = places(path)
    for number in (10, 20, 30):
        path.write_bytes(content[: sum(begin[number : number + 2]) // 2])
        frames = []
        with complains(f"{path}: ends early: ", "frames"):
            frames.extend(sampled_frames(path, 1))
        assert number - 3 <= len(frames) <= number
        for index, picture in frames:
            assert (picture == whole[index]).all()


@pytest.mark.parametrize("name", ["streamed.mp4", "fragments.mp4", "a.mkv", "live.mkv", "a.avi"])
def test_a_file_that_was_cut_off_between_two_frames_ends_early(tmp_path, complains, name):
    path = film(tmp_path / name, noisy(36), g=12, bf=0, **WHOLE[name])
    path.write_bytes(path.read_bytes()[: places(path)[20]])
    with complains(f"{path}: ends early: "):
        list(sampled_frames(path, 1))


@pytest.mark.parametrize("name", ["a.mkv", "b.avi", "a.ts", "b.ts"])
@pytest.mark.parametrize("bf", [0, 2])
def test_damage_in_the_middle_is_found(tmp_path, complains, name, bf):
    path = film(tmp_path / name, noisy(36), g=12, bf=bf, **WHOLE[name])
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 1000] = bytes(1000)
    path.write_bytes(content)
    frames = []
    with complains(f"{path}: ends early: "):
        frames.extend(sampled_frames(path, 1))
    assert 10 < len(frames) < 24


@pytest.mark.parametrize("lost", [1, 2, 7, 8, 9, 20])
@pytest.mark.parametrize("name", ["a.ts", "b.ts"])
def test_lost_packets_of_a_broadcast_are_found(tmp_path, complains, name, lost):
    path = film(tmp_path / name, noisy(36), g=36, bf=0, **WHOLE[name])
    whole, _ = seen(path)
    content = path.read_bytes()
    at = places(path)[18] + 188  # behind the tables, which come again and again
    path.write_bytes(content[:at] + content[at + 188 * lost :])
    frames = []
    with complains(f"{path}: ends early: "):
        frames.extend(sampled_frames(path, 1))
    assert len(frames) > 10
    for index, picture in frames:  # those before have the right number
        assert (picture == whole[index]).all()


def test_lost_blocks_of_a_matroska_file_are_found(tmp_path, complains):
    path = film(tmp_path / "a.mkv", noisy(36), g=12, bf=0)
    content, at = bytearray(path.read_bytes()), places(path)[20]
    content[at : at + 8] = bytes(8)
    path.write_bytes(content)
    frames = []
    with complains(f"{path}: ends early: "):
        frames.extend(sampled_frames(path, 1))
    assert 12 < len(frames) <= 20


def test_frames_in_front_of_a_cut_keep_their_numbers(tmp_path, complains):
    """Of frames that wait for others, only those are shown that no missing one precedes."""
    path = film(tmp_path / "a.mkv", noisy(36), g=36, bf=3, **{"x264-params": "b-adapt=0"})
    whole, _ = seen(path)
    content = path.read_bytes()
    for share in (0.4, 0.5, 0.6, 0.7, 0.8):
        path.write_bytes(content[: int(share * len(content))])
        frames = []
        with complains("ends early: "):
            frames.extend(sampled_frames(path, 1))
        for index, picture in frames:
            assert (picture == whole[index]).all()


def test_what_is_known_is_said_where_no_number_is_promised(tmp_path, complains):
    path = film(tmp_path / "a.mkv", noisy(36), bf=0, **WHOLE["live.mkv"])
    path.write_bytes(path.read_bytes()[:-100])
    with complains(f"{path}: ends early: 35 frames can be decoded, then: File ended prematurely"):
        list(sampled_frames(path, 1))


@pytest.mark.parametrize("name", ["streamed.mp4", "a.avi", "a.flv"])
def test_a_frame_that_lacks_some_bytes_is_not_shown(tmp_path, complains, name):
    path = film(tmp_path / name, noisy(36), bf=0, **WHOLE[name])
    content, end = path.read_bytes(), places(path)[21]
    for less in (10, 15, 20, 30, 60):
        path.write_bytes(content[: end - less])
        frames = []
        with complains(f"{path}: ends early: "):
            frames.extend(sampled_frames(path, 1))
        assert len(frames) <= 20


@pytest.mark.parametrize("name", ["a.mkv", "unlisted.mkv", "a.avi"])
def test_a_lost_index_loses_no_frame(tmp_path, name):
    path = film(tmp_path / name, noisy(36), codec="mjpeg")
    content = path.read_bytes()
    if name == "unlisted.mkv":  # whose head does not say where the index is
        content = content.replace(b"\x11\x4d\x9b\x74", b"\x11\x4d\x9b\x75")
    for less in (1, 10, 20):
        path.write_bytes(content[:-less])
        assert seen(path)[1] == 36


# Files that hold no video that could be read


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("a.mp4", b"avc1", b"zzzz", "codec, zzzz, "),
        ("a.mkv", b"V_MPEG4/ISO/AVC", b"V_NONE/ISO/NONE", ""),
    ],
)
def test_an_unknown_codec_is_named(tmp_path, complains, name, old, new, said):
    path = film(tmp_path / name)
    path.write_bytes(path.read_bytes().replace(old, new))
    with complains(f"{path}: cannot be opened as a video: its codec", said, "is not known"):
        list(sampled_frames(path, 1))


def test_an_encrypted_video_is_named(tmp_path, complains):
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "0" * 32}
    path = film(tmp_path / "a.mp4", container={**key, "encryption_kid": "1" * 32})
    with complains(f"{path}: is encrypted (its codec is h264)"):
        list(sampled_frames(path, 1))


PLAYLISTS = {
    "HLS": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile a.ts\n",
    "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nt=0 0\nm=video 5004 RTP/AVP 96\n",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("name", ["list.m3u8", "list.mp4"])
def test_a_playlist_does_not_open_other_files(tmp_path, complains, kind, name):
    film(tmp_path / "a.ts", noisy(10))
    (tmp_path / name).write_text(PLAYLISTS[kind])
    with complains(f"{tmp_path / name}: cannot be opened as a video"):
        list(sampled_frames(tmp_path / name, 1))


def test_a_heic_is_no_video_of_its_tiles(tmp_path, complains):
    path, frames = tmp_path / "film", []
    Image.fromarray(UPRIGHT).save(path, "AVIF")
    path.write_bytes(path.read_bytes().replace(b"avif", b"heic"))
    with complains(f"{path}: is a picture, not a video"):
        frames.extend(sampled_frames(path, 1))
    assert frames == []
    assert [source.kind for source in find_sources(str(path))] == ["picture"]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".gif"])
def test_a_picture_is_no_video(tmp_path, complains, suffix):
    path = tmp_path / "a.mp4"
    path.write_bytes(cv2.imencode(suffix, UPRIGHT)[1].tobytes())
    with complains(f"{path}: is a picture, not a video; name a folder of pictures"):
        list(sampled_frames(path, 1))


def test_ffmpeg_says_nothing_on_its_own(tmp_path, complains, capfd):
    path = film(tmp_path / "a.ts", noisy(36))
    content, at = path.read_bytes(), places(path)[18] + 188
    path.write_bytes(content[:at] + content[at + 188 :])
    with complains("ends early"):
        list(sampled_frames(path, 1))
    assert capfd.readouterr().err == ""
