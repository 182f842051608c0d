"""Labels out to Label Studio, COCO and CSV, and back into annotations.csv."""

import copy
import json
import random
import xml.etree.ElementTree as ElementTree

import cv2
import numpy as np
import pandas as pd
import pytest
from pycocotools import mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cardpose.cli import main
from cardpose.common import files
from cardpose.common.errors import InputError
from cardpose.dataset.annotations import read_annotations, write_annotations
from cardpose.dataset.extraction import extract_frames
from cardpose.dataset.recordings import read_recordings
from cardpose.geometry.keypoints import EDGES, KEYPOINTS
from cardpose.labelling import (
    label_import,
    studio_format,
    task_export,
    untouched,
)
from cardpose.labelling import (
    tasks as label_tasks,
)
from cardpose.labelling.proposals import Proposals, write_proposals
from cardpose.pictures.drawing import BACK_COLOUR, FACE_COLOUR

NEAR = 0.01  # pixels
FRAMES = [f"50% & more_frame_{i}" for i in (0, 2, 11)] + ["phone_frame_0", "phone_frame_1"]
SIZES = np.array(3 * [(640, 480)] + 2 * [(1080, 1920)])
HIDDEN = {0: [0], 1: [0, 4], 3: [1, 5, 7]}  # keypoints, by row


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two recordings of odd names, of landscape and portrait pictures, with frames and proposals:
    5 frames, 40 corners, of which 6 are hidden. Proposals name corners as the rule wants it."""
    folder = tmp_path_factory.mktemp("made") / "data" / "mine"
    for name, (width, height) in (("50% & more", (640, 480)), ("phone", (1080, 1920))):
        (folder / "videos" / name).mkdir(parents=True)
        for frame in (frame for frame in FRAMES if frame.startswith(name)):
            picture = np.zeros((height, width, 3), np.uint8)
            index = frame.rpartition("_")[2]
            cv2.imwrite(str(folder / "videos" / name / f"shot{index}.png"), picture)
    rows = "video,cards_counted,total_cards\n50% & more,3,52\nphone,52,52\n"
    (folder / "videos.csv").write_text(rows)
    extract_frames(read_recordings(folder), 1, folder / "labelling" / "frames", jobs=1)
    rng = np.random.default_rng(1)
    xs = np.array([0.2, 0.8, 0.2, 0.8, 0.25, 0.75, 0.25, 0.75])
    ys = np.array([0.3, 0.3, 0.2, 0.2, 0.8, 0.8, 0.7, 0.7])
    points = np.stack([xs, ys], axis=1) + rng.uniform(-0.04, 0.04, (5, 8, 2))
    visible = np.ones((5, 8), bool)
    for row, keypoints in HIDDEN.items():
        visible[row, keypoints] = False
    points[3, 1] = 1.2, 0.5  # hidden, and outside the picture
    confidence = rng.uniform(0.1, 1, (5, 8))
    proposals = Proposals(FRAMES, points.round(6), visible, confidence.round(6))
    write_proposals(folder / "labelling" / "proposals.csv", proposals)
    return folder, proposals


@pytest.fixture
def proposals(made):
    return made[1]


@pytest.fixture
def mine(made, tmp_path, monkeypatch):
    """The folder of a data set of one's own, `data/mine` of the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data" / "mine"
    folder.parent.mkdir()
    # Pictures are read only, and need no copy.
    for path in made[0].rglob("*.csv"):
        target = folder / path.relative_to(made[0])
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return folder


