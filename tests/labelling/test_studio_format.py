"""Label Studio's configuration, tasks and labels."""

import copy
import xml.etree.ElementTree as ElementTree

import cv2
import numpy as np
import pytest
from tool_files import FRAMES, NEAR, mark, off, submitted

from cardpose.dataset.annotations import read_annotations
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.labelling import studio_format, task_export, untouched
from cardpose.pictures.drawing import BACK_COLOUR, FACE_COLOUR


def test_label_studio_has_percents(one_label, exported):
    (task,) = exported("label-studio", "--labelled")
    assert task["data"] == {
        "frame": "50% & more_frame_0",
        "image": "/data/local-files/?d=mine/labelling/frames/50%25%20%26%20more/"
        "50%25%20%26%20more_frame_0.png",
    }
    (prediction,) = task["predictions"]
    assert prediction["model_version"] == "annotations.csv"
    (mark,) = prediction["result"]
    assert (mark["value"]["x"], mark["value"]["y"]) == (25, 50)
    assert mark["value"]["keypointlabels"] == ["upper_left_face"]
    assert (mark["original_width"], mark["original_height"]) == (640, 480)
    # Names that Label Studio's answers refer to are those of the configuration.
    view = ElementTree.parse(one_label / "labelling" / task_export.CONFIGURATION).getroot()
    marks, picture = view.find("KeyPointLabels"), view.find("Image")
    assert (mark["from_name"], mark["to_name"]) == (marks.get("name"), marks.get("toName"))
    assert marks.get("toName") == picture.get("name")


def test_the_configuration_has_the_eight_corners_on_keys_1_to_8():
    view = ElementTree.fromstring(studio_format.configuration())
    labels = view.findall("KeyPointLabels/Label")
    assert [each.get("value") for each in labels] == list(KEYPOINTS)
    assert [each.get("hotkey") for each in labels] == list("12345678")
    assert len({each.get("background") for each in labels}) == 8
    assert view.find("Image").get("zoom") == "true"


def test_colours_resemble_those_of_drawings():
    def hue(red, green, blue):
        return cv2.cvtColor(np.array([[[blue, green, red]]], np.uint8), cv2.COLOR_BGR2HSV)[0, 0, 0]

    for name, colour in studio_format.COLOURS.items():
        of_drawing = BACK_COLOUR if name.endswith("back") else FACE_COLOUR
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert abs(int(hue(*rgb)) - int(hue(*of_drawing[::-1]))) < 30  # of 180
        if name.startswith("upper_left"):
            assert rgb == list(of_drawing[::-1])


def test_only_submitted_annotations_are_labels(mine, exported, taken):
    tasks = submitted(exported("label-studio"))
    tasks[0]["annotations"] = []
    tasks[1]["annotations"][0]["was_cancelled"] = True
    tasks[2]["drafts"] = tasks[2]["annotations"]
    del tasks[2]["annotations"]
    status, said = taken(tasks)
    assert status == 0
    assert said.splitlines()[:3] == [
        "2 labels: 2 added",
        "left out: 2 not submitted",
        "left out: 1 skipped",
    ]
    assert read_annotations(mine / "annotations.csv")[0] == FRAMES[3:]
    status, said = taken(tasks[:3])
    assert status == 1
    assert "holds no label: 2 not submitted, 1 skipped" in said


def test_a_keypoint_without_a_mark_is_hidden(mine, exported, taken, proposals):
    tasks = submitted(exported("label-studio"))
    del tasks[4]["annotations"][0]["result"][2]
    tasks[3]["annotations"][0]["result"] = []
    taken(tasks)
    visible = proposals.visible.copy()
    visible[4, 2] = visible[3, :] = False
    assert off(mine, proposals.points, visible) <= NEAR


def test_the_latest_annotation_counts(mine, exported, taken):
    tasks = submitted(exported("label-studio"))
    first = tasks[4]["annotations"][0]
    for number, (when, x) in enumerate((("12:00:00.000000Z", 70), ("11:30:00.000000Z", 60))):
        again = copy.deepcopy(first) | {"id": 50 - number, "updated_at": f"2026-03-01T{when}"}
        again["result"][0]["value"]["x"] = x
        tasks[4]["annotations"].append(again)
    status, said = taken(tasks)
    assert status == 0
    assert "1 labelled several times: the latest counts" in said
    _, points, *_ = read_annotations(mine / "annotations.csv")
    assert points[4, 0, 0] == 0.7


def test_pictures_that_were_uploaded_are_found_by_their_names(mine, exported, taken, proposals):
    tasks = submitted(exported("label-studio"))
    for task, frame in zip(tasks, FRAMES, strict=True):
        name = frame.replace("%", "%25").replace(" ", "%20")
        task["data"] = {"image": f"/data/upload/1/0f3a99b2-{name}.png"}
    assert taken(tasks)[0] == 0
    assert off(mine, proposals.points, proposals.visible) <= NEAR
    for task in tasks:
        task["data"] = {"image": task["data"]["image"].replace("0f3a99b2-", "")}
    assert "5 the same as before" in taken(tasks)[1]


def test_uploaded_pictures_are_found_by_the_names_that_label_studio_makes_valid(
    mine, exported, taken, proposals
):
    tasks = submitted(exported("label-studio"))
    for task, frame in zip(tasks, FRAMES, strict=True):
        name = frame.replace(" ", "_").replace("%", "").replace("&", "")
        task["data"] = {"image": f"/data/upload/1/0f3a99b2-{name}.png"}
    assert taken(tasks)[0] == 0
    assert off(mine, proposals.points, proposals.visible) <= NEAR


