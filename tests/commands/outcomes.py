"""What some commands of the pages have to lead to, beside the status 0."""

import json
import re
import subprocess

from clone import ran
from dvc.utils.serialize import loads_yaml


def _sigma(folder):
    return loads_yaml((folder / "params.yaml").read_text())["sigma"]


def runs_what_depends_on_sigma(output, folder):
    done = re.findall(r"^(?:Running stage|Stage) '(\w+)'(?=:$| is cached)", output, re.MULTILINE)
    assert done == ["make_heatmaps", "train", "evaluate", "export"], output
    assert _sigma(folder) == 3


def shows_the_baseline_beside_the_experiment(output, folder):
    lines = [line for line in output.splitlines() if "cards.mse" in line]
    if not lines:  # a small network may not have changed
        same = ["git", "diff", "--quiet", "HEAD", "--", "metrics/evaluate.json"]
        assert subprocess.run(same, cwd=folder, check=False).returncode == 0
        return
    assert len(lines) == 1
    _, metric, before, after, *_ = lines[0].split()
    assert metric == "cards.mse"
    assert float(before) != float(after)


def draws_the_baseline_beside_the_experiment(output, folder):
    page = folder / "dvc_plots/index.html"
    assert page.as_uri() in output
    pictures = [path.name for path in (page.parent / "static").iterdir()]
    for side in ("HEAD", "workspace"):
        assert any(name.startswith(side) and "examples" in name for name in pictures)


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


def measures_own_recordings(output, folder):
    report = json.loads((folder / "metrics/details.json").read_text())
    assert report["data"]["recordings"] == 2


def counts_all_own_recordings(output, folder):
    lines = [line for line in output.splitlines() if line.startswith("data/mine/videos/")]
    assert len(lines) == 6
    assert len(list((folder / "drawn").glob("packet_*"))) >= 6


OUTCOMES = {
    "dvc exp run -S sigma=3": runs_what_depends_on_sigma,
    "dvc metrics diff": shows_the_baseline_beside_the_experiment,
    "dvc plots diff": draws_the_baseline_beside_the_experiment,
    "dvc checkout --allow-missing": is_back_at_the_baseline,
    "cardpose check mine*": finds_nothing_wrong,
    "dvc exp run -S dataset=mine": measures_own_recordings,
    "cardpose predict data/mine/videos --output drawn": counts_all_own_recordings,
}