@pytest.fixture
def label(capsys):
    """label(*arguments): runs `cardpose label ...`; gives the status, and what it says."""

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main.main(["label", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return end.value.code, out + err

    return run


@pytest.fixture
def exported(mine, label):
    """exported(format, *arguments): the content of the file that `cardpose label export` writes."""

    def export(kind, *arguments):
        path = mine / "labelling" / task_export.FORMATS[kind]
        assert label("export", "mine", kind, *arguments)[0] == 0
        text = path.read_text()
        return text if kind == "csv" else json.loads(text)

    return export


@pytest.fixture
def taken(mine, label, tmp_path):
    """taken(content, *arguments): imports it, and gives the status, and what is said."""

    def take(content, *arguments):
        path = tmp_path / "from the tool"
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text)
        return label("import", "mine", path, *arguments)

    return take


def submitted(tasks):
    """What Label Studio exports once somebody has submitted all proposals as they are."""
    done = []
    for number, task in enumerate(copy.deepcopy(tasks), 1):
        result = task["predictions"][0]["result"]
        annotation = {
            "id": number,
            "was_cancelled": False,
            "created_at": "2026-03-01T10:00:00.000000Z",
            "updated_at": "2026-03-01T10:00:00.000000Z",
            "result": [mark | {"origin": "prediction"} for mark in result],
        }
        done.append(task | {"id": 100 + number, "annotations": [annotation], "drafts": []})
    return done


def from_cvat(dataset):
    """What CVAT exports of such a set: places in two decimals, names without their folder."""
    dataset = copy.deepcopy(dataset)
    for image in dataset["images"]:
        image["file_name"] = image["file_name"].rpartition("/")[2]
    for annotation in dataset["annotations"]:
        annotation["keypoints"] = [round(value, 2) for value in annotation["keypoints"]]
        annotation["attributes"] = {"occluded": False}
    return dataset


def approved(text):
    """The CSV file, all its rows looked at."""
    header, *lines = text.splitlines()
    assert header.startswith("frame,annotated,")
    lines = [line.replace(",0,", ",1,", 1) for line in lines]
    return "\n".join([header, *lines]) + "\n"


BACK_AGAIN = {"label-studio": submitted, "coco": from_cvat, "csv": approved}


def off(mine, points, visible):
    """Pixels by which annotations.csv is off; visibility has to be the same, and known."""
    frames, places, shows, known = read_annotations(mine / "annotations.csv")
    assert frames == FRAMES
    assert known.all()
    np.testing.assert_array_equal(shows, visible)
    return np.linalg.norm((places - points) * SIZES[:, None], axis=2)[visible].max()


@pytest.mark.parametrize("kind", task_export.FORMATS)
def test_proposals_come_back_as_labels_to_a_hundredth_of_a_pixel(
    kind, mine, exported, taken, proposals
):
    # COCO cannot tell that somebody has looked at them.
    accept = ["--accept-proposals"] if kind == "coco" else []
    status, said = taken(BACK_AGAIN[kind](exported(kind)), *accept)
    assert (status, said.splitlines()[0]) == (0, "5 labels: 5 added")
    assert said.splitlines()[1:] == [
        "5 of the 5 exactly as proposed",
        "see what looks wrong: cardpose check mine",
    ]
    assert off(mine, proposals.points, proposals.visible) <= NEAR


@pytest.mark.parametrize("kind", task_export.FORMATS)
def test_labels_that_go_out_to_be_corrected_are_the_same_when_they_come_back(
    kind, mine, exported, taken, proposals
):
    write_annotations(mine / "annotations.csv", FRAMES, proposals.points, proposals.visible)
    before = (mine / "annotations.csv").read_bytes()
    back = exported(kind, "--labelled")
    back = back if kind == "csv" else BACK_AGAIN[kind](back)
    status, said = taken(back, "--overwrite")
    assert (status, said.splitlines()[0]) == (0, "5 labels: 5 the same as before")
    assert (mine / "annotations.csv").read_bytes() == before


@pytest.fixture
def one_label(mine):
    """annotations.csv with one label, of the first frame: the first keypoint at x = 0.25 and
    y = 0.5 of 640 x 480 pixels, the others hidden."""
    points, visible = np.full((1, 8, 2), np.nan), np.zeros((1, 8), bool)
    points[0, 0], visible[0, 0] = (0.25, 0.5), True
    write_annotations(mine / "annotations.csv", FRAMES[:1], points, visible)
    return mine


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


def test_coco_has_continuous_pixels(one_label, exported):
    found = exported("coco", "--labelled")
    (image,), (annotation,) = found["images"], found["annotations"]
    assert image["file_name"] == "50% & more/50% & more_frame_0.png"
    assert (image["width"], image["height"]) == (640, 480)
    assert annotation["keypoints"] == [160, 240, 2] + 7 * [0, 0, 0]
    assert annotation["num_keypoints"] == 1
    assert annotation["bbox"] == [160, 240, 0, 0]


def test_csv_says_which_rows_are_labels(one_label, exported):
    header, row = exported("csv", "--labelled").splitlines()
    assert header.startswith("frame,annotated,upper_left_face_visible,upper_left_face_x,")
    assert row == "50% & more_frame_0,1,1,0.250000,0.500000" + ",0,," * 7
    assert all(line.split(",")[1] == "0" for line in exported("csv").splitlines()[1:])


def test_the_configuration_has_the_eight_corners_on_keys_1_to_8():
    view = ElementTree.fromstring(studio_format.configuration())
    labels = view.findall("KeyPointLabels/Label")
    assert [each.get("value") for each in labels] == list(KEYPOINTS)
    assert [each.get("hotkey") for each in labels] == list("12345678")
    assert len({each.get("background") for each in labels}) == 8
    assert view.find("Image").get("zoom") == "true"


def test_colours_are_of_the_family_that_drawing_has():
    def hue(red, green, blue):
        return cv2.cvtColor(np.array([[[blue, green, red]]], np.uint8), cv2.COLOR_BGR2HSV)[0, 0, 0]

    for name, colour in studio_format.COLOURS.items():
        of_drawing = BACK_COLOUR if name.endswith("back") else FACE_COLOUR
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert abs(int(hue(*rgb)) - int(hue(*of_drawing[::-1]))) < 30  # of 180
        if name.startswith("upper_left"):
            assert rgb == list(of_drawing[::-1])


def test_confidence_is_the_score(exported, proposals):
    for row, task in enumerate(exported("label-studio")):
        (prediction,) = task["predictions"]
        assert prediction["model_version"] == "cardpose"
        assert prediction["score"] == pytest.approx(proposals.confidence[row].mean(), abs=1e-4)
        scores = [mark["score"] for mark in prediction["result"]]
        expected = proposals.confidence[row][proposals.visible[row]]
        np.testing.assert_allclose(scores, expected, atol=1e-4)


@pytest.fixture
def coco(exported, mine, capsys):
    exported("coco")
    loaded = COCO(mine / "labelling" / "coco.json")
    capsys.readouterr()
    return loaded


def test_pycocotools_reads_keypoints_and_skeleton(coco, proposals):
    (category,) = coco.loadCats(coco.getCatIds())
    assert category["keypoints"] == list(KEYPOINTS)
    edges = {frozenset((a - 1, b - 1)) for a, b in category["skeleton"]}
    assert edges == {frozenset(edge) for edge in EDGES}
    images = coco.loadImgs(coco.getImgIds())
    assert [image["file_name"].rpartition("/")[2] for image in images] == [
        f"{frame}.png" for frame in FRAMES
    ]
    for row, image in enumerate(images):
        (annotation,) = coco.loadAnns(coco.getAnnIds(image["id"]))
        marks = np.array(annotation["keypoints"]).reshape(8, 3)
        np.testing.assert_array_equal(marks[:, 2] == 2, proposals.visible[row])
        places = proposals.points[row] * SIZES[row]
        inside = (places < SIZES[row]).all(axis=1)
        np.testing.assert_allclose(marks[inside, :2], places[inside], atol=NEAR)
        assert annotation["num_keypoints"] == inside.sum()
        assert (marks[~inside] == 0).all()
        x, y, width, height = annotation["bbox"]
        np.testing.assert_allclose([x, y], places[inside].min(axis=0), atol=NEAR)
        np.testing.assert_allclose([x + width, y + height], places[inside].max(axis=0), atol=NEAR)
        assert annotation["area"] == pytest.approx(width * height, rel=1e-4)


def test_pycocotools_finds_the_keypoints_perfect_and_notices_a_shift(coco, capsys):
    def score(shift):
        results = [
            {
                "image_id": one["image_id"],
                "category_id": one["category_id"],
                "keypoints": [
                    value + shift * (k % 3 == 0) for k, value in enumerate(one["keypoints"])
                ],
                "score": one["score"],
            }
            for one in coco.loadAnns(coco.getAnnIds())
        ]
        judge = COCOeval(coco, coco.loadRes(results), "keypoints")
        judge.params.kpt_oks_sigmas = np.full(8, 0.025)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
        return judge.stats[0]

    assert score(0) == 1
    assert score(20) < 0.9
    capsys.readouterr()


def test_a_packet_that_fills_the_picture_has_the_box_of_all_its_pixels(mine, exported):
    points = np.zeros((1, 8, 2))
    points[0, [1, 3, 5, 7], 0] = points[0, 4:, 1] = 1
    path = mine / "annotations.csv"
    write_annotations(path, FRAMES[:1], points, np.ones((1, 8), bool))
    (annotation,) = exported("coco", "--labelled")["annotations"]
    x, y, width, height = annotation["bbox"]
    outline = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    covered = mask.decode(mask.frPyObjects(outline, 480, 640))
    assert covered.all()


def test_frames_with_a_label_are_left_out_and_unknown_rows_are_none(mine, exported, proposals):
    known = np.array([8 * [True], 8 * [False]])
    visible = proposals.visible[:2] & known
    write_annotations(mine / "annotations.csv", FRAMES[:2], proposals.points[:2], visible, known)
    frames = [task["data"]["frame"] for task in exported("label-studio")]
    assert frames == FRAMES[1:]
    frames = [task["data"]["frame"] for task in exported("label-studio", "--labelled")]
    assert frames == FRAMES[:1]


def test_next_takes_the_frames_of_next_csv_in_its_order(mine, exported, label, complains):
    (mine / "labelling" / "next.csv").write_text(f"frame,why\n{FRAMES[3]},a\n{FRAMES[0]},b\n")
    frames = [task["data"]["frame"] for task in exported("label-studio", "--next")]
    assert frames == [FRAMES[3], FRAMES[0]]
    status, said = label("export", "mine", "coco", "--next", "--labelled")
    assert (status, said) == (1, "error: data/mine/labelling/next.csv: names no frame that has a"
                              " label\n")  # fmt: skip
    (mine / "labelling" / "next.csv").write_text("frame\nthere_frame_7\n")
    with complains("next.csv: there_frame_7: not in"):
        label_tasks.choose_tasks(mine, next_only=True)


def test_what_a_label_leaves_open_is_proposed(mine, exported, proposals):
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


def test_a_frame_without_a_proposal_goes_out_bare(mine, exported, taken):
    path = mine / "labelling" / "proposals.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    tasks, dataset = exported("label-studio"), exported("coco")
    assert "predictions" not in tasks[4]
    assert [each["image_id"] for each in dataset["annotations"]] == [1, 2, 3, 4]
    assert exported("csv").splitlines()[5] == FRAMES[4] + ",0" + 24 * ","
    said = taken(dataset, "--accept-proposals")[1]
    assert said.splitlines()[:2] == ["4 labels: 4 added", "left out: 1 without an annotation"]


def test_export_writes_where_it_is_told_but_not_over_the_labels(mine, label, tmp_path):
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
def test_export_says_what_is_missing(lost, words, mine, label):
    (mine / "labelling" / lost).unlink()
    status, said = label("export", "mine", "csv")
    assert (status, said.count("\n")) == (1, 1)
    assert words in said


# What Label Studio says


def test_only_what_was_submitted_is_a_label(mine, exported, taken):
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


def mark(tasks, k=0):
    return tasks[4]["annotations"][0]["result"][k]


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
def test_a_fault_in_label_studios_file_is_named(spoil, words, mine, exported, taken):
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


# What COCO says


def test_coco_keypoints_may_stand_in_any_order(mine, exported, taken, proposals):
    found = exported("coco")
    order = [3, 1, 4, 0, 5, 7, 2, 6]
    category = found["categories"][0]
    category["keypoints"] = [KEYPOINTS[k] for k in order]
    for one in found["annotations"]:
        one["keypoints"] = np.array(one["keypoints"]).reshape(8, 3)[order].reshape(-1).tolist()
    assert taken(found, "--accept-proposals")[0] == 0
    assert off(mine, proposals.points, proposals.visible) <= NEAR


def test_a_smaller_copy_of_the_pictures_is_as_good(mine, exported, taken, proposals):
    found = exported("coco")
    for image, one in zip(found["images"], found["annotations"], strict=True):
        image["width"], image["height"] = image["width"] // 2, image["height"] // 2
        one["keypoints"] = [
            value / 2 if k % 3 < 2 else value for k, value in enumerate(one["keypoints"])
        ]
    assert taken(found, "--accept-proposals")[0] == 0
    assert off(mine, proposals.points, proposals.visible) <= NEAR


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda c: c["images"][0].update(file_name="x.png"), "'x.png': the data set has no such"),
        (lambda c: c["images"][0].update(width=480), "50% & more_frame_0: should be of a picture"),
        (lambda c: c["images"][0].update(width=0), "image 1: width and height should be numbers"),
        (lambda c: c["images"][0].pop("height"), "images: the 1. has no height"),
        (lambda c: c["images"][0].update(file_name=3), "image 1: file_name should be text"),
        (lambda c: c["images"][1].update(id=1), "images: id should be a whole number of its own"),
        (lambda c: c.update(images={}), "images: should be a list of objects"),
        (
            lambda c: c["annotations"][0].update(image_id=77),
            "annotation 1: image_id: there is none",
        ),
        (lambda c: c["annotations"][0].update(category_id=[]), "category_id: there is none such"),
        (lambda c: c["annotations"][1].update(image_id=1), "frame_0: should have one packet"),
        (lambda c: c["annotations"][0]["keypoints"].pop(), "should be 24 numbers"),
        (
            lambda c: c["annotations"][0]["keypoints"].__setitem__(2, 3),
            "50% & more_frame_0: v should be 0, 1 or 2 (got 3)",
        ),
        (
            lambda c: c["annotations"][4]["keypoints"].__setitem__(0, 1081.5),
            "phone_frame_1: upper_left_face: should lie in the picture, 1080 x 1920 pixels"
            " (got 1081.5",
        ),
        (lambda c: c["categories"][0]["keypoints"].pop(), "category 1: keypoints should be the"),
        (lambda c: c["categories"].clear(), "annotation 1: category_id: there is none such"),
        (lambda c: c["annotations"].clear(), "holds no label: 5 without an annotation"),
        (lambda c: c.pop("annotations"), "should be what Label Studio exports as JSON, COCO"),
    ],
)
def test_a_fault_in_a_coco_file_is_named(spoil, words, mine, exported, taken):
    found = exported("coco")
    spoil(found)
    status, said = taken(found)
    assert (status, said.count("\n")) == (1, 1)
    assert words in said
    assert not (mine / "annotations.csv").exists()


