"""Videos that are cut off or damaged, and files that are no videos: each is refused by name."""

import cv2
import numpy as np
import pytest
from films import UPRIGHT, film, noisy, places, seen
from PIL import Image

from cardpose.cli.inputs import find_sources
from cardpose.pictures import videos
from cardpose.pictures.videos import sampled_frames

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


def test_the_message_has_the_number_of_decoded_frames_if_the_header_has_none(tmp_path, complains):
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
    ("name", "old", "new", "words"),
    [
        ("a.mp4", b"avc1", b"zzzz", "codec, zzzz, "),
        ("a.mkv", b"V_MPEG4/ISO/AVC", b"V_NONE/ISO/NONE", ""),
    ],
)
def test_an_unknown_codec_is_named(tmp_path, complains, name, old, new, words):
    path = film(tmp_path / name)
    path.write_bytes(path.read_bytes().replace(old, new))
    with complains(f"{path}: cannot be opened as a video: its codec", words, "is not known"):
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


def test_ffmpeg_prints_nothing(tmp_path, complains, capfd):
    path = film(tmp_path / "a.ts", noisy(36))
    content, at = path.read_bytes(), places(path)[18] + 188
    path.write_bytes(content[:at] + content[at + 188 :])
    with complains("ends early"):
        list(sampled_frames(path, 1))
    assert capfd.readouterr().err == ""


# Size


def test_the_codec_of_screen_recordings_is_read(tmp_path):
    pictures = [np.full((96, 128, 3), value, np.uint8) for value in (50, 100, 150)]
    whole, count = seen(film(tmp_path / "a.mp4", pictures, codec="libsvtav1"))
    assert count == 3
    assert [whole[i].mean() for i in range(3)] == pytest.approx([50, 100, 150], abs=5)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi"])
def test_frames_that_are_too_large_are_not_decoded(tmp_path, complains, monkeypatch, name):
    path = film(tmp_path / name, noisy(12))
    monkeypatch.setattr(videos, "MOST_FRAME_PIXELS", 64 * 96 - 1)
    with complains(f"{path}: is too large a video: its frames may have 6,143", "(got 96 x 64)"):
        list(sampled_frames(path, 1))


def test_frames_that_would_grow_too_large_are_refused(tmp_path, complains, monkeypatch):
    path = film(tmp_path / "a.mp4", aspect="2")
    monkeypatch.setattr(videos, "MOST_FRAME_PIXELS", 64 * 48)
    with complains(f"{path}: is too large a video", "(got 128 x 48)"):
        list(sampled_frames(path, 1))


def test_frames_that_become_too_large_are_not_decoded(tmp_path, complains, monkeypatch):
    small = film(tmp_path / "a.ts", noisy(12), codec="mpeg2video").read_bytes()
    large = [cv2.resize(each, (960, 640)) for each in noisy(3)]
    path = film(tmp_path / "b.ts", large, codec="mpeg2video")
    path.write_bytes(small + path.read_bytes())
    assert seen(path)[1] > 12
    monkeypatch.setattr(videos, "_LIMIT", {"max_pixels": "100000"})
    frames = []
    with complains(f"{path}: ends early"):
        frames.extend(sampled_frames(path, 1))
    assert 10 <= len(frames) <= 12


def test_a_live_list_is_refused_at_once(tmp_path, complains):
    film(tmp_path / "a.ts", noisy(10))
    for name in ("live.m3u8", "live.mp4", "live"):
        (tmp_path / name).write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.ts\n")
        with complains(f"{tmp_path / name}: cannot be opened as a video"):
            list(sampled_frames(tmp_path / name, 1))
