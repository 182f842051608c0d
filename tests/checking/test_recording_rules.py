"""Rules for recordings: their labels, frames, pictures and copies."""

import cv2
import numpy as np
from checked_labels import LR_BACK, findings, wrong

from cardpose.checking.findings import INFO, WRONG
from cardpose.dataset.annotations import read_annotations, write_annotations
from cardpose.pictures.videos import sampled_frames


def add_copy(dataset, write_video, codec="MJPG"):
    """packet_02 under another name, compressed anew, lighter, with its labels."""
    pictures = [
        np.clip(picture * 1.1 + 5, 0, 255).astype(np.uint8)
        for _, picture in sampled_frames(dataset / "videos" / "packet_02.mp4", 1)
        if picture is not None
    ]
    write_video(dataset / "videos" / "again.avi", pictures, codec)
    with (dataset / "videos.csv").open("a") as file:
        file.write("again.avi,2,52\n")
    lines = (dataset / "annotations.csv").read_text().splitlines()
    more = [line.replace("packet_02", "again") for line in lines if line.startswith("packet_02")]
    (dataset / "annotations.csv").write_text("\n".join([*lines, *more]) + "\n")


def test_a_copied_recording_is_found(dataset, write_video):
    add_copy(dataset, write_video)
    found = {(one.recording, one.what) for one in wrong(dataset)}
    assert found == {
        ("again", "nearly the same pictures as packet_02"),
        ("packet_02", "nearly the same pictures as again"),
    }


def test_labels_without_frames_and_frames_without_labels_are_found(dataset):
    lines = (dataset / "annotations.csv").read_text().splitlines()
    lines = [line for line in lines if not line.startswith("packet_03")]
    lines = [line for line in lines if not line.startswith("packet_04_frame_20,")]
    lost = next(line for line in lines if line.startswith("packet_05_frame_60,"))
    lines.append(lost.replace("_60,", "_300,"))
    (dataset / "annotations.csv").write_text("\n".join(lines) + "\n")
    found = {(one.recording, one.frame, one.what, one.off, one.level) for one in findings(dataset)}
    without = "frames without a label"
    assert found == {
        ("packet_03", None, "no labels", None, WRONG),
        ("packet_03", None, without, 7, INFO),
        ("packet_04", None, without, 1, INFO),
        ("packet_05", 300, "label without a frame", None, WRONG),
    }


def test_unlabelled_rows_and_keypoints_are_not_taken_as_hidden(dataset):
    path = dataset / "annotations.csv"
    frames, points, visible, _ = read_annotations(path)
    mask = np.ones_like(visible)
    mask[frames.index("packet_04_frame_20")] = False
    # A corner of the back that is in the picture, and which nobody has looked at.
    mask[frames.index("packet_05_frame_20"), LR_BACK] = False
    write_annotations(path, frames, points, visible & mask, mask)
    found = {(one.recording, one.what, one.off, one.level) for one in findings(dataset)}
    assert found == {("packet_04", "frames without a label", 1, INFO)}


def test_pictures_of_several_sizes_get_a_remark(small_dataset):
    cv2.imwrite(str(small_dataset / "videos/shots/shot_10.png"), np.zeros((64, 48, 3), np.uint8))
    one = next(one for one in findings(small_dataset, 7) if "sizes" in one.what)
    assert (one.recording, one.level) == ("shots", INFO)
    assert one.what == "pictures of several sizes: 48 x 64, 64 x 48"