def test_annotations_whose_v_are_all_0_are_no_labels(mine, exported, taken):
    found = from_cvat(exported("coco"))
    for one in found["annotations"][:2]:
        one |= {"keypoints": 24 * [0], "num_keypoints": 0}
    found["annotations"][2] |= {"keypoints": [], "num_keypoints": 0}
    # A file that tells which are not labelled tells that the others are, as proposed or not.
    said = taken(found)[1]
    left_out = "left out: 3 not labelled: all their v are 0"
    assert said.splitlines()[:2] == ["2 labels: 2 added", left_out]
    assert read_annotations(mine / "annotations.csv")[0] == FRAMES[3:]
    # Beside one that is none, the other annotation of a picture counts.
    found["annotations"][0]["image_id"] = 4
    assert "left out: 1 without an annotation" in taken(found)[1]
    del found["annotations"][:3]
    assert f"2 {untouched.UNTOUCHED}" not in taken(found)[1]  # they are in annotations.csv by now
    (mine / "annotations.csv").unlink()
    assert f"2 {untouched.UNTOUCHED}" in taken(found)[1]


def test_a_frame_without_a_corner_to_be_seen_goes_out_without_an_annotation(
    mine, exported, taken, proposals
):
    """All v would be 0, which says that somebody calls it not labelled."""
    points, visible = proposals.points.copy(), proposals.visible.copy()
    points[2], visible[2] = 1.5, False
    write_proposals(
        mine / "labelling" / "proposals.csv", proposals._replace(points=points, visible=visible)
    )
    found = exported("coco")
    assert [one["image_id"] for one in found["annotations"]] == [1, 2, 4, 5]
    assert f"4 {untouched.UNTOUCHED}" in taken(found)[1]


