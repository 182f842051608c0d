"""The command `cardpose predict` with videos and cameras."""

import json
import os
import signal
import struct
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from support import REPOSITORY, SLOW, Camera, fast_start, grey, words

from cardpose.inference import recording
from cardpose.inference.predictor import Predictor
from cardpose.inference.result import RecordingCount, Result
from cardpose.pictures import videos
from cardpose.pictures.videos import sampled_frames, video_timing


def test_a_video_gets_one_line_and_a_drawing_of_all_its_frames(cardpose, tmp_path, write_video):
    write_video(tmp_path / "v.mp4")  # 25 frames of brightness 0, 10, ...
    status, out, err = cardpose("predict", "v.mp4", "--output", "out")
    assert (status, err) == (0, "")
    assert len(out.splitlines()) == 2
    assert words(out)[1][0] == "v.mp4"
    # The first two are too dark for a packet.
    assert words(out)[1][-5:] == ["from", "23", "of", "25", "pictures"]
    assert video_timing(tmp_path / "out" / "v.mp4") == (25, 25)
    *frames, _ = sampled_frames(tmp_path / "out" / "v.mp4", 1)
    assert len(frames) == 25
    for index, frame in frames:
        assert frame.shape == (48, 64, 3)
        # The part without text and keypoints is unchanged.
        assert frame[40:, 40:].mean() == pytest.approx(10 * index, abs=8)
    assert os.listdir(tmp_path / "out") == ["v.mp4"]


def test_a_drawing_of_every_nth_frame_keeps_the_duration(cardpose, tmp_path, write_video):
    write_video(tmp_path / "v.mp4")
    _, out, _ = cardpose("predict", "v.mp4", "--output", "out", "--every", 5)
    assert words(out)[1][-3:] == ["of", "5", "pictures"]
    assert video_timing(tmp_path / "out" / "v.mp4") == (5, 5)


def test_a_rotated_video_is_predicted_upright(cardpose, tmp_path, write_video):
    stored = np.full((48, 64, 3), 60, np.uint8)
    stored[:8, :8] = 255
    write_video(tmp_path / "v.mp4", [stored] * 3)
    content = bytearray((tmp_path / "v.mp4").read_bytes())
    at = content.index(b"tkhd") + 4 + 4 + 5 * 4 + 2 * 4 + 4 * 2
    struct.pack_into(">5i", content, at, 0, 65536, 0, -65536, 0)  # a turn to the right
    (tmp_path / "v.mp4").write_bytes(content)
    status, _, _ = cardpose("predict", "v.mp4", "--output", "out", "--jsonl", "o.jsonl")
    record = json.loads((tmp_path / "o.jsonl").read_text().splitlines()[0])
    assert status == 0
    assert (record["width"], record["height"]) == (48, 64)
    first = record["keypoints"]["upper_left_face"]
    assert first["x"] >= 40
    assert first["y"] <= 8
    (_, frame), *_ = sampled_frames(tmp_path / "out" / "v.mp4", 1)
    assert frame.shape == (64, 48, 3)


def test_a_truncated_video_is_counted_up_to_its_end(cardpose, tmp_path, write_video):
    write_video(tmp_path / "v.mp4", [np.full((48, 64, 3), 80, np.uint8)] * 25)
    content = fast_start((tmp_path / "v.mp4").read_bytes())
    (tmp_path / "v.mp4").write_bytes(content[: content.index(b"mdat") + 200])
    status, out, err = cardpose("predict", "v.mp4", "--output", "out", "--csv", "o.csv")
    assert status == 1
    assert err.startswith("error: v.mp4: ends early: ")
    assert len(err.splitlines()) == 1
    seen = int(words(out)[1][-2])
    assert 0 < seen < 25
    assert float(words(out)[1][1]) == pytest.approx(8, abs=0.4)
    assert len(pd.read_csv(tmp_path / "o.csv")) == seen + 1
    assert video_timing(tmp_path / "out" / "v.mp4")[1] == seen


