"""Cameras, and the frame rate of videos."""

from support import Camera

from cardpose.pictures import videos
from cardpose.pictures.videos import camera_frames, video_timing


def test_timing_comes_from_the_header_of_the_video(tmp_path, write_video):
    write_video(tmp_path / "a.mp4")
    assert video_timing(tmp_path / "a.mp4") == (25.0, 25)
    (tmp_path / "b.mp4").write_bytes(b"no video")
    assert video_timing(tmp_path / "b.mp4") == (25.0, 0)


def test_a_camera_that_stops_is_reported(monkeypatch, complains):
    camera = Camera(3)
    monkeypatch.setattr(videos.cv2, "VideoCapture", lambda number: camera)
    seen = []
    with complains("camera 2: sends no more pictures"):
        seen.extend((index, picture[0, 0, 0]) for index, picture in camera_frames(2))
    assert camera.released
    monkeypatch.setattr(videos.cv2, "VideoCapture", lambda number: Camera(None))
    with complains("camera 2: cannot be opened"):
        list(camera_frames(2))


def test_a_camera_is_read_for_the_given_seconds(monkeypatch):
    camera = Camera(10**9)
    clock = iter(range(100, 1000))
    monkeypatch.setattr(videos.cv2, "VideoCapture", lambda number: camera)
    monkeypatch.setattr(videos.time, "monotonic", lambda: next(clock))
    # A second passes at every look at the clock; it starts at 100 and ends at 105.
    assert [index for index, _ in camera_frames(0, seconds=5)] == [0, 1, 2, 3]
    assert camera.released
