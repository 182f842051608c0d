"""Commands write over files that cardpose wrote, and over no others."""

import os

import cv2
import numpy as np
import pytest
from outputs import NOT_OURS, WRITTEN, another_writer
from support import grey

from cardpose.cli import own_files, predict
from cardpose.common.files import atomic_text


@pytest.mark.parametrize("name", ["a.jpg", "v.mp4", "worst.png"])
def test_drawing_into_a_pipe_is_refused(tmp_path, name, complains):
    os.mkfifo(tmp_path / name)
    with complains(f"{tmp_path / name}: is no file, and cannot be drawn into"):
        own_files.check_drawing(tmp_path / name, force=True)


def outputs():
    """Return (arguments, the file that they write, content by another program)."""
    table = b"kind,input\nmine,1\n"
    return [
        (("--csv", "o.csv"), "o.csv", table),
        (("--csv", "o.csv"), "o.csv", b"\xff\x00"),
        (("--jsonl", "o.jsonl"), "o.jsonl", b'{"kind": "letter"}\n'),
        (("--jsonl", "o.jsonl"), "o.jsonl", b"[" * 200_000),
        (("--jsonl", "o.jsonl"), "o.jsonl", b"\xff\xfe"),
        (("--output", "out"), "out/a.jpg", cv2.imencode(".jpg", np.zeros((9, 9, 3)))[1].tobytes()),
        (("--output", "out"), "out/v.mp4", b"\0\0\0\x18ftypmp42" + bytes(90)),
        (("--output", "out"), "out/v.mp4", b"x"),
    ]


@pytest.mark.parametrize(("options", "name", "content"), outputs())
def test_files_of_other_programs_stay_without_force(
    cardpose,
    tmp_path,
    write_video,
    monkeypatch,
    options,
    name,
    content,
):
    grey(tmp_path / "a.png", 50)
    write_video(tmp_path / "v.mp4", [np.full((48, 64, 3), 70, np.uint8)] * 3)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    arguments = ("predict", "a.png", "v.mp4", *options)
    with monkeypatch.context() as patch:
        patch.setattr("cardpose.cli.predict.load", pytest.fail)  # nothing has been computed yet
        status, out, err = cardpose(*arguments)
    assert (status, out, err) == (1, "", f"error: {name}: {NOT_OURS}\n")
    assert (tmp_path / name).read_bytes() == content
    assert cardpose(*arguments, "--force")[0] == 0
    written = (tmp_path / name).read_bytes()
    assert written != content
    # The same command again.
    assert cardpose(*arguments)[0] == 0
    assert (tmp_path / name).read_bytes() == written


def test_an_empty_file_may_be_written_over(cardpose, tmp_path):
    grey(tmp_path / "a.png", 50)
    for name in ("o.csv", "o.jsonl", "a.jpg"):
        (tmp_path / name).touch()
    status, _, err = cardpose(
        "predict", "a.png", "--csv", "o.csv", "--jsonl", "o.jsonl", "--output", "."
    )
    assert (status, err) == (0, "")
    assert all((tmp_path / name).stat().st_size for name in ("o.csv", "o.jsonl", "a.jpg"))


def test_a_drawing_saved_again_by_another_program_stays(cardpose, tmp_path):
    grey(tmp_path / "a.png", 50)
    cardpose("predict", "a.png", "--output", "out")
    cv2.imwrite("out/a.jpg", cv2.imread("out/a.jpg"))
    status, _, err = cardpose("predict", "a.png", "--output", "out")
    assert (status, err) == (1, f"error: out/a.jpg: {NOT_OURS}\n")


def test_links_that_lead_out_of_the_output_folder_are_not_followed(
    cardpose,
    tmp_path,
):
    grey(tmp_path / "a.png", 50)
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")
    for _ in range(2):
        assert cardpose("predict", "a.png", "--output", "out")[0] == 0
    assert os.listdir(tmp_path / "real") == ["a.jpg"]
    # A link out of the folder is refused, even if it leads to a drawing by cardpose or to nothing.
    (tmp_path / "real" / "a.jpg").rename(tmp_path / "elsewhere.jpg")
    for target in ("elsewhere.jpg", "nowhere.jpg"):
        (tmp_path / "real" / "a.jpg").unlink(missing_ok=True)
        (tmp_path / "real" / "a.jpg").symlink_to(f"../{target}")
        before = sorted(os.listdir(tmp_path))
        status, _, err = cardpose("predict", "a.png", "--output", "out")
        assert (status, err) == (1, f"error: out/a.jpg: {NOT_OURS}\n")
        assert sorted(os.listdir(tmp_path)) == before
    assert cardpose("predict", "a.png", "--output", "out", "--force")[0] == 0
    assert (tmp_path / "nowhere.jpg").is_file()
    assert (tmp_path / "real" / "a.jpg").is_symlink()


def test_force_does_not_overwrite_inputs(cardpose, tmp_path):
    grey(tmp_path / "a.jpg", 50)
    status, _, err = cardpose("predict", "a.jpg", "--output", ".", "--force")
    assert status == 1
    assert "a.jpg: is an input" in err


def test_drawings_name_the_program_that_wrote_them(cardpose, tmp_path):
    from PIL import Image

    grey(tmp_path / "a.png", 50)
    cardpose("predict", "a.png", "--output", "out")
    assert Image.open("out/a.jpg").getexif() == {0x0131: "cardpose"}
    bare = cv2.imencode(".png", np.full((9, 9, 3), 7, np.uint8))[1].tobytes()
    (tmp_path / "b.png").write_bytes(own_files.marked_png(bare))
    with Image.open("b.png") as picture:
        assert picture.info["Software"] == "cardpose"
        picture.load()


@pytest.mark.parametrize("option", ["--csv", "--jsonl"])
def test_a_second_prediction_into_the_same_file_is_refused_at_once(
    cardpose,
    tmp_path,
    option,
    monkeypatch,
):
    grey(tmp_path / "a.png", 50)
    waits = []

    def recorded(name, wait):
        waits.append(wait)
        return atomic_text(name, wait)

    monkeypatch.setattr(predict, "atomic_text", recorded)
    with another_writer("atomic_output", tmp_path / "o.csv"):
        status, out, err = cardpose("predict", "a.png", option, "o.csv")
        assert (status, out, err) == (1, "", f"error: o.csv: {WRITTEN}\n")
    assert waits == [0]  # it does not wait for what may take hours
    assert (tmp_path / "o.csv").read_text() == "first"