# Proposals that come back as they went out


def rounded(digits, cut=False):
    """A tool that rounds places to so many digits, or cuts off what follows the point."""

    def change(found):
        for one in found["annotations"]:
            values = one["keypoints"]
            one["keypoints"] = [int(v) if cut else round(v, digits) for v in values]

    return change


def halved(found):
    """A tool that has pictures half as large, and rounds to two digits."""
    for image in found["images"]:
        image["width"], image["height"] = image["width"] // 2, image["height"] // 2
    for one in found["annotations"]:
        one["keypoints"] = [
            round(v / 2, 2) if k % 3 < 2 else v for k, v in enumerate(one["keypoints"])
        ]


def only_visible(found):
    """A tool that knows no hidden keypoints."""
    for one in found["annotations"]:
        marks = np.array(one["keypoints"]).reshape(8, 3)
        one["keypoints"] = np.where(marks[:, 2:] == 2, marks, 0).reshape(-1).tolist()


def hidden_in_the_corner(found):
    """A tool that calls hidden keypoints occluded, but forgets where they are."""
    for one in found["annotations"]:
        marks = np.array(one["keypoints"]).reshape(8, 3)
        one["keypoints"] = np.where(marks[:, 2:] == 2, marks, (0, 0, 1)).reshape(-1).tolist()


