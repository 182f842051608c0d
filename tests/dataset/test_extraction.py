"""Write the sampled frames of recordings to disk."""

import cv2
import numpy as np
import pytest

from cardpose.common.files import atomic_output
from cardpose.dataset.extraction import extract_frames
from cardpose.dataset.recordings import Recording, read_recordings


def contents(folder):
    """{relative path: bytes} of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_index_has_one_row_per_frame(extracted):
    assert (extracted / "index.csv").read_text() == (
        "frame,recording,file,width,height\n"
        "clip_frame_0,clip,clip/clip_frame_0.jpg,64,48\n"
        "clip_frame_10,clip,clip/clip_frame_10.jpg,64,48\n"
        "clip_frame_20,clip,clip/clip_frame_20.jpg,64,48\n"
        "shots_frame_0,shots,shots/shots_frame_0.png,64,48\n"
        "shots_frame_2,shots,shots/shots_frame_2.png,64,48\n"
        "shots_frame_10,shots,shots/shots_frame_10.png,64,48\n"
    )


def test_the_summary_has_one_row_per_recording_and_folders_are_whole(extracted):
    assert (extracted / "recordings.csv").read_text() == (
        "recording,cards_counted,total_cards,kind,frames,step\n"
        "clip,3,52,video,25,10\n"
        "shots,52,52,folder,3,1\n"
    )


def test_the_folder_holds_the_frames_of_the_index_and_nothing_else(extracted):
    assert set(contents(extracted)) == {
        "index.csv",
        "recordings.csv",
        *(f"clip/clip_frame_{index}.jpg" for index in (0, 10, 20)),
        *(f"shots/shots_frame_{index}.png" for index in (0, 2, 10)),
    }
    for index in (0, 10, 20):
        picture = cv2.imread(str(extracted / "clip" / f"clip_frame_{index}.jpg"))
        assert round(picture.mean() / 10) == index


def test_frames_of_a_folder_are_copied_byte_for_byte(extracted, small_dataset):
    for index in (0, 2, 10):
        original = small_dataset / "videos" / "shots" / f"shot_{index}.png"
        copy = extracted / "shots" / f"shots_frame_{index}.png"
        assert copy.read_bytes() == original.read_bytes()


def test_jpeg_compression_of_a_colourful_frame_is_invisible(tmp_path, write_video):
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (12, 16, 3), np.uint8)
    fine = cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_CUBIC)
    write_video(tmp_path / "a.mp4", [fine] * 2)
    extract_frames([Recording("a", tmp_path / "a.mp4", 1, 52)], 1, tmp_path / "frames", jobs=1)
    capture = cv2.VideoCapture(str(tmp_path / "a.mp4"), cv2.CAP_FFMPEG)
    for index in range(2):
        _, decoded = capture.read()
        stored = cv2.imread(str(tmp_path / "frames" / "a" / f"a_frame_{index}.jpg"))
        error = np.mean((stored.astype(float) - decoded) ** 2)
        assert 10 * np.log10(255**2 / error) > 40
    capture.release()


def test_parallel_extraction_writes_the_same_bytes(small_dataset, tmp_path):
    recordings = read_recordings(small_dataset)
    for jobs in (1, 2):
        extract_frames(recordings, 7, tmp_path / f"frames{jobs}", jobs=jobs)
    one_by_one, side_by_side = contents(tmp_path / "frames1"), contents(tmp_path / "frames2")
    assert len(one_by_one) == 2 + 4 + 3
    assert one_by_one == side_by_side


def extract_badly(dataset, folder, jobs):
    with atomic_output(folder) as scratch:
        extract_frames(read_recordings(dataset), 5, scratch, jobs=jobs)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("old", [True, False], ids=["older frames", "no older frames"])
def test_a_corrupt_recording_is_named_and_leaves_nothing_behind(
    small_dataset, tmp_path, complains, write_video, jobs, old
):
    videos, folder = small_dataset / "videos", tmp_path / "data" / "frames"
    (videos / "broken.mp4").write_bytes(b"no video")
    rows = "clip.mp4,3,52\nbroken.mp4,4,52\nshots,5,52\n"
    for name in ("long1", "long2", "long3"):
        write_video(videos / f"{name}.mp4")
        rows += f"{name}.mp4,1,52\n"
    (small_dataset / "videos.csv").write_text("video,cards_counted,total_cards\n" + rows)
    if old:
        folder.mkdir(parents=True)
        (folder / "index.csv").write_text("old")
    with complains(f"{videos / 'broken.mp4'}: cannot be opened as a video"):
        extract_badly(small_dataset, folder, jobs)
    left = [folder] if old else []
    assert list(tmp_path.glob("data/*")) == left
    assert not old or contents(folder) == {"index.csv": b"old"}


def test_a_folder_with_a_broken_picture_is_named(small_dataset, tmp_path, complains):
    broken = small_dataset / "videos" / "shots" / "shot_2.png"
    broken.write_bytes(b"no picture")
    with complains(f"{broken}: cannot be read as a picture"):
        extract_badly(small_dataset, tmp_path / "frames", 1)
    assert not (tmp_path / "frames").exists()


def test_a_full_disk_is_reported(small_dataset, tmp_path, complains, monkeypatch):
    monkeypatch.setattr(cv2, "imwrite", lambda *_: False)
    with complains("clip_frame_0.jpg: cannot be written", "disk"):
        extract_badly(small_dataset, tmp_path / "frames", 1)
    assert not (tmp_path / "frames").exists()
