"""All folds in one command: the real pipeline on a small setting, and the table by hand."""

import json
import sys

import numpy as np
import pytest
from clone import Clone, ran

from benchmarks.folds import WORKSPACE, summarize

SETTINGS = ["-S", "split.folds=2", "-S", "train.epochs=1"]
HEX = {f"{i:02x}" for i in range(256)}
# The clone's training of fold 1 fails while the file `broken` exists.
BROKEN = """
    if params.split.fold == 1 and Path({!r}).exists():
        from cardpose.common.errors import InputError
        raise InputError("broken on purpose")
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone in which only `pretrain` has run and one file is changed, but not committed."""
    clone = Clone(tmp_path_factory.mktemp("clone"))
    clone("dvc", "repro", "pretrain")
    clone.commit()
    script = clone.folder / "stages/train.py"
    text, call = script.read_text(), "    params = load_params()\n"
    assert text.count(call) == 1
    broken = BROKEN.format(str(clone.folder.parent / f"{clone.folder.name}.broken"))
    script.write_text(text.replace(call, call + broken.lstrip("\n")))
    return clone


@pytest.fixture(scope="module")
def broken(clone):
    file = clone.folder.parent / f"{clone.folder.name}.broken"
    file.touch()
    return file


def folds(clone, *settings, ok=True):
    return clone(sys.executable, "-m", "benchmarks.folds", *settings, ok=ok)


def state(clone):
    """What Git says has changed, and which ignored files there are, but DVC's own."""
    status = clone("git", "status", "--porcelain", "--ignored").stdout.splitlines()
    return [line for line in status if ".dvc/" not in line and "__pycache__" not in line]


@pytest.fixture(scope="module")
def failed(clone, broken):
    before = state(clone)
    done = folds(clone, *SETTINGS, ok=False)
    assert state(clone) == before
    # The cache is the workspace's own, where `dvc repro` and `dvc push` find it.
    assert {path.name for path in (clone.folder / ".dvc/cache/files/md5").iterdir()} <= HEX
    return done


@pytest.fixture(scope="module")
def resumed(clone, failed, broken):
    broken.unlink()
    return folds(clone, *SETTINGS)


def test_a_fold_that_fails_is_named_in_one_line(failed):
    assert ran(failed.stdout)[-3:] == ["train", "evaluate", "train"]
    assert "pretrain" not in ran(failed.stdout)
    assert failed.returncode == 1
    assert "Traceback" not in failed.stdout + failed.stderr
    assert failed.stderr.count("error: broken on purpose") == 1
    last = failed.stderr.rstrip().rpartition("\n")[2]
    assert last.startswith("error: fold 1 failed")


def test_the_folds_that_were_done_do_not_run_again(resumed):
    assert ran(resumed.stdout) == ["train", "evaluate"]  # of fold 1


def test_nothing_but_the_table_is_written_to_the_workspace(clone, resumed):
    changed = [line for line in state(clone) if "stages/train.py" not in line]
    assert changed == ["?? metrics/", "!! .venv/"]
    files = [file for file in (clone.folder / "metrics").rglob("*") if file.is_file()]
    assert files == [clone.folder / "metrics/folds/synthetic.json"]
    assert not (clone.folder / WORKSPACE).exists()


def test_the_report_holds_each_fold_and_the_table_their_means(clone, resumed):
    report = json.loads((clone.folder / "metrics/folds/synthetic.json").read_text())
    assert report["settings"] == SETTINGS[1::2]
    assert [fold["data"]["recordings"] for fold in report["folds"]] in ([4, 5], [5, 4])
    errors = [fold["cards"]["mae"] for fold in report["folds"]]
    assert errors[0] != errors[1]
    assert report["mean"]["cards.mae"] == pytest.approx(np.mean(errors), abs=1e-4)
    assert report["spread"]["cards.mae"] == pytest.approx(np.std(errors), abs=1e-4)
    lines = [line.split() for line in resumed.stdout.splitlines()]
    (shown,) = [line[1:] for line in lines if line[:1] == ["cards.mae"]]
    means = [
        np.mean([fold["baselines"][name]["mae"] for fold in report["folds"]])
        for name in ("start", "constant_guess")
    ]
    expected = [np.mean(errors), np.std(errors), *means]
    assert [float(cell) for cell in shown] == pytest.approx(expected, abs=1e-3)
    for name in ("cards.bias_thick", "ways.picture.mae", "ways.keypoints.mae", "ways.both.mae"):
        assert any(line[:1] == [name] for line in lines)


def test_other_parameters_train_again_and_keep_the_data(clone, resumed):
    again = folds(clone, *SETTINGS, "-S", "train.learning_rate=0.001")
    assert ran(again.stdout) == ["train", "evaluate"] * 2
    report = json.loads((clone.folder / "metrics/folds/synthetic.json").read_text())
    assert report["settings"][-1] == "train.learning_rate=0.001"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("sigmaa=3", "error: -S sigmaa=3: should be NAME=VALUE, with a parameter of params.yaml"),
        ("sigma=0", "error: params.yaml: sigma: should be greater than or equal to 0.5"),
        ("split.test_videos=[packet_03]", "error: params.yaml: split.test_videos: should be []"),
    ],
)
def test_a_wrong_setting_is_one_line(clone, setting, words):
    failed = folds(clone, "-S", setting, ok=False)
    lines = failed.stderr.splitlines()
    assert lines[-1].startswith(words)
    # A library may have its say while it is imported for the first time.
    assert [line for line in lines if line.startswith("error")] == lines[-1:]
    assert "Traceback" not in failed.stderr


def test_a_data_set_that_was_not_downloaded_is_named(clone):
    failed = folds(clone, "-S", "dataset=cardcut", ok=False)
    assert "data/cardcut/original" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_metrics_that_no_fold_has_are_left_empty():
    reports = [
        {"cards": {"mae": mae, "bias_thick": None}, "interval": {"coverage": coverage},
         "baselines": {"start": {"mae": 3.0}, "constant_guess": {"mae": guess}}}
        for mae, coverage, guess in ((1.0, None, 10.0), (2.0, 0.5, 12.0))
    ]  # fmt: skip
    table = summarize(reports)
    assert list(table.index) == ["cards.mae", "cards.bias_thick", "interval.coverage"]
    assert table.loc["cards.mae"].to_list() == [1.5, 0.5, 3.0, 11.0]
    assert table.loc["cards.bias_thick"].isna().all()
    assert table.loc["interval.coverage", ["mean", "spread"]].to_list() == [0.5, 0.0]