TOOLS = {
    "as it is": lambda found: None,
    "2 digits": rounded(2),
    "1 digit": rounded(1),
    "whole pixels": rounded(0),
    "cut to whole pixels": rounded(0, cut=True),
    "smaller pictures": halved,
    "no hidden keypoints": only_visible,
    "hidden keypoints at 0, 0": hidden_in_the_corner,
}


@pytest.mark.parametrize("keeps", [True, False], ids=["keeps all", "drops unknown fields"])
@pytest.mark.parametrize("tool", TOOLS)
def test_proposals_that_come_back_untouched_are_no_labels(
    tool, keeps, mine, exported, taken, proposals
):
    path = mine / "annotations.csv"
    write_annotations(path, ["old_frame_1"], np.zeros((1, 8, 2)), np.ones((1, 8), bool))
    before = path.read_bytes()
    found = exported("coco")
    assert all("proposed" in one for one in found["annotations"])
    for one in found["annotations"]:
        if not keeps:
            del one["proposed"], one["score"]
    TOOLS[tool](found)
    status, said = taken(found)
    assert (status, said.count("\n")) == (1, 1)
    assert f"holds no label: 5 {untouched.UNTOUCHED}" in said
    assert path.read_bytes() == before
    # One corner is moved, one hidden, one shown: somebody has looked at these three.
    moved = found["annotations"][0]["keypoints"]
    moved[3 * 2] += 2
    found["annotations"][1]["keypoints"][3 * 2 + 2] = 1
    shown = found["annotations"][3]["keypoints"]
    shown[3 * 5 : 3 * 6] = [*shown[3 * 4 : 3 * 4 + 2], 2]
    status, said = taken(found)
    assert said.splitlines()[:2] == ["3 labels: 3 added", f"left out: 2 {untouched.UNTOUCHED}"]
    assert read_annotations(path)[0][1:] == [FRAMES[0], FRAMES[1], FRAMES[3]]
    # Whoever wants the rest says so.
    status, said = taken(found, "--accept-proposals")
    assert said.splitlines()[:2] == [
        "5 labels: 2 added, 3 the same as before",
        "2 of the 5 exactly as proposed",
    ]


