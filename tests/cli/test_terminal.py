"""Names, signals and terminals that commands must cope with."""

import csv
import json
import os
import pty
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from support import REPOSITORY, SLOW, grey, words

from cardpose.cli import runner
from cardpose.common.errors import quantity
from cardpose.pictures.videos import sampled_frames

ESCAPES = "a\x1b[31mred\n.png"
LATIN = os.fsdecode(b"Gru\xdf.png")
FORMULAS = ("=1+1.png", "+1.png", "-1.png", "@SUM(1).png", "\t=1.png")


def start(folder, *arguments, code=None, **options):
    """Start the command in a process of its own, in `folder`."""
    program = ["-m", "cardpose"] if code is None else ["-c", code]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **options.pop("env", {})}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    command = [sys.executable, *program, *map(str, arguments)]
    pipes["preexec_fn"] = lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it
    return subprocess.Popen(command, cwd=folder, env=environment, **pipes)


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_keeps_the_results_so_far(stand_in, tmp_path, write_video, ended_by):
    write_video(tmp_path / "v.mp4", [np.full((48, 64, 3), 80, np.uint8)] * 2000)
    outputs = ["--output", "out", "--csv", "o.csv", "--jsonl", "o.jsonl"]
    running = start(tmp_path, "predict", "v.mp4", "--model", stand_in, *outputs, code=SLOW)
    for _ in range(3):
        assert running.stderr.readline() == b"batch\n"
    running.send_signal(ended_by)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 128 + ended_by
    assert set(err.split()) <= {b"batch"}
    seen = int(words(out.decode())[1][-2])
    assert 0 < seen < 2000
    assert pd.read_csv(tmp_path / "o.csv")["kind"].tolist() == ["frame"] * seen + ["recording"]
    assert len((tmp_path / "o.jsonl").read_text().splitlines()) == seen + 1
    assert len(list(sampled_frames(tmp_path / "out" / "v.mp4", 1))) == seen + 1
    assert sorted(os.listdir(tmp_path)) == ["network", "o.csv", "o.jsonl", "out", "v.mp4"]
    assert os.listdir(tmp_path / "out") == ["v.mp4"]


def test_a_closed_terminal_keeps_the_results_so_far(stand_in, tmp_path, write_video):
    write_video(tmp_path / "v.mp4", [np.full((48, 64, 3), 80, np.uint8)] * 2000)
    terminal, inner = pty.openpty()
    read, written = os.pipe()
    report = SLOW.replace(
        'print("batch", file=sys.stderr, flush=True)', f'os.write({written}, b".")'
    )
    arguments = ["predict", "v.mp4", "--model", stand_in, "--csv", "-", "--jsonl", "o.jsonl"]
    streams = {"stdin": inner, "stdout": inner, "stderr": inner, "pass_fds": [written]}
    running = start(tmp_path, *arguments, code="import os" + report, **streams)
    os.close(inner)
    os.close(written)
    while not os.read(read, 1):
        assert running.poll() is None
    os.close(terminal)  # the process is in no session of the terminal, so it gets no signal
    assert running.wait(timeout=60) == 1
    assert json.loads((tmp_path / "o.jsonl").read_text().splitlines()[-1])["kind"] == "recording"
    assert sorted(os.listdir(tmp_path)) == ["network", "o.jsonl", "v.mp4"]


def test_results_are_kept_if_the_reader_of_the_table_has_ended(stand_in, tmp_path):
    for name in "abc":
        grey(tmp_path / f"{name}.png", 50)
    running = start(tmp_path, "predict", ".", "--model", stand_in, "--csv", "o.csv")
    running.stdout.close()
    assert running.wait(timeout=60) == 1
    assert running.stderr.read() == b""
    assert len(pd.read_csv(tmp_path / "o.csv")) >= 1


def test_a_full_disk_behind_stdout_is_one_line(stand_in, tmp_path):
    grey(tmp_path / "a.png", 50)
    with open("/dev/full", "w") as full:
        command = ["predict", "a.png", "--model", stand_in, "--csv", "o.csv"]
        running = start(tmp_path, *command, stdout=full)
        _, err = running.communicate(timeout=60)
    assert running.returncode == 1
    assert err == b"error: writing or reading a file: No space left on device\n"
    assert len(pd.read_csv(tmp_path / "o.csv")) == 1


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_standard_streams_do_no_harm(stand_in, tmp_path, closed):
    grey(tmp_path / "a.png", 50)
    shut = " ".join(f"{number}>&-" for number in closed)
    model = f"--model {stand_in} --csv o.csv --jsonl o.jsonl --output out"
    command = f"exec {sys.executable} -m cardpose predict a.png missing.png {model} {shut}"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    wanted = "" if 2 in closed else "error: missing.png: there is no such file or folder\n"
    assert done.stderr == wanted
    assert pd.read_csv(tmp_path / "o.csv")["input"].tolist() == ["a.png"]
    assert json.loads((tmp_path / "o.jsonl").read_text())["input"] == "a.png"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
