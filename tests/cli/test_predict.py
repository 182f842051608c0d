"""The command `cardpose predict` with photographs: the table, records and arguments."""

import json
import os
import pty
import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest
from outputs import WRITTEN, another_writer
from support import REPOSITORY, grey, with_orientation, words

from cardpose.cli import runner
from cardpose.cli.main import main
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.inference.predictor import load
from cardpose.pictures import reading
from cardpose.pictures.videos import sampled_frames

# Photographs


def test_each_photograph_of_a_folder_gets_one_line(cardpose, tmp_path):
    (tmp_path / "in").mkdir()
    for number, brightness in ((2, 170), (10, 30), (1, 0)):
        grey(tmp_path / "in" / f"p_{number}.png", brightness)
    status, out, err = cardpose("predict", "in")
    assert (status, err) == (0, "")
    assert words(out) == [
        ["cards", "90", "%", "interval", "corners"],
        ["in/p_1.png", "no", "packet"],
        ["in/p_2.png", "17.0", "16.0", "to", "19.0", "6", "of", "8"],
        ["in/p_10.png", "3.0", "2.0", "to", "5.0", "6", "of", "8"],
    ]


def test_a_single_photograph_also_gets_its_keypoints(cardpose, tmp_path):
    grey(tmp_path / "a.png", 100, 101, 203, bright=(150, 20))
    status, out, _ = cardpose("predict", "a.png")
    assert status == 0
    lines = words(out)
    assert lines[3] == ["upper", "left", "face", "150.5", "20.5"]
    # Keypoint 6 of a picture 203 x 101: 0.6 x 203 and 0.3 x 101.
    assert lines[9] == ["lower", "left", "back", "121.8", "30.3", "hidden"]
    assert len(lines) == 11


@pytest.mark.parametrize("orientation", range(1, 9))
def test_keypoints_refer_to_the_upright_photograph(cardpose, tmp_path, orientation):
    upright = np.full((90, 60, 3), 60, np.uint8)
    upright[8:16, 40:48] = 255
    with_orientation(upright, orientation, tmp_path / "a.jpg")
    status, _, _ = cardpose("predict", "a.jpg", "--jsonl", "a.jsonl", "--output", "out")
    (record,) = map(json.loads, (tmp_path / "a.jsonl").read_text().splitlines())
    assert status == 0
    assert (record["width"], record["height"]) == (60, 90)
    first = record["keypoints"]["upper_left_face"]
    assert 40 <= first["x"] <= 48
    assert 8 <= first["y"] <= 16
    drawn = cv2.imread(str(tmp_path / "out" / "a.jpg"))
    assert drawn.shape == (90, 60, 3)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_keypoints_of_a_reduced_picture_are_in_pixels_of_the_whole(
    cardpose, tmp_path, monkeypatch, suffix
):
    monkeypatch.setattr(reading, "LARGE", 64 * 48)
    made = grey(tmp_path / "a.png", 60, 96, 128)
    made[32:48, 80:96] = 255
    cv2.imwrite(str(tmp_path / f"a.{suffix}"), made)
    status, *_ = cardpose("predict", f"a.{suffix}", "--jsonl", "a.jsonl", "--output", "out")
    (record,) = map(json.loads, (tmp_path / "a.jsonl").read_text().splitlines())
    assert status == 0
    assert (record["width"], record["height"]) == (128, 96)
    first, second = (record["keypoints"][name] for name in KEYPOINTS[:2])
    assert 80 <= first["x"] <= 96
    assert 32 <= first["y"] <= 48
    assert (second["x"], second["y"]) == pytest.approx((12.8, 4.8))  # shares of width and height
    assert cv2.imread(str(tmp_path / "out" / "a.jpg")).shape == (48, 64, 3)


