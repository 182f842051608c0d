"""`cardpose label import`: all formats there and back, and files that are none of them."""

import copy
import json
import random

import pytest
from tool_files import BACK_AGAIN, FRAMES, NEAR, off

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
