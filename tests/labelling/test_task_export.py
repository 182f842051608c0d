"""`cardpose label export`: which frames are exported, with what, and where to."""

import json

import numpy as np
import pytest
from tool_files import FRAMES

from cardpose.dataset.annotations import write_annotations
from cardpose.labelling import tasks as label_tasks


def test_confidence_is_the_score(exported, proposals):
    for row, task in enumerate(exported("label-studio")):
        (prediction,) = task["predictions"]
        assert prediction["model_version"] == "cardpose"
        assert prediction["score"] == pytest.approx(proposals.confidence[row].mean(), abs=1e-4)
        scores = [mark["score"] for mark in prediction["result"]]
        expected = proposals.confidence[row][proposals.visible[row]]
        np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_frames_with_a_label_are_left_out_and_empty_rows_are_no_labels(mine, exported, proposals):
    known = np.array([8 * [True], 8 * [False]])
    visible = proposals.visible[:2] & known
    write_annotations(mine / "annotations.csv", FRAMES[:2], proposals.points[:2], visible, known)
    frames = [task["data"]["frame"] for task in exported("label-studio")]
    assert frames == FRAMES[1:]
    frames = [task["data"]["frame"] for task in exported("label-studio", "--labelled")]
    assert frames == FRAMES[:1]


def test_next_exports_the_frames_of_next_csv_in_its_order(mine, exported, label, complains):
    (mine / "labelling" / "next.csv").write_text(f"frame,why\n{FRAMES[3]},a\n{FRAMES[0]},b\n")
    frames = [task["data"]["frame"] for task in exported("label-studio", "--next")]
    assert frames == [FRAMES[3], FRAMES[0]]
    status, said = label("export", "mine", "coco", "--next", "--labelled")
    assert (status, said) == (1, "error: data/mine/labelling/next.csv: names no frame that has a"
                              " label\n")  # fmt: skip
    (mine / "labelling" / "next.csv").write_text("frame\nthere_frame_7\n")
    with complains("next.csv: there_frame_7: not in"):
        label_tasks.choose_tasks(mine, next_only=True)


def test_keypoints_that_a_label_leaves_open_are_exported_as_proposed(mine, exported, proposals):
    known = np.array([[True] * 4 + [False] * 4])
    shifted = proposals.points[4:] + 0.01
    path = mine / "annotations.csv"
    write_annotations(path, FRAMES[4:], shifted, proposals.visible[4:] & known, known)
    (task,) = exported("label-studio", "--labelled")
    places = [(mark["value"]["x"], mark["value"]["y"]) for mark in task["predictions"][0]["result"]]
    expected = np.where(known[0][:, None], shifted[0], proposals.points[4])
    np.testing.assert_allclose(places, 100 * expected, atol=1e-4)
    row = exported("csv", "--labelled").splitlines()[1]  # whose rows count as looked at
    assert row.endswith(12 * ",")


def test_a_frame_without_a_proposal_is_exported_without_marks(mine, exported, taken):
    path = mine / "labelling" / "proposals.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    tasks, dataset = exported("label-studio"), exported("coco")
    assert "predictions" not in tasks[4]
    assert [each["image_id"] for each in dataset["annotations"]] == [1, 2, 3, 4]
    assert exported("csv").splitlines()[5] == FRAMES[4] + ",0" + 24 * ","
    said = taken(dataset, "--accept-proposals")[1]
    assert said.splitlines()[:2] == ["4 labels: 4 added", "left out: 1 without an annotation"]


def test_export_writes_to_any_file_but_the_labels(mine, label, tmp_path):
    assert label("export", "mine", "coco", "--output", tmp_path / "there" / "a.json")[0] == 0
    assert json.loads((tmp_path / "there" / "a.json").read_text())["images"]
    status, said = label("export", "mine", "csv", "--output", "data/mine/annotations.csv")
    assert status == 1
    assert "annotations.csv: holds the labels" in said
    assert not (mine / "annotations.csv").exists()


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ("frames/index.csv", "index.csv: there is no such file: `cardpose label start` makes it"),
        ("proposals.csv", "proposals.csv: there is no such file: `cardpose label start` makes it"),
    ],
)
def test_export_names_a_missing_file(lost, words, mine, label):
    (mine / "labelling" / lost).unlink()
    status, said = label("export", "mine", "csv")
    assert (status, said.count("\n")) == (1, 1)
    assert words in said