def test_unreadable_inputs_are_reported_and_the_others_predicted(cardpose, tmp_path, write_video):
    grey(tmp_path / "a.png", 50)
    (tmp_path / "b.png").write_bytes(b"no picture")
    (tmp_path / "c.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(50))
    (tmp_path / "d.mp4").write_bytes(b"no video")
    write_video(tmp_path / "e.mp4", [np.full((48, 64, 3), 70, np.uint8)] * 5)
    grey(tmp_path / "f.png", 90)
    names = ("a.png", "b.png", "c.heic", "d.mp4", "e.mp4", "no.jpg", "f.png")
    status, out, err = cardpose("predict", *names)
    assert status == 1
    assert [line[0] for line in words(out)[1:]] == ["a.png", "e.mp4", "f.png"]
    # Video compression turns a brightness of 70 into 67.
    counts = [float(line[1]) for line in words(out)[1:]]
    assert counts == pytest.approx([5, 7, 9], abs=0.4)
    errors = err.splitlines()
    assert len(errors) == 4
    for name in ("b.png", "c.heic", "d.mp4", "no.jpg"):
        assert sum(line.startswith(f"error: {name}: ") for line in errors) == 1


def test_pictures_of_one_packet_get_one_count(cardpose, tmp_path, write_video):
    for name, brightness in (("a", 50), ("b", 90), ("c", 0), ("d", 60)):
        grey(tmp_path / f"{name}.png", brightness)
    write_video(tmp_path / "v.mp4")
    arguments = ("a.png", "v.mp4", "b.png", "c.png", "d.png", "--together")
    status, out, _ = cardpose("predict", *arguments, "--csv", "o.csv")
    assert status == 0
    assert words(out)[-1] == ["all", "pictures", "6.0", "from", "3", "of", "4", "pictures"]
    last = pd.read_csv(tmp_path / "o.csv").iloc[-1]
    assert (last["kind"], last["cards"], last["frames"]) == ("recording", 6, 4)
    grey(tmp_path / "d.png", 60, height=50)  # sizes may differ
    status, out, _ = cardpose("predict", *arguments)
    assert status == 0
    assert words(out)[-1] == ["all", "pictures", "6.0", "from", "3", "of", "4", "pictures"]


def test_long_names_are_shortened_to_the_terminal(stand_in, tmp_path):
    name = "a" * 100 + "_the_end.png"
    grey(tmp_path / name, 50)
    main, other = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "cardpose", "predict", name, "--model", stand_in],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "60", "PYTHONPATH": str(REPOSITORY)},
        stdout=other,
        stderr=subprocess.PIPE,
    )
    os.close(other)
    lines = os.read(main, 10_000).decode().splitlines()
    os.close(main)
    assert (done.returncode, done.stderr) == (0, b"")
    assert all(len(line) <= 60 for line in lines)
    assert lines[1].startswith("…")
    assert "_the_end.png" in lines[1]
    assert "5.0" in lines[1]


# Records


def test_csv_and_json_hold_the_results_of_the_predictor(cardpose, tmp_path, write_video, stand_in):
    made = grey(tmp_path / "a.png", 100, 101, 203, bright=(150, 20))
    pictures = [np.full((48, 64, 3), 10 * i, np.uint8) for i in range(7)]
    write_video(tmp_path / "v.mp4", pictures)
    arguments = ("predict", "a.png", "v.mp4", "--every", 3, "--csv", "o.csv", "--jsonl", "o.jsonl")
    status, _, _ = cardpose(*arguments)
    assert status == 0
    table = pd.read_csv(tmp_path / "o.csv")
    records = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert table["kind"].tolist() == ["picture", "frame", "frame", "frame", "recording"]
    assert [record["kind"] for record in records] == table["kind"].tolist()
    assert table["input"].tolist() == ["a.png"] + ["v.mp4"] * 4
    assert table["frame"].tolist()[1:4] == [0, 3, 6]
    assert table["packet"].tolist() == [1, 0, 1, 1, 1]
    predictor = load(stand_in)
    frames = [frame for _, frame in sampled_frames(tmp_path / "v.mp4", 3) if frame is not None]
    for i, picture in enumerate([made, *frames]):
        result, row, record = predictor.predict(picture), table.iloc[i], records[i]
        for name in ("width", "height", "packet", "confidence", "cards", "low", "high"):
            expected = pytest.approx(float(getattr(result, name)), abs=1e-4)
            assert float(row[name]) == expected
            assert float(record[name]) == expected
        for k, name in enumerate(KEYPOINTS):
            expected = [*result.keypoints[k], result.visibility[k]]
            parts = ("x", "y", "visibility")
            assert [row[f"{name}_{part}"] for part in parts] == pytest.approx(expected, abs=1e-4)
            assert [record["keypoints"][name][p] for p in parts] == pytest.approx(
                expected, abs=1e-4
            )
    count = predictor.count_recording([predictor.predict(frame) for frame in frames])
    assert records[-1]["cards"] == table["cards"].iloc[-1] == pytest.approx(count.cards, abs=1e-4)
    assert records[-1]["frames"] == table["frames"].iloc[-1] == 3


@pytest.mark.parametrize("option", ["--csv", "--jsonl"])
def test_only_records_go_to_stdout(cardpose, tmp_path, option):
    grey(tmp_path / "a.png", 100)
    status, out, err = cardpose("predict", "a.png", option, "-")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    if option == "--csv":
        assert lines[0].startswith("kind,input,frame,")
        assert lines[1].startswith("picture,a.png,,,64,48,1,1.0,10.0,9.0,12.0,")
    assert len(lines) == (2 if option == "--csv" else 1)
    status, out, err = cardpose("predict", "a.png", "--csv", "-", "--jsonl", "-")
    assert (status, out) == (1, "")
    assert "only one of them" in err


def test_a_missing_interval_is_left_out(cardpose, tmp_path, monkeypatch):
    grey(tmp_path / "a.png", 100)
    # JSON has no NaN, and spreadsheets do not read it as a number.
    original = runner.picture_record

    def without(kind, name, frame, result):
        object.__setattr__(result, "low", float("nan"))
        object.__setattr__(result, "high", float("nan"))
        return original(kind, name, frame, result)

    monkeypatch.setattr(runner, "picture_record", without)
    _, out, _ = cardpose("predict", "a.png", "--jsonl", "o.jsonl", "--csv", "o.csv")
    record = json.loads((tmp_path / "o.jsonl").read_text(), parse_constant=pytest.fail)
    assert record["low"] is record["high"] is None
    assert (tmp_path / "o.csv").read_text().splitlines()[1].split(",")[8:11] == ["10.0", "", ""]
    assert words(out)[1] == ["a.png", "10.0", "6", "of", "8"]


