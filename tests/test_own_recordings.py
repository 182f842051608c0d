"""docs/your-own-recordings.md: its commands, as they stand there, lead to a count."""

import json
import re
import shlex
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from clone import Clone

from cardpose import cli
from cardpose.params import load_params
from cardpose.synthetic import render_dataset

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/your-own-recordings.md"
ELSEWHERE = {
    "make label-studio DATASET=mine": "needs Label Studio: test_label_studio.py",
    "make label-studio DATASET=mine ARGS=--next": "needs Label Studio: test_label_studio.py",
    "cardpose label import mine http://127.0.0.1:8080": "needs Label Studio: test_label_studio.py",
    "cardpose app": "serves a browser until it is stopped: test_app.py",
}
TINY = {"synthetic": {"videos": 6, "frames": 21}, "pretrain": {"frame_step": 10}}


def commands():
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_what_is_run_elsewhere_stands_on_the_page():
    assert set(ELSEWHERE) < set(commands())
    for why in ELSEWHERE.values():
        assert (ROOT / "tests" / why.rpartition(" ")[2]).exists()


def test_every_command_of_the_page_is_understood(tmp_path):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for command in commands():
        program, *words = shlex.split(command)
        if program == "cardpose":
            assert callable(cli._parser().parse_args(words).run)
        elif program == "make":
            assert words[0] in targets
        elif program == "dvc":
            params = yaml.safe_load((ROOT / "params.yaml").read_text())
            for setting in words[words.index("-S") + 1 :: 2] if "-S" in words else ():
                name, _, value = setting.partition("=")
                section, _, key = name.rpartition(".")
                values = params[section] if section else params
                assert key in values
                values[key] = yaml.safe_load(value)
            (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
            load_params(tmp_path / "params.yaml")
        else:
            assert program == "mkdir"


def test_links_and_pictures_of_the_page_are_there():
    linked = re.findall(r"\]\((?!http)([^)#]*)", PAGE.read_text())
    assert "filming.jpg" in linked
    for target in linked:
        assert (PAGE.parent / target).exists()
    pictures = [PAGE.parent / name for name in linked if name.endswith((".jpg", ".png"))]
    assert len(pictures) <= 4
    assert all(picture.stat().st_size < 200_000 for picture in pictures)


@pytest.mark.soak
def test_the_page_leads_from_recordings_to_a_count(tmp_path):
    clone = Clone(tmp_path / "clone", TINY)
    clone("dvc", "repro")  # as the page says, it has to have run
    mine = clone.folder / "data/mine"

    def run(command):
        program, *words = shlex.split(command)
        program = [sys.executable, "-m", "cardpose"] if program == "cardpose" else [program]
        # What `check` finds, it says with a status of 1: the labels are a tiny network's.
        return clone(*program, *words, ok="check" not in words).stdout

    done = []
    for command in commands():
        if command in ELSEWHERE:
            continue
        if command.startswith("cardpose label start"):
            film(mine, tmp_path)
        if command.startswith("cardpose label import"):
            correct(mine / "labelling/labels.csv", tmp_path / "annotations.csv")
        said = run(command)
        done.append(command)
        if command.startswith("cardpose predict"):
            rows = [line for line in said.splitlines() if line.startswith("data/mine/videos/")]
            assert len(rows) == 6
        if "metrics show" in command:
            report = json.loads((clone.folder / "metrics/evaluate.json").read_text())
            assert report["data"]["recordings"] == 2
    assert set(done) | set(ELSEWHERE) == set(commands())
    assert clone.params()["geometry"]["card"] == [57, 88, 0.28]


def film(mine, folder):
    """Six small recordings, as somebody might have put them there, and the truth beside them."""
    assert (mine / "videos").is_dir()  # the page has said so
    (mine / "videos").rmdir()
    truth, table = folder / "annotations.csv", mine / "videos.csv"
    render_dataset(mine / "videos", truth, table, count=6, frames=41, seed=9)


def correct(path, truth):
    """Look at each proposed row: put the corners where they are, and say so."""
    table = pd.read_csv(path)
    assert (table["annotated"] == 0).all()
    exact = pd.read_csv(truth).set_index("frame").loc[table["frame"]].reset_index()
    exact.insert(1, "annotated", 1)
    exact[table.columns].to_csv(path, index=False)
