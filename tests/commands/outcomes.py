"""What some commands of the pages have to lead to, beside the status 0."""

import itertools
import json
import re
import subprocess

from clone import ran
from dvc.utils.serialize import loads_yaml
from reader import FRAMES, OWN_VIDEOS

from cardpose.dataset.annotations import read_annotations

WIDTH = 120  # columns of a terminal


def _sigma(folder):
    return loads_yaml((folder / "params.yaml").read_text())["sigma"]


def runs_what_depends_on_sigma(output, folder):
    done = re.findall(r"^(?:Running stage|Stage) '(\w+)'(?=:$| is cached)", output, re.MULTILINE)
    assert done == ["make_heatmaps", "train", "evaluate", "export"], output
    assert _sigma(folder) == 3


def shows_the_baseline_beside_the_experiment(output, folder):
    lines = [line for line in output.splitlines() if "cards.mse" in line]
    if not lines:  # a small network may not have changed
        same = ["git", "diff", "--quiet", "HEAD", "--", "metrics/headline.json"]
        assert subprocess.run(same, cwd=folder, check=False).returncode == 0
        return
    assert len(lines) == 1
    _, metric, before, after, *_ = lines[0].split()
    assert metric == "cards.mse"
    assert float(before) != float(after)


def compares_everything_that_is_measured(output, folder):
    assert "keypoints.median_px" in output


def draws_the_baseline_beside_the_experiment(output, folder):
    page = folder / "dvc_plots/index.html"
    assert page.as_uri() in output
    assert "http" not in page.read_text()  # it needs no network
    pictures = [path.name for path in (page.parent / "static").iterdir()]
    for side, picture in itertools.product(("HEAD", "workspace"), ("examples", "losses")):
        assert any(name.startswith(side) and picture in name for name in pictures)


def shows_experiments_in_a_terminal(output, folder):
    lines = output.splitlines()
    assert max(map(len, lines)) <= WIDTH
    experiments = "[" in output  # names of experiments stand in brackets
    assert ("sigma" in lines[1].split()) == experiments
    assert not re.search("/|Created|Executor|baselines", lines[1])


def is_back_at_the_baseline(output, folder):
    assert _sigma(folder) == 1.5
    changed = subprocess.run(
        ["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True, check=True
    )
    assert changed.stdout == ""
    # The outputs are those of the baseline, too: nothing has to run.
    dry = subprocess.run(
        ["dvc", "repro", "--dry"], cwd=folder, capture_output=True, text=True, check=True
    )
    assert ran(dry.stdout) == []


def finds_nothing_wrong(output, folder):
    assert "nothing looks wrong" in output


def merges_labels_of_all_frames(output, folder):
    labelled, _, visible, known = read_annotations(folder / "data/mine/annotations.csv")
    assert len(labelled) == OWN_VIDEOS * len(range(0, FRAMES, 20))
    assert known.all()
    assert visible.any(axis=1).all()


def measures_own_recordings(output, folder):
    assert loads_yaml((folder / "params.yaml").read_text())["dataset"] == "mine"
    report = json.loads((folder / "metrics/evaluate.json").read_text())
    assert report["data"]["recordings"] == 2


def summarizes_own_recordings(output, folder):
    assert output.startswith("measured on 2 recordings")


def counts_all_own_recordings(output, folder):
    lines = [line for line in output.splitlines() if line.startswith("data/mine/videos/")]
    assert len(lines) == OWN_VIDEOS
    assert len(list((folder / "drawn").glob("packet_*"))) >= OWN_VIDEOS


OUTCOMES = {
    "dvc exp run -S sigma=3": runs_what_depends_on_sigma,
    "dvc metrics diff": shows_the_baseline_beside_the_experiment,
    "dvc metrics diff --targets *": compares_everything_that_is_measured,
    "dvc exp show *": shows_experiments_in_a_terminal,
    "dvc plots diff": draws_the_baseline_beside_the_experiment,
    "dvc checkout --allow-missing": is_back_at_the_baseline,
    "cardpose check mine*": finds_nothing_wrong,
    "cardpose label import mine data/mine/labelling/labels.csv": merges_labels_of_all_frames,
    "dvc exp run -S dataset=mine": measures_own_recordings,
    "cat metrics/summary.txt": summarizes_own_recordings,
    "cardpose predict data/mine/videos --output drawn": counts_all_own_recordings,
}