def test_a_file_whose_proposals_were_accepted_before_is_taken_whole(
    mine, exported, taken, proposals
):
    found = from_cvat(exported("coco"))
    path = mine / "annotations.csv"
    write_annotations(path, FRAMES[2:3], proposals.points[2:3], proposals.visible[2:3])
    said = taken(found)[1].splitlines()
    assert said[0] == "5 labels: 4 added, 1 the same as before"
    assert said[1] == f"4 {untouched.ACCEPTED}"
    assert read_annotations(path)[0] == [FRAMES[2], *FRAMES[:2], *FRAMES[3:]]


def test_a_hidden_corner_that_was_moved_was_looked_at(mine, exported, taken):
    found = from_cvat(exported("coco"))
    found["annotations"][1]["keypoints"][0] += 5  # which is hidden
    assert taken(found)[1].startswith("1 labels: 1 added")
    assert read_annotations(mine / "annotations.csv")[0] == FRAMES[1:2]


def test_what_was_exported_before_the_proposals_changed_is_known_by_its_mark(
    mine, exported, taken, proposals
):
    found = from_cvat(exported("coco"))
    path = mine / "labelling" / "proposals.csv"
    write_proposals(path, proposals._replace(points=proposals.points + 0.01))
    assert f"5 {untouched.UNTOUCHED}" in taken(found)[1]
    found["annotations"][2]["keypoints"][0] += 1
    assert taken(found)[1].startswith("1 labels: 1 added")


