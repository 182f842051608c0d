"""CSV tables, written and read."""

import pandas as pd
import pytest
from tool_files import FRAMES, NEAR, approved, off

from cardpose.dataset.annotations import read_annotations
from cardpose.geometry.keypoints import KEYPOINTS


def test_csv_tells_which_rows_are_labels(one_label, exported):
    header, row = exported("csv", "--labelled").splitlines()
    assert header.startswith("frame,annotated,upper_left_face_visible,upper_left_face_x,")
    assert row == "50% & more_frame_0,1,1,0.250000,0.500000" + ",0,," * 7
    assert all(line.split(",")[1] == "0" for line in exported("csv").splitlines()[1:])


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
def test_numbers_other_than_0_and_1_are_refused(value, mine, exported, taken):
    text = approved(exported("csv"))
    for old in (",1,0,", ",1,1,"):
        changed = text.replace(old, f"{old[:-2]}{value},", 1)
        status, said = taken(changed)
        assert (status, said.count("\n")) == (1, 1)
        assert "line " in said
    assert not (mine / "annotations.csv").exists()


def test_a_row_counts_once_it_is_annotated(mine, exported, taken):
    text = exported("csv")
    status, said = taken(text)
    assert status == 1
    assert "holds no label: 5 whose `annotated` is not 1" in said
    lines = text.splitlines()
    lines[2] = lines[2].replace(",0,", ",1,", 1)
    assert taken("\n".join(lines))[0] == 0
    assert read_annotations(mine / "annotations.csv")[0] == FRAMES[1:2]


def test_keypoints_that_a_csv_file_leaves_open_stay_open(mine, exported, taken):
    lines = approved(exported("csv")).splitlines()
    values = lines[5].split(",")
    values[2:5] = ["", "", ""]
    assert taken("\n".join([lines[0], ",".join(values)]))[0] == 0
    *_, known = read_annotations(mine / "annotations.csv")
    assert known.tolist() == [[False] + 7 * [True]]


def test_proposals_are_no_labels(mine, label):
    status, said = label("import", "mine", mine / "labelling" / "proposals.csv")
    assert (status, said.count("\n")) == (1, 1)
    assert "holds proposals that have not been checked" in said


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
