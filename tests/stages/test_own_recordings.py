"""docs/tutorials/your-own-recordings.md: its commands, as they stand there, lead to a count."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import joblib
import pandas as pd
import pytest
from clone import Clone
from dvc.utils.serialize import dumps_yaml, loads_yaml
from support import SMALLEST

from cardpose.cli import main
from cardpose.dataset.annotations import read_annotations
from cardpose.network.model import CardPose, network_shape
from cardpose.network.weights import save_network
from cardpose.params import load_params
from cardpose.rendering.videos import render_dataset

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/tutorials/your-own-recordings.md"
# What cannot be run here, and who runs it.
LABEL_STUDIO = "needs Label Studio: labelling/test_label_studio.py"
ELSEWHERE = {
    "make label-studio DATASET=mine": LABEL_STUDIO,
    "make label-studio DATASET=mine ARGS=--next": LABEL_STUDIO,
    "cardpose label import mine http://127.0.0.1:8080": LABEL_STUDIO,
    "cardpose app": "serves a browser until it is stopped: cli/test_app.py",
}
# The page's first commands made the environment that this test runs in.
SETUP = ("make install", "source .venv/bin/activate")
TINY = {"synthetic": {"videos": 6, "frames": 21}, "pretrain": {"pictures": 24}}


def commands():
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert tuple(lines[: len(SETUP)]) == SETUP
    return lines[len(SETUP) :]


def test_what_is_run_elsewhere_stands_on_the_page():
    assert set(ELSEWHERE) < set(commands())
    for why in ELSEWHERE.values():
        assert (ROOT / "tests" / why.rpartition(" ")[2]).exists()


def test_every_command_of_the_page_is_understood(tmp_path):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for command in commands():
        program, *words = shlex.split(command)
        if program == "cardpose":
            assert callable(main.command_parser().parse_args(words).run)
        elif program == "make":
            assert words[0] in targets
        elif program == "dvc":
            params = loads_yaml((ROOT / "params.yaml").read_text())
            for setting in words[words.index("-S") + 1 :: 2] if "-S" in words else ():
                name, _, value = setting.partition("=")
                section, _, key = name.rpartition(".")
                values = params[section] if section else params
                assert key in values
                values[key] = loads_yaml(value)
            (tmp_path / "params.yaml").write_text(dumps_yaml(params))
            load_params(tmp_path / "params.yaml")
        else:
            assert program in ("mkdir", "cat")


def test_links_and_pictures_of_the_page_are_there():
    linked = re.findall(r"\]\((?!http)([^)#]*)", PAGE.read_text())
    assert "../pictures/filming.jpg" in linked
    for target in linked:
        assert (PAGE.parent / target).exists()
    pictures = [PAGE.parent / name for name in linked if name.endswith((".jpg", ".png"))]
    assert all(picture.stat().st_size < 200_000 for picture in pictures)


def follow(run, folder, recordings, frames):
    """Do what the page says, in the repository `folder`; `run` runs a command.

    In between somebody films, as many `recordings` of so many `frames`, and corrects the labels.

    Returns:
        {command: what `run` returned}.
    """
    mine, truth, said = folder / "data/mine", folder / "truth.csv", {}
    for command in commands():
        if command in ELSEWHERE:
            continue
        if command == "cardpose label start mine":
            assert (mine / "videos").is_dir()  # the page has made it
            (mine / "videos").rmdir()
            render_dataset(mine / "videos", truth, mine / "videos.csv", recordings, frames, seed=9)
        if command.startswith("cardpose label import"):
            proposed = mine / "labelling/labels.csv"
            correct(proposed, truth)
        said[command] = run(command)
    assert set(said) | set(ELSEWHERE) == set(commands())
    labelled, _, visible, known = read_annotations(mine / "annotations.csv")
    assert len(labelled) == recordings * len(range(0, frames, 20))
    assert known.all()
    assert visible.any(axis=1).all()
    return said


def correct(path, truth):
    """Look at each proposed row: put the corners where they are, and say so."""
    table = pd.read_csv(path)
    assert (table["annotated"] == 0).all()
    exact = pd.read_csv(truth).set_index("frame").loc[table["frame"]].reset_index()
    exact.insert(1, "annotated", 1)
    exact[table.columns].to_csv(path, index=False)


def test_the_page_leads_from_recordings_to_labels_and_a_network_counts_in_them(
    tmp_path, monkeypatch, capsys
):
    """Without `dvc`: a network that nobody taught proposes and counts."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "models").mkdir()
    weights = CardPose(**network_shape(SMALLEST)).state_dict()
    for name in ("pretrained", "cardpose"):
        save_network(tmp_path / f"models/{name}.safetensors", weights, SMALLEST)
    monkeypatch.chdir(tmp_path)

    def run(command):
        program, *words = shlex.split(command)
        if program == "cardpose":
            with pytest.raises(SystemExit) as ended:
                main.main(words)
            assert ended.value.code == 0
            return capsys.readouterr().out
        if program == "mkdir":
            subprocess.run([program, *words], check=True)
        return ""

    with joblib.parallel_config(backend="sequential"):
        said = follow(run, tmp_path, recordings=2, frames=21)
    assert "nothing looks wrong" in said["cardpose check mine --sheet worst.png"]
    counted = said["cardpose predict data/mine/videos --output drawn"].splitlines()
    assert len([line for line in counted if line.startswith("data/mine/videos/")]) == 2
    assert len(list((tmp_path / "drawn").iterdir())) == 2


@pytest.mark.soak
def test_the_page_leads_from_recordings_to_a_count(tmp_path):
    clone = Clone(tmp_path, TINY)
    clone("dvc", "repro")  # as the page says, it has to have run

    def run(command):
        program, *words = shlex.split(command)
        program = [sys.executable, "-m", "cardpose"] if program == "cardpose" else [program]
        output = clone(*program, *words).stdout
        if words == ["metrics/summary.txt"]:
            assert output.startswith("measured on 2 recordings")
        return output

    said = follow(run, clone.folder, recordings=6, frames=41)
    assert said["cardpose predict data/mine/videos --output drawn"].count("data/mine/videos/") == 6
    assert clone.params()["dataset"] == "mine"