@pytest.mark.parametrize("option", [(), ("--csv", "-"), ("--jsonl", "-")])
def test_an_output_holds_every_name(stand_in, tmp_path, encoding, option):
    names = [LATIN, "fünf.png", "五.png"]
    for name in names:
        (tmp_path / name).write_bytes(grey_png(tmp_path))
    command = ["predict", ".", "missing五.png", "--model", stand_in, *option]
    running = start(tmp_path, *command, env={"PYTHONIOENCODING": encoding})
    out, err = running.communicate(timeout=60)
    text = out.decode(encoding)
    assert running.returncode == 1
    assert err.decode(encoding).startswith("error: missing")
    assert err.count(b"\n") == 1
    if option == ("--jsonl", "-"):
        inputs = [json.loads(line)["input"] for line in text.splitlines()]
        assert set(inputs) == set(names)
    else:
        assert len(text.splitlines()) == 4
        assert "Gru\\udcdf.png" in text
        assert encoding == "ascii" or "fünf.png" in text


def grey_png(folder):
    grey(folder / "made.png", 50)
    content = (folder / "made.png").read_bytes()
    (folder / "made.png").unlink()
    return content


def test_a_name_that_is_not_utf8_is_escaped_in_files(cardpose, tmp_path):
    (tmp_path / LATIN).write_bytes(grey_png(tmp_path))
    grey(tmp_path / "a.png", 50)
    status, out, err = cardpose("predict", ".", "--csv", "o.csv", "--jsonl", "o.jsonl")
    assert (status, err) == (0, "")
    assert len(out.splitlines()) == 3
    assert pd.read_csv(tmp_path / "o.csv")["input"].tolist() == ["a.png", "Gru\\udcdf.png"]
    records = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [os.fsencode(record["input"]) for record in records] == [b"a.png", b"Gru\xdf.png"]


