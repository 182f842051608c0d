"""Labels merged into annotations.csv."""

import copy

import numpy as np
import pytest
from tool_files import FRAMES, NEAR, mark, off, submitted

from cardpose.common import files
from cardpose.dataset.annotations import read_annotations, write_annotations
from cardpose.geometry.keypoints import KEYPOINTS


@pytest.fixture
def written(mine, proposals):
    """annotations.csv as somebody else may have written it: columns in another order, spare ones,
    rows of frames that labelling knows nothing of, quotes, and unknown keypoints; no end of line
    at its end."""
    names = [f"{name}_{what}" for name in reversed(KEYPOINTS) for what in ("y", "x", "visible")]
    lines = [",".join(["note", *names, "frame", "annotated"])]
    lines += [
        '"a ""fine"" one, really",' + "0.5,0.25,1," + ",,0," * 3 + ",,," * 4 + "old_frame_3,1",
        "no label," + ",,," * 8 + "50% & more_frame_2,0",
        " half ," + "0.5,0.5,1," + ",,," * 7 + f"{FRAMES[3]}, 1",
        "",
        "last," + "0.1,0.125,0," * 8 + "old_frame_7,1",
    ]
    path = mine / "annotations.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    return path


def test_other_rows_keep_their_bytes(written, exported, taken, proposals):
    before = written.read_bytes().split(b"\r\n")
    tasks = submitted(exported("label-studio") + exported("label-studio", "--labelled"))
    tasks[4]["annotations"][0]["result"][-1]["value"]["x"] += 5
    status, said = taken(tasks)
    assert status == 0
    assert said.splitlines()[:2] == [
        "5 labels: 4 added, 1 kept as they were",
        f"kept: {FRAMES[3]}: labelled otherwise already; --overwrite takes the new ones",
    ]
    after = written.read_bytes().split(b"\r\n")
    assert [after[k] for k in (0, 1, 3, 4, 5)] == [before[k] for k in (0, 1, 3, 4, 5)]
    assert after[2].startswith(b"no label,0.")  # the row of which nothing was known
    assert after[-1] == b""
    frames, points, visible, known = read_annotations(written)
    assert frames == ["old_frame_3", FRAMES[1], FRAMES[3], "old_frame_7", *FRAMES[::2]]
    assert known.sum(axis=1).tolist() == [4, 8, 1, 8, 8, 8, 8]
    np.testing.assert_array_equal(visible[[4, 1, 5]], proposals.visible[:3])
    np.testing.assert_allclose(
        points[1][visible[1]], proposals.points[1][proposals.visible[1]], atol=1e-6
    )


def test_labels_are_overwritten_only_on_request(mine, exported, taken, proposals):
    path = mine / "annotations.csv"
    tasks = submitted(exported("label-studio"))
    taken(tasks)
    before = path.read_bytes()
    for k, (x, y) in enumerate(((3, 4), (0, 1), (6, 8))):  # pixels: moves of 5, 1 and 10
        mark(tasks, k)["value"]["x"] += 100 * x / 1080
        mark(tasks, k)["value"]["y"] += 100 * y / 1920
    del tasks[4]["annotations"][0]["result"][7]
    hidden_before = copy.deepcopy(mark(tasks)) | {"id": "new"}
    hidden_before["value"]["keypointlabels"] = ["upper_left_face"]
    tasks[0]["annotations"][0]["result"].append(
        hidden_before | {"original_width": 640, "original_height": 480}
    )
    status, said = taken(tasks)
    assert (status, said.splitlines()[0]) == (
        0,
        "5 labels: 2 kept as they were, 3 the same as before",
    )
    assert path.read_bytes() == before
    status, said = taken(tasks, "--overwrite")
    assert status == 0
    # Of 14 corners that stayed visible 3 moved.
    assert said.splitlines()[:2] == [
        "5 labels: 2 changed, 3 the same as before",
        "changed: corners moved by 0.00 px at the median, 10.00 px at most; 1 became visible,"
        " 1 are hidden now",
    ]
    assert "3 of the 5 exactly as proposed\n" in said
    visible = proposals.visible.copy()
    visible[4, 7], visible[0, 0] = False, True
    points = proposals.points.copy()
    points[4, :3] += np.array([[3, 4], [0, 1], [6, 8]]) / (1080, 1920)
    points[0, 0] = points[4, 0]
    assert off(mine, points, visible) <= NEAR


def test_open_keypoints_are_filled_in_and_labelled_ones_stay(mine, exported, taken, proposals):
    path = mine / "annotations.csv"
    tasks = submitted(exported("label-studio"))
    known = np.zeros((5, 8), bool)
    known[:2] = True
    known[2, :3] = known[3, 3:] = known[4, 7] = True
    points = proposals.points.copy()
    points[4, 7] += 0.1  # which the tool's label contradicts
    write_annotations(path, FRAMES, points, proposals.visible & known, known)
    status, said = taken(tasks)
    assert (status, said.splitlines()[0]) == (
        0,
        "5 labels: 2 completed, 1 kept as they were, 2 the same as before",
    )
    _, places, _, after = read_annotations(path)
    assert after.sum(axis=1).tolist() == [8, 8, 8, 8, 1]
    np.testing.assert_allclose(places[4, 7], points[4, 7], atol=1e-6)
    # A label that says less takes nothing away.
    lines = (mine / "annotations.csv").read_text().splitlines()
    lines[1] = ",".join(lines[1].split(",")[:-3]) + ",,,"
    assert "5 the same as before" in taken("\n".join(lines), "--overwrite")[1]
    assert read_annotations(path)[3].sum(axis=1).tolist() == [8, 8, 8, 8, 1]


def test_labels_with_exchanged_names_are_reported_but_taken(mine, exported, taken):
    tasks = submitted(exported("label-studio"))
    first, second = mark(tasks, 2), mark(tasks, 3)
    first["value"], second["value"] = (
        second["value"] | {"keypointlabels": first["value"]["keypointlabels"]},
        first["value"] | {"keypointlabels": second["value"]["keypointlabels"]},
    )
    status, said = taken(tasks)
    assert status == 0
    assert "upper, lower, left or right may be exchanged: phone_frame_1\n" in said


def test_a_full_disk_leaves_the_labels_as_they_were(mine, exported, taken, monkeypatch):
    taken(submitted(exported("label-studio"))[:2])
    before = (mine / "annotations.csv").read_bytes()
    tasks = submitted(exported("label-studio"))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_write_to_disk", full)
    status, said = taken(tasks)
    assert (status, said) == (1, "error: data/mine/annotations.csv: No space left on device\n")
    assert (mine / "annotations.csv").read_bytes() == before
    assert [path.name for path in mine.iterdir() if path.name.startswith(".")] == []


def test_existing_wrong_labels_are_named_before_anything_is_written(written, exported, taken):
    tasks = submitted(exported("label-studio"))
    written.write_bytes(written.read_bytes().replace(b"old_frame_7", b"old_frame_3"))
    before = written.read_bytes()
    status, said = taken(tasks)
    assert (status, said.count("\n")) == (1, 1)
    assert "data/mine/annotations.csv: line 6: frame: 'old_frame_3' is there twice" in said
    assert written.read_bytes() == before