def test_a_name_made_valid_that_may_be_two_frames_is_refused(mine, exported, taken):
    tasks = submitted(exported("label-studio"))
    path = mine / "labelling" / "frames" / "index.csv"
    text = path.read_text()
    row = next(line for line in text.splitlines() if line.startswith(FRAMES[0]))
    path.write_text(f"{text}{row.replace('50% & more', '50 & more')}\n")
    tasks[0]["data"] = {"image": "/data/upload/1/0f3a99b2-50__more_frame_0.png"}
    status, said = taken(tasks)
    assert (status, said.count("\n")) == (1, 1)
    assert "may be '50% & more_frame_0' or '50 & more_frame_0'" in said
    tasks[0]["data"] = {"image": "/data/upload/1/0f3a99b2-50 & more_frame_0.png"}  # as it is
    assert taken(tasks)[0] == 0


def test_an_annotation_that_nobody_has_submitted_is_no_label(mine, exported, taken):
    """Label Studio can make annotations from all predictions at once."""
    tasks = submitted(exported("label-studio"))
    for task in tasks:
        task["annotations"][0] |= {"parent_prediction": 5, "lead_time": None, "last_action": None}
    tasks[1]["annotations"][0]["last_action"] = "prediction"
    del tasks[2]["annotations"][0]["lead_time"]
    before = (mine / "annotations.csv").exists()
    status, said = taken(tasks)
    assert (status, said.count("\n")) == (1, 1)
    assert f"holds no label: 5 {untouched.UNTOUCHED}" in said
    assert (mine / "annotations.csv").exists() == before
    # Submitted, submitted again, moved: labels.
    tasks[0]["annotations"][0]["lead_time"] = 3.5
    tasks[1]["annotations"][0]["last_action"] = "submitted"
    mark(tasks)["value"]["x"] += 0.01
    status, said = taken(tasks)
    assert said.splitlines()[:2] == ["3 labels: 3 added", f"left out: 2 {untouched.UNTOUCHED}"]
    assert read_annotations(mine / "annotations.csv")[0] == [FRAMES[0], FRAMES[1], FRAMES[4]]
    assert taken(tasks, "--accept-proposals")[1].startswith("5 labels: 2 added, 3 the same")


def test_a_submitted_annotation_counts_before_one_that_nobody_has_submitted(mine, exported, taken):
    tasks = submitted(exported("label-studio"))
    made = copy.deepcopy(tasks[4]["annotations"][0])
    made |= {"parent_prediction": 5, "lead_time": None, "updated_at": "2026-03-09T10:00:00Z"}
    tasks[4]["annotations"].append(made)
    tasks[4]["annotations"][0]["result"][0]["value"]["x"] = 70
    assert taken(tasks)[0] == 0
    assert read_annotations(mine / "annotations.csv")[1][4, 0, 0] == 0.7


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda t: mark(t)["value"].update(x=101), "upper_left_face: should lie in the picture"),
        (lambda t: mark(t)["value"].update(y=-3), "1080 x 1920 pixels (got"),
        (lambda t: mark(t)["value"].update(x=float("nan")), "x and y should be numbers"),
        (lambda t: mark(t)["value"].pop("y"), "upper_left_face: x and y should be numbers"),
        (lambda t: mark(t)["value"].update(keypointlabels=["nose"]), "eight corners (got ['nose']"),
        (lambda t: mark(t)["value"].update(keypointlabels=[]), "eight corners (got [])"),
        (lambda t: mark(t)["value"].update(keypointlabels=KEYPOINTS[:2]), "eight corners (got"),
        (lambda t: mark(t).update(value=3), "eight corners (got None)"),
        (
            lambda t: mark(t).update(copy.deepcopy(mark(t, 1))),
            "phone_frame_1: upper_right_face: should be marked once",
        ),
        (lambda t: mark(t).update(image_rotation=90), "was marked in a turned picture"),
        (lambda t: mark(t).update(original_width=1920), "shaped like 1080 x 1920 (got 1920"),
        (lambda t: t[4]["data"].update(frame="phone_frame_5"), "'phone_frame_5': the data set has"),
        (lambda t: t[4].update(data={"text": "x"}), "task 105: data should have `frame` or"),
        (lambda t: t[4].pop("data"), "task 105: should be as Label Studio exports it as JSON"),
        (lambda t: t[4].update(annotations=3), "task 105: annotations should be a list"),
        (lambda t: t[4]["annotations"].append({}), "task 105: annotations should be a list"),
        (lambda t: t.append(7), "task 6: should be as Label Studio exports it as JSON"),
        (lambda t: t.clear(), "holds no label"),
    ],
)
def test_a_fault_in_a_label_studio_file_is_named(spoil, words, mine, exported, taken):
    tasks = submitted(exported("label-studio"))
    spoil(tasks)
    status, said = taken(tasks)
    assert (status, said.count("\n")) == (1, 1)
    assert said.startswith("error: ")
    assert words in said
    assert not (mine / "annotations.csv").exists()


def test_marks_less_than_a_pixel_outside_are_put_onto_the_edge(mine, exported, taken):
    tasks = submitted(exported("label-studio"))
    mark(tasks)["value"].update(x=-0.09)  # of 1080 pixels: 0.97
    assert taken(tasks)[0] == 0
    _, points, *_ = read_annotations(mine / "annotations.csv")
    assert points[4, 0, 0] == 0