def test_a_proposal_does_not_replace_a_label(mine, exported, taken, proposals):
    found = from_cvat(exported("coco"))
    path = mine / "annotations.csv"
    write_annotations(path, FRAMES, proposals.points + 0.01, proposals.visible)
    before = path.read_bytes()
    status, said = taken(found, "--overwrite")
    assert (status, f"5 {untouched.UNTOUCHED}" in said) == (1, True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("keeps", [True, False], ids=["keeps all", "drops unknown fields"])
def test_proposals_that_fill_up_a_label_are_none(keeps, mine, exported, taken, proposals):
    """Labels that leave corners open go out filled up with proposals."""
    known = np.array([[True] * 4 + [False] * 4])
    path = mine / "annotations.csv"
    places = proposals.points[4:] + 0.01
    write_annotations(path, FRAMES[4:], places, proposals.visible[4:] & known, known)
    before = path.read_bytes()
    found = from_cvat(exported("coco", "--labelled"))
    if not keeps:
        del found["annotations"][0]["proposed"]
    status, said = taken(found)
    assert (status, f"1 {untouched.UNTOUCHED}" in said) == (1, True)
    assert path.read_bytes() == before
    found["annotations"][0]["keypoints"][3 * 5] += 1  # one of the open corners
    assert taken(found)[1].startswith("1 labels: 1 completed")
    assert read_annotations(path)[3].all()


def test_labels_that_are_as_proposed_come_back_the_same(mine, exported, taken, proposals):
    path = mine / "annotations.csv"
    write_annotations(path, FRAMES, proposals.points, proposals.visible)
    found = exported("coco", "--labelled")
    assert not any("proposed" in one for one in found["annotations"])
    assert taken(from_cvat(found))[1].startswith("5 labels: 5 the same as before")
    found["annotations"][0]["keypoints"][3 * 2] += 1
    said = taken(from_cvat(found), "--overwrite")[1]
    assert said.startswith("5 labels: 1 changed, 4 the same as before")


@pytest.mark.parametrize("dropped", [True, False])
def test_a_csv_file_that_does_not_say_what_was_looked_at_is_compared(
    dropped, mine, exported, taken, tmp_path
):
    exported("csv")
    table = pd.read_csv(mine / "labelling" / "labels.csv")
    if dropped:
        del table["annotated"]
    else:
        table["annotated"] = 1
    table.loc[2, "upper_left_back_x"] += 0.002
    said = taken(table.to_csv())[1]
    left = f"left out: 4 {untouched.UNTOUCHED}"
    assert (said.splitlines()[1] == left) == dropped
    frames = read_annotations(mine / "annotations.csv")[0]
    assert frames == (FRAMES[2:3] if dropped else FRAMES)


# What CSV says, and files that are none of these


def test_whole_numbers_may_have_a_point(mine, exported, taken, proposals):
    """As pandas writes them as soon as another row of the column is empty."""
    exported("csv")
    table = pd.read_csv(mine / "labelling" / "labels.csv").astype({"annotated": float})
    table["annotated"] = 1.0
    for name in KEYPOINTS:
        table[f"{name}_visible"] = table[f"{name}_visible"].astype(float)
    assert ",1.0,1.0," in table.to_csv(index=False)
    assert taken(table.to_csv(index=False))[0] == 0
    assert off(mine, proposals.points, proposals.visible) <= NEAR


@pytest.mark.parametrize(
    "value", ["1.5", "1.0.0", "1e0", "2.0", "-1.0", "1.0x", ".0", "nan", "True"]
)
def test_other_numbers_are_refused(value, mine, exported, taken):
    text = approved(exported("csv"))
    for old in (",1,0,", ",1,1,"):
        changed = text.replace(old, f"{old[:-2]}{value},", 1)
        status, said = taken(changed)
        assert (status, said.count("\n")) == (1, 1)
        assert "line " in said
    assert not (mine / "annotations.csv").exists()


def test_a_row_counts_once_somebody_has_looked_at_it(mine, exported, taken):
    text = exported("csv")
    status, said = taken(text)
    assert status == 1
    assert "holds no label: 5 whose `annotated` is not 1" in said
    lines = text.splitlines()
    lines[2] = lines[2].replace(",0,", ",1,", 1)
    assert taken("\n".join(lines))[0] == 0
    assert read_annotations(mine / "annotations.csv")[0] == FRAMES[1:2]


def test_what_a_csv_file_leaves_open_stays_open(mine, exported, taken):
    lines = approved(exported("csv")).splitlines()
    values = lines[5].split(",")
    values[2:5] = ["", "", ""]
    assert taken("\n".join([lines[0], ",".join(values)]))[0] == 0
    *_, known = read_annotations(mine / "annotations.csv")
    assert known.tolist() == [[False] + 7 * [True]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "line 1: no column frame"),
        ("{", "no valid JSON: "),
        ("[" * 100_000, "no valid JSON: "),
        ("{}", "should be what Label Studio exports as JSON, COCO keypoints, or a CSV file"),
        ('[{"image": "a.png", "corner": []}]', "task 1: should be as Label Studio exports it"),
        ("PK\3\4...", "is a ZIP archive: unpack it"),
        ("frame,x\na_frame_0,1\n", "line 1: no column upper_left_face_visible"),
    ],
)
def test_other_files_are_refused_in_one_line(content, words, mine, taken):
    status, said = taken(content)
    assert (status, said.count("\n")) == (1, 1)
    assert words in said