def test_a_video_says_where_another_packet_begins(cardpose, tmp_path, write_video, monkeypatch):
    write_video(tmp_path / "v.mp4")
    add = recording.RecordingCounter.add
    seen = []

    def changed(self, result):
        seen.append(add(self, result))
        return len(seen) in (7, 20)

    monkeypatch.setattr(recording.RecordingCounter, "add", changed)
    status, out, err = cardpose("predict", "v.mp4", "--every", 2)
    assert status == 0
    (line,) = err.splitlines()
    assert line.startswith("note: v.mp4: ")
    assert line.endswith(" before frame 12")
    assert words(out)[1][0] == "v.mp4"


@pytest.fixture
def counted_twice(monkeypatch):
    """The count that each picture was predicted with; a stand-in count is the number of pictures.

    `load` predicts one picture more.
    """
    predict, given = Predictor.predict_batch, []

    def record(self, pictures, rgb=False, recording=None):
        given.extend([recording and recording.cards] * len(pictures))
        return predict(self, pictures, rgb, recording)

    def count(self):
        box = (3.0, 0.1, (0.0, 0.0), 0.0)
        return RecordingCount(float(len(self._cards)), 1.0, 2.0, len(self._cards), *box)

    monkeypatch.setattr(Predictor, "predict_batch", record)
    monkeypatch.setattr(recording.RecordingCounter, "count", count)
    return given


def test_a_video_is_counted_again_round_the_box_of_its_first_count(
    cardpose, tmp_path, write_video, monkeypatch, counted_twice
):
    write_video(tmp_path / "v.mp4", [np.full((48, 64, 3), 80, np.uint8)] * 250)
    assert cardpose("predict", "v.mp4", "--csv", "o.csv")[0] == 0
    assert counted_twice == [None] * 251 + [250] * 84
    last = pd.read_csv(tmp_path / "o.csv").iloc[-1]
    assert (last["cards"], last["frames"]) == (84, 250)
    counted_twice.clear()
    monkeypatch.setattr(recording.RecordingCounter, "add", lambda *_: True)  # another packet
    assert cardpose("predict", "v.mp4")[0] == 0
    assert counted_twice == [None] * 251


@pytest.mark.parametrize("fault", ["another packet", "no file"])
def test_the_first_count_stays_if_the_second_fails(
    cardpose, tmp_path, write_video, monkeypatch, counted_twice, fault
):
    write_video(tmp_path / "v.mp4", [np.full((48, 64, 3), 80, np.uint8)] * 9)
    add = recording.RecordingCounter.add

    def counted(self, result):
        if fault == "no file" and len(counted_twice) == 6:
            (tmp_path / "v.mp4").unlink(missing_ok=True)
        add(self, result)
        changed = fault == "another packet" and len(counted_twice) > 6
        if changed:
            self._cards = self._cards[-1:]
        return changed

    monkeypatch.setattr(recording.RecordingCounter, "add", counted)
    status, _, err = cardpose("predict", "v.mp4", "--every", 2, "--jsonl", "o.jsonl")
    assert (status, err) == (0, "")
    last = json.loads((tmp_path / "o.jsonl").read_text().splitlines()[-1])
    assert (last["kind"], last["cards"], last["frames"]) == ("recording", 5, 5)


def test_photographs_of_one_packet_are_counted_again_round_its_box(
    cardpose, tmp_path, monkeypatch, counted_twice
):
    for name in "abc":
        grey(tmp_path / f"{name}.png", 80)
    names = ["a.png", "b.png", "c.png"]
    assert cardpose("predict", *names, "--together")[0] == 0
    assert counted_twice == [None] * 4 + [3] * 3
    counted_twice.clear()
    assert cardpose("predict", *names)[0] == 0  # three packets
    assert counted_twice == [None] * 4
    counted_twice.clear()
    monkeypatch.setattr(recording.RecordingCounter, "add", lambda *_: True)  # another packet
    assert cardpose("predict", *names, "--together")[0] == 0
    assert counted_twice == [None] * 4