# Videos


# Cameras


# Arguments


def test_a_missing_model_is_reported_with_how_to_make_it(cardpose, tmp_path):
    grey(tmp_path / "a.png", 50)
    status, out, err = cardpose("predict", "a.png", model=None)
    assert (status, out) == (1, "")
    assert err.startswith("error: models/cardpose.onnx: there is no such file")
    assert "make repro" in err
    assert len(err.splitlines()) == 1


def test_the_default_model_is_found_in_models(cardpose, tmp_path, stand_in):
    grey(tmp_path / "a.png", 50)
    (tmp_path / "models").mkdir()
    for name in ("pretrained", "cardpose"):
        (tmp_path / "models" / f"{name}.safetensors").write_bytes(b"something")
        _, _, err = cardpose("predict", "a.png", model=None)
        assert err.splitlines() == [
            f"network: models/{name}.safetensors",
            f"error: models/{name}.safetensors: should be a network that cardpose trained",
        ]
    (tmp_path / "models" / "cardpose.onnx").write_bytes(stand_in.read_bytes())
    status, out, err = cardpose("predict", "a.png", model=None)
    assert (status, err) == (0, "network: models/cardpose.onnx\n")
    assert words(out)[1][:2] == ["a.png", "5.0"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["predict"],
        ["predict", "a.png", "--every", "0"],
        ["predict", "a.png", "--threads", "many"],
        ["predict", "0", "--seconds", "-1"],
        ["dance"],
    ],
)
def test_invalid_arguments_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("option", [("--output", "."), ("--csv", "a.jpg"), ("--jsonl", "./a.jpg")])
def test_inputs_are_never_overwritten(cardpose, tmp_path, option):
    grey(tmp_path / "a.jpg", 50)
    before = (tmp_path / "a.jpg").read_bytes()
    status, out, err = cardpose("predict", "a.jpg", *option)
    assert (status, out) == (1, "")
    assert "a.jpg: is an input" in err
    assert (tmp_path / "a.jpg").read_bytes() == before


@pytest.mark.parametrize("name", ["photos", ".", "/"])
def test_a_folder_is_never_overwritten(cardpose, tmp_path, name):
    (tmp_path / "photos").mkdir()
    grey(tmp_path / "photos/a.jpg", 50)
    status, out, err = cardpose("predict", "photos", "--csv", name)
    assert (status, out) == (1, "")
    assert err == f"error: {name}: is a folder, and would be overwritten; name a file\n"
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["a.jpg"]


def test_two_outputs_into_one_file_are_refused(cardpose, tmp_path):
    grey(tmp_path / "a.jpg", 50)
    status, _, err = cardpose("predict", "a.jpg", "--csv", "o", "--jsonl", "./o")
    assert status == 1
    assert "error: o: is written already" in err
    assert not (tmp_path / "o").exists()


def test_a_number_too_long_for_a_camera_is_a_missing_file(cardpose):
    status, _, err = cardpose("predict", "99999999999")
    assert (status, err) == (1, "error: 99999999999: there is no such file or folder\n")


def test_two_pictures_of_the_same_name_are_drawn_into_two_files(cardpose, tmp_path):
    for folder, brightness in (("x", 50), ("y", 90)):
        (tmp_path / folder).mkdir()
        grey(tmp_path / folder / "a.png", brightness)
    grey(tmp_path / "a.jpg", 120)
    # A file that is named twice is predicted once.
    status, out, _ = cardpose("predict", "x", "y", "a.jpg", "x/a.png", "--output", "out")
    assert status == 0
    assert len(out.splitlines()) == 4
    drawn = {path.name: cv2.imread(str(path))[40:].mean() for path in (tmp_path / "out").iterdir()}
    assert drawn == pytest.approx({"a.jpg": 50, "a_2.jpg": 90, "a_3.jpg": 120}, abs=2)


def test_a_second_run_into_one_folder_is_told_at_once(cardpose, tmp_path):
    grey(tmp_path / "a.png", 90)
    with another_writer("locked", tmp_path / "out" / "drawings"):
        status, out, err = cardpose("predict", "a.png", "--output", "out")
        assert (status, out, err) == (1, "", f"error: out/drawings: {WRITTEN}\n")
    assert cardpose("predict", "a.png", "--output", "out")[0] == 0
    assert os.listdir(tmp_path / "out") == ["a.jpg"]


def test_an_output_folder_that_cannot_be_created_is_reported(cardpose, tmp_path):
    grey(tmp_path / "a.jpg", 50)
    (tmp_path / "file").write_text("in the way")
    status, _, err = cardpose("predict", "a.jpg", "--output", "file")
    assert status == 1
    assert err.startswith("error: file")
    assert len(err.splitlines()) == 1