def test_proposals_are_no_labels(mine, label):
    status, said = label("import", "mine", mine / "labelling" / "proposals.csv")
    assert (status, said.count("\n")) == (1, 1)
    assert "holds proposals, which nobody has looked at" in said


def test_a_csv_file_of_strange_frames_or_places_is_refused(exported, taken):
    text = approved(exported("csv"))
    status, said = taken(text.replace("phone_frame_1", "phone_frame_2"))
    assert status == 1
    assert "'phone_frame_2': the data set has no such frame in labelling/frames" in said
    lines = text.splitlines()
    lines[1] = lines[1].replace("1,0.", "1,1.", 1)
    status, said = taken("\n".join(lines))
    assert status == 1
    assert "50% & more_frame_0: upper_right_face: should lie in the picture, 640 x 480" in said


@pytest.mark.parametrize("kind", ["label-studio", "coco"])
def test_whatever_is_wrong_with_a_file_is_said_in_one_line(kind, mine, exported):
    """Hundreds of files, in each of which something is lost or something else."""
    index, rng = label_tasks.sampled_frames_index(mine), random.Random(kind)
    whole = BACK_AGAIN[kind](exported(kind))
    other = [None, -1, 0, 1e300, True, "x", "", [], {}, [[]], {"id": 1}, "phone_frame_0"]
    refused = []
    for _ in range(400):
        found = copy.deepcopy(whole)
        for _ in range(rng.choice((1, 1, 3))):
            place = found
            while True:
                keys = list(place) if isinstance(place, dict) else range(len(place))
                key = rng.choice(keys)
                if isinstance(place[key], dict | list) and place[key] and rng.random() < 0.85:
                    place = place[key]
                    continue
                if rng.random() < 0.3:
                    del place[key]
                else:
                    place[key] = rng.choice(other)
                break
            if not found:
                break
        try:
            labels = label_import.read_labels_json("a.json", json.dumps(found), index)
        except InputError as error:
            refused.append(str(error))
            continue
        visible = labels.points[labels.visible]
        assert ((visible >= 0) & (visible <= 1)).all()
        assert len(labels.frames) == len(set(labels.frames)) > 0
    assert all(line.startswith("a.json: ") and "\n" not in line for line in refused)
    assert 50 < len(refused) < 400


# Into annotations.csv


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


def test_other_rows_stay_as_they_are_to_the_byte(written, exported, taken, proposals):
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


def test_labels_are_overwritten_only_when_asked(mine, exported, taken, proposals):
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


def test_what_a_label_leaves_open_is_filled_in_and_what_it_says_stays(
    mine, exported, taken, proposals
):
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


def test_names_that_may_be_exchanged_are_pointed_out_but_taken(mine, exported, taken):
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


def test_labels_that_are_wrong_already_are_named_before_anything_is_written(
    written, exported, taken
):
    tasks = submitted(exported("label-studio"))
    written.write_bytes(written.read_bytes().replace(b"old_frame_7", b"old_frame_3"))
    before = written.read_bytes()
    status, said = taken(tasks)
    assert (status, said.count("\n")) == (1, 1)
    assert "data/mine/annotations.csv: line 6: frame: 'old_frame_3' is there twice" in said
    assert written.read_bytes() == before


def test_a_label_studio_that_does_not_answer_is_said_in_one_line(mine, label):
    status, said = label("import", "mine", "http://127.0.0.1:9")
    assert (status, said.count("\n")) == (1, 1)
    assert "http://127.0.0.1:9: no Label Studio answers there" in said


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:9", "http://127.0.0.1:9: no Label Studio answers there"),
        ("https://127.0.0.1:9/", "https://127.0.0.1:9: no Label Studio answers there"),
        ("ftp://127.0.0.1:9", "should begin with http:// or https://"),
        ("http://me:pass-word@127.0.0.1:9", "should hold no user name and no password"),
        ("labels.json", "labels.json: cannot be read (No such file or directory)"),
    ],
)
def test_what_is_no_file_may_be_an_address(address, words, mine, label):
    status, said = label("import", "mine", address)
    assert (status, said.count("\n")) == (1, 1)
    assert words in said
    assert "pass-word" not in said


def test_label_studio_that_is_not_installed_is_said_in_one_line(mine, label, monkeypatch):
    monkeypatch.setenv("PATH", "")
    status, said = label("studio", "mine")
    assert (status, said) == (
        1,
        "error: .venv-label-studio/bin/label-studio: there is no such file: `make label-studio`"
        " installs it\n",
    )