def test_a_drawn_video_has_the_count_of_the_sweep(cardpose, tmp_path, write_video, monkeypatch):
    write_video(tmp_path / "v.mp4")
    drawn = []
    draw = Result.draw

    def recorded(self, picture, rgb=False, recording=None):
        drawn.append(recording and recording.cards)
        return draw(self, picture, rgb, recording)

    monkeypatch.setattr(Result, "draw", recorded)
    assert cardpose("predict", "v.mp4", "--output", "out")[0] == 0
    assert drawn[:2] == [None, None]  # no packet
    assert drawn[2:6] == pytest.approx([2, 2.5, 3, 3.5], abs=0.3)  # medians so far


def test_ctrl_c_keeps_the_results_so_far(stand_in, tmp_path, write_video):
    write_video(tmp_path / "v.mp4", [np.full((48, 64, 3), 80, np.uint8)] * 2000)
    grey(tmp_path / "z.png", 50)
    command = ["predict", "v.mp4", "z.png", "--model", stand_in, "--output", "out"]
    running = subprocess.Popen(
        [sys.executable, "-c", SLOW, *command, "--csv", "o.csv", "--jsonl", "o.jsonl"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(3):
        assert running.stderr.readline() == "batch\n"
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in err
    assert "error" not in err
    row = words(out)[1]
    seen = int(row[-2])
    assert 0 < seen < 2000
    assert row[0] == "v.mp4"
    assert float(row[1]) == pytest.approx(8, abs=0.4)
    table = pd.read_csv(tmp_path / "o.csv")
    assert table["kind"].tolist() == ["frame"] * seen + ["recording"]
    records = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [record["kind"] for record in records] == table["kind"].tolist()
    assert len(list(sampled_frames(tmp_path / "out" / "v.mp4", 1))) == seen + 1
    assert sorted(os.listdir(tmp_path)) == ["network", "o.csv", "o.jsonl", "out", "v.mp4", "z.png"]


def test_a_camera_prints_the_count_of_the_sweep(cardpose, tmp_path, monkeypatch):
    monkeypatch.setattr(videos.cv2, "VideoCapture", lambda number: Camera(200))
    clock = iter(np.arange(0, 1000, 0.1))  # ten pictures a second
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    status, out, err = cardpose("predict", 0, "--csv", "o.csv")
    # The camera sends brightness 0, 1, ... 199 and stops.
    assert status == 1
    assert err == "error: camera 0: sends no more pictures\n"
    lines = words(out)
    assert lines[0][:2] == ["no", "packet,"]
    counts = [float(line[0]) for line in lines if line[1] == "cards,"]
    assert len(counts) > 5
    assert counts == sorted(counts)
    assert counts[-1] == pytest.approx(10.5, abs=0.5)  # median of brightness 10 to 199
    assert lines[-1][-3:] == ["pictures", "a", "second"]
    assert len(pd.read_csv(tmp_path / "o.csv")) == 200


def test_a_camera_begins_again_after_a_second_without_a_packet(cardpose, monkeypatch):
    class Changed(Camera):
        """Send 40 pictures of 10 cards, 20 dark ones, then 10 of 20 cards."""

        def read(self):
            there, picture = super().read()
            brightness = 100 if self.sent <= 40 else 0 if self.sent <= 60 else 200
            return there, picture if picture is None else np.full_like(picture, brightness)

    monkeypatch.setattr(videos.cv2, "VideoCapture", lambda number: Changed(70))
    clock = iter(np.arange(0, 1000, 0.1))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    _, out, _ = cardpose("predict", 0)
    counts = [float(line[0]) for line in words(out) if line[1] == "cards,"]
    assert counts[0] == pytest.approx(10, abs=0.1)
    assert counts[-1] == pytest.approx(20, abs=0.1)


def test_drawing_a_camera_is_refused(cardpose):
    status, _, err = cardpose("predict", "0", "--output", "out")
    assert status == 1
    assert err.startswith("error: --output: ")
