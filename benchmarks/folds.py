"""Train and evaluate every fold of a data set, and tabulate the metrics.

    python -m benchmarks.folds [-S dataset=cardcut] [-S sigma=3]

`-S` sets a parameter as `dvc exp run` does. DVC runs the pipeline once per fold, in a copy of the
workspace that shares the cache, so models/, metrics/ and the other files of the workspace stay as
they are. Nothing needs to be committed. The run cache holds the stages that are done: a run that
was stopped goes on where it stopped, and a fold whose parameters, data and code have not changed is
not trained again. Only pretraining is not in the run cache: a setting that changes it, such as
`-S model.hidden=64`, pretrains once per call, which takes long.

Writes metrics/folds/<dataset>.json and prints its means and spreads. The spread is the standard
deviation over the folds.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

import pandas as pd
from dvc.config import Config
from dvc.exceptions import InvalidArgumentError
from dvc.repo import Repo
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import load_yaml

from cardpose.common.errors import InputError, run_stage
from cardpose.common.files import atomic_output, remove
from cardpose.common.json_files import read_json
from cardpose.common.locks import locked
from cardpose.params import Params, load_params

WORKSPACE = Path(".dvc/tmp/folds")
_CODE = ("cardpose", "stages")
_FILES = (
    *("dvc.yaml", "dvc.lock", "params.yaml", ".dvcignore", ".dvc/config", ".dvc/config.local"),
    "models/pretrained.safetensors",
)
_BASELINES = ("start", "constant_guess")
_AGAIN = "the same command goes on with it"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("-S", metavar="NAME=VALUE", action="append", default=[], dest="settings")
    settings = parser.parse_args().settings
    WORKSPACE.parent.mkdir(parents=True, exist_ok=True)
    with locked(WORKSPACE):
        params = make_workspace(settings)
        with chdir(WORKSPACE):
            reports = [run_fold(fold) for fold in range(params.split.folds)]
        remove(WORKSPACE)
    table = summarize(reports)
    columns = json.loads(table[["mean", "spread"]].round(4).to_json())  # NaN becomes null
    with atomic_output(f"metrics/folds/{params.dataset}.json") as path:
        report = {"settings": settings, **columns, "folds": reports}
        path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\n{params.dataset}, {len(reports)} folds, with the means of the baselines\n")
    print(table.to_string(float_format="{:.3f}".format, na_rep=""))


def make_workspace(settings: Sequence[str]) -> Params:
    """Copy code, parameters and lock files to WORKSPACE, and link the recordings.

    Files in models/ stay, because they include the checkpoints of an interrupted training.

    Args:
        settings: parameters to set, NAME=VALUE.

    Returns:
        the parameters of the copy.

    Raises:
        InputError: a parameter is wrong, or recordings to hold out are named.
    """
    WORKSPACE.mkdir(exist_ok=True)
    for path in WORKSPACE.iterdir():
        if path.name != "models":
            remove(path)
    for folder in _CODE:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(folder, WORKSPACE / folder, ignore=ignored)
    for file in filter(os.path.exists, _FILES):
        (WORKSPACE / file).parent.mkdir(exist_ok=True)
        shutil.copy(file, WORKSPACE / file)
    with Repo() as repo, Config(str(WORKSPACE / ".dvc")).edit("local") as local:
        local.setdefault("core", {})["no_scm"] = True
        local.setdefault("cache", {})["dir"] = repo.cache.local_cache_dir
    with chdir(WORKSPACE):
        for setting in settings:
            set_parameter(setting)
        params = load_params()
    if params.split.test_videos:
        raise InputError("params.yaml: split.test_videos: should be [] to hold out folds")
    link_recordings(Path("data") / params.dataset)
    return params


def set_parameter(setting: str) -> None:
    """Set a parameter, NAME=VALUE, in params.yaml of the current folder."""
    try:
        apply_overrides("params.yaml", [setting])
    except InvalidArgumentError:
        raise InputError(
            f"-S {setting}: should be NAME=VALUE, with a parameter of params.yaml"
        ) from None


def link_recordings(folder: Path) -> None:
    """Link the files of a data set in WORKSPACE, except those that DVC makes there itself."""
    outs: set[str] = set()
    if (folder / "dvc.yaml").exists():
        stages = load_yaml(folder / "dvc.yaml")["stages"].values()
        outs = {Path(out).name for stage in stages for out in stage["outs"]}
    (WORKSPACE / folder).mkdir(parents=True)
    for path in folder.glob("*"):
        if path.name in ("dvc.yaml", "dvc.lock"):
            shutil.copy(path, WORKSPACE / path)
        elif path.name not in outs and path.suffix != ".dvc":
            (WORKSPACE / path).symlink_to(path.resolve())


def run_fold(fold: int) -> dict[str, Any]:
    """Run the pipeline of the current folder for a fold. Return its metrics/evaluate.json."""
    set_parameter(f"split.fold={fold}")
    # In a process group of its own, so that an interruption stops DVC and its stage in order.
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", "evaluate"], start_new_session=True
    )
    try:
        status = process.wait()
    except KeyboardInterrupt as interrupt:
        os.killpg(process.pid, signal.SIGINT)
        process.wait()
        raise type(interrupt)(f"fold {fold} is not done; {_AGAIN}") from None
    if status:
        raise InputError(f"fold {fold} failed, for the reason given above; {_AGAIN}")
    report = read_json("metrics/evaluate.json")
    print(f"fold {fold}: mean absolute error of {report['cards']['mae']:.2f} cards per frame")
    return report


def summarize(reports: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return the mean and the spread of each metric over the folds, and means of the baselines.

    Args:
        reports: report of each fold. A metric that is None in a fold is left out there.

    Returns:
        one row per metric, with its name in dvc's notation, such as "cards.mae". The columns are
        "mean", "spread" (standard deviation), "start" and "constant_guess"; NaN for metrics that
        were measured in no fold and for metrics without a baseline.
    """
    values = pd.json_normalize(list(reports)).astype(float)
    table = pd.DataFrame({"mean": values.mean(), "spread": values.std(ddof=0)})
    for baseline in _BASELINES:
        prefix = f"baselines.{baseline}."
        means = table["mean"].filter(like=prefix)
        table[baseline] = means.rename(lambda name, prefix=prefix: name.replace(prefix, "cards."))
    return table[~table.index.str.startswith("baselines.")]


if __name__ == "__main__":
    run_stage(main)
