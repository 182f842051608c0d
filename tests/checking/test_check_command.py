"""The command `cardpose check`."""

import csv

import cv2
import numpy as np
import pytest

from cardpose.cli import main
from cardpose.geometry.keypoints import FLIP


@pytest.fixture
def run(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main.main(["check", *map(str, arguments)])
        return end.value.code, *capsys.readouterr()

    return run


def test_a_faultless_data_set_ends_with_status_0(single, run):
    status, out, _ = run(single)
    assert (status, out) == (0, "nothing looks wrong\n")


def test_remarks_alone_are_nothing_wrong(single, run):
    table = single / "annotations.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    status, out, _ = run(single)
    assert status == 0
    assert "(frames without a label)" in out
    assert out.endswith("\nnothing looks wrong\n")


def test_a_data_set_is_found_by_its_name_and_its_faults_written(
    single, run, monkeypatch, spoil, tmp_path
):
    frame, _ = spoil(lambda points, visible: (points[list(FLIP)], visible[list(FLIP)]))
    (tmp_path / "data").mkdir()
    single.rename(tmp_path / "data" / "mine")
    monkeypatch.chdir(tmp_path)
    status, out, _ = run("mine", "--csv", "found.csv", "--sheet", "worst.png")
    assert status == 1
    assert "left and right exchanged" in out
    assert out.endswith("1 thing looks wrong\n")
    (row,) = csv.DictReader((tmp_path / "found.csv").open())
    assert (row["frame"], row["level"]) == (frame, "wrong")
    assert cv2.imread("worst.png") is not None
    status, out, _ = run("mine", "--csv", "-")
    assert status == 1
    assert out == (tmp_path / "found.csv").read_text()


def test_an_unreadable_recording_is_named_and_the_others_checked(single, run, spoil):
    spoil(lambda points, visible: (points[list(FLIP)], visible[list(FLIP)]))
    (single / "videos" / "packet_01.mp4").write_bytes(b"no video")
    with (single / "videos.csv").open("a") as file:
        file.write("packet_01.mp4,1,52\n")
    status, out, err = run(single)
    assert status == 2
    assert err.count("error: ") == 1
    assert "packet_01.mp4: cannot be opened as a video" in err
    assert "left and right exchanged" in out


def test_a_missing_data_set_or_table_is_one_line_of_error(run, dataset):
    status, out, err = run("nowhere")
    assert (status, out) == (2, "")
    assert err == "error: nowhere: there is no such folder, neither here nor in data/\n"
    (dataset / "videos.csv").unlink()
    status, _, err = run(dataset)
    assert status == 2
    assert "videos.csv: cannot be read" in err


def test_the_tables_of_the_data_set_are_never_overwritten(run, single):
    before = (single / "annotations.csv").read_bytes()
    status, _, err = run(single, "--csv", single / "annotations.csv")
    assert status == 2
    assert "would be overwritten" in err
    assert (single / "annotations.csv").read_bytes() == before


NOT_OURS = "is there already and not written by cardpose; name another, or add --force"


@pytest.mark.parametrize(("option", "name"), [("--csv", "o.csv"), ("--sheet", "o.png")])
def test_files_of_other_programs_are_not_overwritten(run, single, spoil, monkeypatch, option, name):
    spoil(lambda points, visible: (points[list(FLIP)], visible[list(FLIP)]))
    monkeypatch.chdir(single.parent)
    content = cv2.imencode(".png", np.zeros((9, 9, 3)))[1].tobytes()
    (single.parent / name).write_bytes(content)
    status, out, err = run(single, option, name)
    assert (status, out, err) == (2, "", f"error: {name}: {NOT_OURS}\n")
    assert (single.parent / name).read_bytes() == content
    assert run(single, option, name, "--force")[0] == 1
    assert (single.parent / name).read_bytes() != content
    assert run(single, option, name)[::2] == (1, "")
    if option == "--sheet":
        assert cv2.imread(name).shape[1] == 480
