"""`cardpose label import`: all formats there and back, and files that are none of them."""

import copy
import json
import os
import random
import unicodedata

import numpy as np
import pytest
from raw_server import complaint
from tool_files import BACK_AGAIN, FRAMES, NEAR, approved, off, submitted

from cardpose.common.errors import InputError
from cardpose.dataset.annotations import write_annotations
from cardpose.labelling import label_import, task_export
from cardpose.labelling import tasks as label_tasks


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
def test_exported_labels_come_back_unchanged(kind, mine, exported, taken, proposals):
    write_annotations(mine / "annotations.csv", FRAMES, proposals.points, proposals.visible)
    before = (mine / "annotations.csv").read_bytes()
    back = exported(kind, "--labelled")
    back = back if kind == "csv" else BACK_AGAIN[kind](back)
    status, said = taken(back, "--overwrite")
    assert (status, said.splitlines()[0]) == (0, "5 labels: 5 the same as before")
    assert (mine / "annotations.csv").read_bytes() == before


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


@pytest.mark.parametrize("name", [".", "/dev/zero", "pipe"])
def test_what_may_have_no_end_is_not_read(name, mine, label):
    os.mkfifo("pipe")
    status, said = label("import", "mine", name)
    assert (status, said.count("\n")) == (1, 1)
    assert f"{name}: should be a" in said


@pytest.mark.parametrize("kind", ["label-studio", "coco"])
def test_every_fault_of_a_file_is_reported_in_one_line(kind, mine, exported):
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


def test_a_label_studio_that_does_not_answer_is_reported_in_one_line(mine, label):
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
def test_a_name_without_a_file_may_be_an_address(address, words, mine, label):
    status, said = label("import", "mine", address)
    assert (status, said.count("\n")) == (1, 1)
    assert words in said
    assert "pass-word" not in said


def test_a_missing_label_studio_is_reported_in_one_line(mine, label, monkeypatch):
    monkeypatch.setenv("PATH", "")
    status, said = label("studio", "mine")
    assert (status, said) == (
        1,
        "error: .venv-label-studio/bin/label-studio: there is no such file: `make label-studio`"
        " installs it\n",
    )


@pytest.mark.parametrize("kind", task_export.FORMATS)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_name_may_come_back_composed_or_decomposed(kind, form, mine, exported):
    """As macOS decomposes the names of files, and others compose them again."""
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    accented = {frame: frame.replace("phone", "Küche é") for frame in FRAMES}
    index = {
        unicodedata.normalize(form, accented[frame]): value
        for frame, value in label_tasks.sampled_frames_index(mine).items()
    }
    text = json.dumps(BACK_AGAIN[kind](exported(kind)), ensure_ascii=False)
    text = unicodedata.normalize(other, text.replace("phone", "Küche é"))
    path = mine / "back"
    path.write_text(json.loads(text) if kind == "csv" else text)
    assert label_import.read_label_file(path, index).frames == list(index)


def test_one_frame_in_two_spellings_is_one_line(mine, exported):
    index = {"Küche_frame_0": ("a.png", (640, 480))}
    header, row = approved(exported("csv")).splitlines()[:2]
    rows = [
        row.replace(FRAMES[0], unicodedata.normalize(form, "Küche_frame_0"))
        for form in ("NFC", "NFD")
    ]
    path = mine / "back.csv"
    path.write_text("\n".join([header, *rows]))
    with complaint("'Küche_frame_0': is there twice, in two spellings"):
        label_import.read_label_file(path, index)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_the_name_of_an_uploaded_picture_is_recognised(form, mine, exported):
    """Label Studio removes spaces and signs, and the accents of decomposed letters."""
    index = label_tasks.sampled_frames_index(mine)
    tasks = submitted(exported("label-studio"))
    for task, frame in zip(tasks, FRAMES, strict=True):
        cleaned = label_import._cleaned(
            unicodedata.normalize(form, frame.replace("phone", "é (1)"))
        )
        task["data"] = {"image": f"/data/upload/3/10ab34ff-{cleaned}.png"}
    index = {frame.replace("phone", "é (1)"): value for frame, value in index.items()}
    found = label_import.read_labels_json("a.json", json.dumps(tasks), index)
    assert found.frames == list(index)


def test_a_place_far_away_is_written_short(mine, exported):
    content = exported("coco")
    content["annotations"][0]["keypoints"][:3] = [-1e308, 5.25, 2]
    with np.errstate(all="raise"), complaint("should lie in the picture", "(got -1e+308, 5.25)"):
        label_import.read_labels_json(
            "a.json", json.dumps(content), label_tasks.sampled_frames_index(mine)
        )


@pytest.mark.parametrize("number", [10**400, -(10**400), "x" * 10**5])
@pytest.mark.parametrize(
    "place",
    [
        ("annotations", "id"),
        ("annotations", "image_id"),
        ("annotations", "category_id"),
        ("images", "id"),
        ("images", "width"),
        ("images", "file_name"),
        ("categories", "id"),
        ("categories", "keypoints"),
    ],
)
def test_numbers_and_texts_without_end_are_shortened(number, place, mine, exported):
    """Also where they are legal, and something else is wrong."""
    index = label_tasks.sampled_frames_index(mine)
    content = exported("coco")
    kind, name = place
    content[kind][0][name] = number
    if name == "id":
        if kind == "images":
            content["annotations"][0]["image_id"] = number
            content[kind][0]["width"] = 0
        elif kind == "categories":
            for annotation in content["annotations"]:
                annotation["category_id"] = number
            content[kind][0]["keypoints"] = []
        else:
            content[kind][0]["image_id"] = None
    with complaint("a.json: ") as caught:
        label_import.read_labels_json("a.json", json.dumps(content), index)
    assert len(str(caught.value)) < 300


def test_a_file_too_large_for_labels_is_refused_unread(complains, tmp_path):
    path = tmp_path / "labels.json"
    with path.open("wb") as file:
        file.truncate(2**26 + 1)  # which takes no room on the disk
    with complains("labels.json: is too large a file: it may have 67,108,864 bytes"):
        label_import.read_label_file(path, {})