NAMES = [
    LATIN,
    "2026-01-05T10:30",
    "http:..example",
    "concat:a|b",
    "50%",
    "%d_%03d",
    "-y",
    "--help",
    "pipe:0",
    "data:text",
    "a b;c'd\"e",
    "[0-9]*?",
    "a\\b",
    "\x1b]0;x\x07",
    "file:x",
    "subfile,,start,0",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("suffix", [".mp4", ".png"])
def test_a_path_is_a_path(cardpose, tmp_path, write_video, name, suffix):
    """No decoder, encoder or library takes it for a URL, a pattern or an option."""
    (tmp_path / "in").mkdir()
    if suffix == ".mp4":
        write_video(tmp_path / "made.mp4", [np.full((48, 64, 3), 80, np.uint8)] * 5)
    else:
        grey(tmp_path / "made.png", 80)
    os.rename(tmp_path / f"made{suffix}", tmp_path / "in" / (name + suffix))
    os.chdir("in")
    status, out, err = cardpose("predict", ".", "--output", "out", "--jsonl", "../o.jsonl")
    assert (status, err) == (0, "")
    assert len(out.splitlines()) == (2 if suffix == ".mp4" else 11)
    assert "\x1b" not in out
    drawn = name + (".jpg" if suffix == ".png" else ".mp4")
    assert os.listdir("out") == [drawn]
    record = json.loads((tmp_path / "o.jsonl").read_text().splitlines()[-1])
    assert record["cards"] == pytest.approx(8, abs=0.4)
    if suffix == ".mp4":
        assert len(list(sampled_frames(f"out/{drawn}", 1))) == 6


@pytest.mark.parametrize("name", ["2026-01-05T10:30", "concat:a|b", "%d_%03d", "-y", "file:x"])
def test_a_drawn_video_in_this_folder_is_a_path(cardpose, tmp_path, write_video, name):
    write_video(tmp_path / "made.mp4", [np.full((48, 64, 3), 80, np.uint8)] * 5)
    os.rename(tmp_path / "made.mp4", tmp_path / f"{name}.m4v")
    status, _, err = cardpose("predict", f"./{name}.m4v", "--output", ".")
    assert (status, err) == (0, "")
    assert len(list(sampled_frames(tmp_path / f"{name}.mp4", 1))) == 6


def test_no_escape_sequence_reaches_the_terminal(cardpose, tmp_path):
    for name in (ESCAPES, "broken\x1b[2J.png"):
        (tmp_path / name).write_bytes(grey_png(tmp_path))
    (tmp_path / "broken\x1b[2J.png").write_bytes(b"no picture")
    status, out, err = cardpose("predict", ".", "\x9b31m")
    assert (status, len(out.splitlines()), len(err.splitlines())) == (1, 2, 2)
    assert "a\\x1b[31mred\\n.png  " in out
    assert all(char.isprintable() for char in (out + err).replace("\n", ""))


@pytest.mark.parametrize(
    "arguments", [["--\x1b[31m", "x"], ["x", "--every", "\x1b"], ["x", "\x1b"]]
)
def test_no_argument_reaches_the_terminal_unescaped(cardpose, arguments):
    status, out, err = cardpose("predict", *arguments, "y" * 100_000 + "\x1b")
    assert status in (1, 2)
    assert "\x1b" not in out + err
    assert len(err) < 2500


def test_a_spreadsheet_computes_no_name(cardpose, tmp_path):
    for name in (*FORMULAS, "a\rb.png"):
        (tmp_path / name).write_bytes(grey_png(tmp_path))
    status, _, err = cardpose("predict", ".", "--csv", "o.csv", "--jsonl", "o.jsonl")
    assert (status, err) == (0, "")
    with open(tmp_path / "o.csv", newline="") as file:
        inputs = [row["input"] for row in csv.DictReader(file)]
    assert sorted(inputs) == sorted([*(f"'{name}" for name in FORMULAS), "a\\rb.png"])
    records = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert {record["input"] for record in records} == {*FORMULAS, "a\rb.png"}


def test_the_records_of_a_camera_are_no_formulas(cardpose, tmp_path, monkeypatch):
    shot = np.full((48, 64, 3), 80, np.uint8)
    monkeypatch.setattr(runner.videos, "camera_frames", lambda *_: iter([(0, shot)]))
    assert cardpose("predict", "7", "--csv", "o.csv")[0] == 0
    assert pd.read_csv(tmp_path / "o.csv")["input"].tolist() == ["camera 7"]


IMPORTING = """
import signal, sys
from cardpose.cli.main import main

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                raise ImportError("a library made this of it") from None

sys.meta_path.insert(0, Interrupting())
main(sys.argv[2:])
"""


@pytest.mark.parametrize(
    ("module", "command"),
    [("cv2", "predict"), ("cardpose.cli.app", "app"), ("pandas", "check"), ("shtab", "completion")],
)
def test_ctrl_c_during_an_import_ends_the_command(tmp_path, module, command):
    (tmp_path / "bash").mkdir()
    running = start(tmp_path, module, command, "bash", code=IMPORTING)
    assert running.communicate(timeout=60) == (b"", b"")
    assert running.returncode == 130


def test_sigterm_during_a_late_import_ends_the_command(stand_in, tmp_path):
    grey(tmp_path / "a.png", 80)
    code = IMPORTING.replace("SIGINT", "SIGTERM")
    words = ["onnxruntime", "predict", "a.png", "--model", stand_in]
    running = start(tmp_path, *words, code=code)
    assert running.communicate(timeout=60) == (b"", b"")
    assert running.returncode == 143


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        ('ImportError("cv2.so: failed to map segment from shared object")', "too little memory"),
        ('RuntimeError("can\'t start new thread")', "no more threads"),
        ("MemoryError()", "out of memory: end other programs"),
    ],
)
def test_a_cramped_system_is_one_line(tmp_path, failure, words):
    code = (
        "import sys\nfrom cardpose.cli import main\n"
        f"def fail(): raise {failure}\nmain.silence_libraries = fail\nmain.main(sys.argv[1:])"
    )
    running = start(tmp_path, "predict", "a.png", code=code)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (1, b"")
    assert words in err.decode()
    assert err.count(b"\n") == 1


def test_whatever_an_error_quotes_is_shortened(cardpose):
    status, _, err = cardpose("predict", "9" * 250, "a" * 3000 + "/b", "é\x01" * 50_000)
    assert status == 1
    lines = err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("error: ") and len(line) < 400 for line in lines)
    assert all(line.endswith("there is no such file or folder") for line in lines[:1])


@pytest.mark.parametrize(("number", "text"), [(0, "0 frames"), (1, "1 frame"), (2, "2 frames")])
def test_a_number_and_its_noun_agree(number, text):
    assert quantity(number, "frame") == text
