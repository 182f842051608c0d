"""Proposals that come back from a tool as they were exported."""

import numpy as np
import pandas as pd
import pytest
from tool_files import FRAMES, from_cvat

from cardpose.dataset.annotations import read_annotations, write_annotations
from cardpose.labelling import untouched
from cardpose.labelling.proposals import write_proposals


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


def test_a_frame_whose_hidden_corner_moved_is_labelled(mine, exported, taken):
    found = from_cvat(exported("coco"))
    found["annotations"][1]["keypoints"][0] += 5  # which is hidden
    assert taken(found)[1].startswith("1 label: 1 added")
    assert read_annotations(mine / "annotations.csv")[0] == FRAMES[1:2]


def test_a_file_from_before_the_proposals_changed_is_recognized_by_its_field(
    mine, exported, taken, proposals
):
    found = from_cvat(exported("coco"))
    path = mine / "labelling" / "proposals.csv"
    write_proposals(path, proposals._replace(points=proposals.points + 0.01))
    assert f"5 {untouched.UNTOUCHED}" in taken(found)[1]
    found["annotations"][2]["keypoints"][0] += 1
    assert taken(found)[1].startswith("1 label: 1 added")


def test_a_proposal_does_not_replace_a_label(mine, exported, taken, proposals):
    found = from_cvat(exported("coco"))
    path = mine / "annotations.csv"
    write_annotations(path, FRAMES, proposals.points + 0.01, proposals.visible)
    before = path.read_bytes()
    status, said = taken(found, "--overwrite")
    assert (status, f"5 {untouched.UNTOUCHED}" in said) == (1, True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("keeps", [True, False], ids=["keeps all", "drops unknown fields"])
def test_untouched_proposals_beside_labels_are_no_labels(keeps, mine, exported, taken, proposals):
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
    assert taken(found)[1].startswith("1 label: 1 completed")
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
def test_a_csv_file_without_annotated_is_compared_with_the_proposals(
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
