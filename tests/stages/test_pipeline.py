"""The real pipeline, run by the real DVC, on a setting small enough for a minute."""

import itertools
import json
import shutil
import sys
from pathlib import Path
from time import sleep

import cv2
import numpy as np
import pandas as pd
import pytest
from clone import Clone, ran, repro_clone
from support import network_inputs

from cardpose.common.onnx_runtime import import_onnxruntime
from cardpose.evaluation.evaluate import headlines

OUTPUTS = [
    *("models/cardpose.safetensors", "models/cardpose.onnx"),
    *("metrics/headline.json", "metrics/evaluate.json", "metrics/predictions.csv"),
    *("metrics/report.html", "metrics/summary.txt"),
]
NO_DVC = shutil.ignore_patterns("dvc.*", "README.md")


@pytest.fixture(scope="module")
def repro(tmp_path_factory):
    return repro_clone(tmp_path_factory)


@pytest.fixture(scope="module")
def clone(repro):
    return repro[0]


@pytest.fixture(scope="module")
def done(repro):
    """What `make repro` printed in the fresh clone."""
    return repro[1]


def test_repro_runs_all_stages_in_sequence(clone, done):
    assert ran(done) == [
        "render",
        "extract_frames",
        "make_heatmaps",
        "pretrain",
        "train",
        "evaluate",
        "export",
    ]
    for name in OUTPUTS:
        assert (clone.folder / name).stat().st_size > 0
    for name in ("counts", "losses", "examples", "worst", "heatmaps"):
        assert (clone.folder / f"metrics/plots/{name}.png").read_bytes()[1:4] == b"PNG"


def test_the_report_has_every_metric_of_the_held_out_recordings(clone, done):
    report = json.loads((clone.folder / "metrics/evaluate.json").read_text())
    assert list(report) == [
        "cards",
        "ways",
        "baselines",
        "interval",
        "interval_per_video",
        "keypoints",
        "visibility",
        "data",
        "training",
    ]
    assert list(report["ways"]) == ["picture", "keypoints", "both"]
    assert report["ways"]["both"]["mae"] == report["cards"]["mae"]
    assert set(report["cards"]) == {
        "mse",
        "mae",
        "mae_per_video",
        "exact",
        "within_1",
        "within_2",
        "exact_per_video",
        "within_1_per_video",
        "bias",
        "bias_thick",
    }
    assert list(report["baselines"]) == ["constant_guess", "start"]
    assert set(report["keypoints"]) == {"median_px", "mean_px", "under_5px"}
    assert set(report["visibility"]) == {"accuracy", "f1"}
    # A third of nine recordings, three frames of each: 0, 20 and 40.
    assert (report["data"]["recordings"], report["data"]["frames"]) == (3, 9)
    assert report["data"]["warnings"] >= 1  # three are few
    trained = json.loads((clone.folder / "metrics/train/metrics.json").read_text())
    assert report["training"]["trained_share"] == trained["trained_share"]
    frames = pd.read_csv(clone.folder / "metrics/predictions.csv")
    assert len(frames) == 9
    shown = json.loads((clone.folder / "metrics/headline.json").read_text())
    assert shown == headlines(report)
    table = clone("dvc", "metrics", "show").stdout
    assert max(len(line) for line in table.splitlines()) <= 120  # columns of a terminal
    error = frames["cards_predicted"] - frames["cards_counted"]
    assert report["cards"]["mae"] == pytest.approx(error.abs().mean(), abs=1e-3)
    assert report["cards"]["mse"] == pytest.approx((error**2).mean(), abs=1e-2)


def test_the_exported_network_counts_a_frame_and_knows_how_well_it_does(clone, done):
    session = import_onnxruntime().InferenceSession(clone.folder / "models/cardpose.onnx")
    about = json.loads(session.get_modelmeta().custom_metadata_map["cardpose"])
    assert about["metrics"] == json.loads((clone.folder / "metrics/evaluate.json").read_text())
    frames = pd.read_csv(clone.folder / "metrics/predictions.csv")
    index = pd.read_csv(clone.folder / "data/frames/index.csv").set_index("frame")
    for frame in frames.head(3).itertuples():
        picture = cv2.imread(str(clone.folder / "data/frames" / index["file"][frame.frame]))
        pictures = np.ascontiguousarray(picture[None, ..., ::-1])
        cards, low, high = session.run(["cards", "low", "high"], network_inputs(pictures))
        assert cards[0] == pytest.approx(frame.cards_predicted, abs=0.02)
        assert (low[0], high[0]) == pytest.approx((frame.low, frame.high), abs=0.02)


def test_the_losses_of_both_splits_are_logged_each_epoch(clone, done):
    losses = {"whole": ["heatmaps", "cards", "visibility"], "closeups": ["mae_cards"], "edges": []}
    for part, names in losses.items():
        for split, loss in itertools.product(("train", "validation"), [*names, "total"]):
            file = clone.folder / f"metrics/train/plots/metrics/{part}/{split}/{loss}.tsv"
            table = pd.read_csv(file, sep="\t")
            assert table["step"].tolist() == ([0, 1] if part == "whole" else [0])
            assert table[loss].notna().all()


def test_a_second_repro_runs_nothing(clone, done):
    assert ran(clone("dvc", "repro").stdout) == []


def test_plots_show_all_pictures_and_need_no_network(clone, done):
    page = clone.folder / "page"
    clone("dvc", "plots", "show", "--out", str(page))
    assert "http" not in (page / "index.html").read_text()
    names = {file.name for file in (page / "static").iterdir()}
    shutil.rmtree(page)
    for name in ("counts", "losses", "examples", "worst", "heatmaps"):
        assert any(picture.endswith(f"{name}.png") for picture in names)


def test_another_way_of_counting_only_evaluates_and_exports_again(clone, done):
    output = clone("dvc", "exp", "run", "-S", "count.from=keypoints").stdout
    assert ran(output) == ["evaluate", "export"]
    report = json.loads((clone.folder / "metrics/evaluate.json").read_text())
    assert report["cards"]["mae"] == report["ways"]["keypoints"]["mae"]
    clone.restore()


def test_a_second_clone_with_other_loader_workers_makes_the_same_bytes(clone, done, tmp_path):
    other = Clone(tmp_path, {"machine": {"loader_workers": 2}})
    other("dvc", "repro")
    hashes = other.hashes()
    assert len(hashes) == 15
    assert hashes == clone.hashes()


def test_a_colleague_pulls_what_was_pushed_and_has_nothing_to_run(clone, done, tmp_path):
    clone("dvc", "remote", "add", "--default", "shared", str(tmp_path / "shared"))
    clone("dvc", "push")
    clone.commit()
    clone("git", "clone", "--quiet", str(clone.folder), str(tmp_path / "colleague"))
    # Nothing is missing but the real set, which nobody downloaded.
    clone("dvc", "pull", "--allow-missing", cwd=tmp_path / "colleague")
    assert ran(clone("dvc", "repro", cwd=tmp_path / "colleague").stdout) == []
    for name in OUTPUTS:
        assert (tmp_path / "colleague" / name).read_bytes() == (clone.folder / name).read_bytes()


def test_queued_folds_run_side_by_side_on_the_code_and_parameters_of_the_clone(clone, done):
    """The recordings are somebody's own: untracked, or ignored by Git."""
    mine = clone.folder / "data/mine"
    shutil.copytree(clone.folder / "data/synthetic", mine, ignore=NO_DVC)
    (clone.folder / ".git/info/exclude").write_text("data/mine/videos/\n")
    settings = ["dataset=mine", "split.fold=range(0,2)", "train.epochs=1"]
    options = [word for setting in settings for word in ("-S", setting)]
    clone("dvc", "exp", "run", "--queue", *options, "--copy-paths", "data/mine")
    assert "Started '2'" in clone("dvc", "queue", "start", "--jobs", "2").stdout
    for _ in range(300):
        status = clone("dvc", "queue", "status").stdout
        if "Running" not in status and "Queued" not in status:
            break
        sleep(1)
    assert status.count("Success") == 2, status
    shown = json.loads(clone("dvc", "exp", "show", "--json").stdout)
    folds = {}
    for experiment in (e for base in shown for e in base["experiments"] or []):
        data = experiment["revs"][0]["data"]
        params = data["params"]["params.yaml"]["data"]
        if params["train"]["epochs"] == 1:
            metrics = data["metrics"]["metrics/headline.json"]["data"]
            folds[params["split"]["fold"]] = metrics["cards"]["mae"]
    assert set(folds) == {0, 1}
    assert folds[0] != folds[1]


def test_held_out_recordings_can_be_named(clone, done):
    clone("dvc", "exp", "run", "-S", "split.test_videos=[packet_03,packet_08]")
    frames = pd.read_csv(clone.folder / "metrics/predictions.csv")
    assert set(frames["recording"]) == {"packet_03", "packet_08"}
    clone.restore()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("split.test_videos=[packet_77]", "split.test_videos: no labelled recording is named"),
        ("sigma=0", "sigma: should be greater than or equal to 0.5"),
        ("dataset=cardcut", "data/cardcut/original"),
    ],
)
def test_a_mistake_is_one_clear_line_and_loses_nothing(clone, done, setting, words):
    before = {name: (clone.folder / name).read_bytes() for name in OUTPUTS}
    failed = clone("dvc", "exp", "run", "-S", setting, ok=False)
    said = failed.stdout + failed.stderr
    assert words in said
    assert "Traceback" not in said
    clone.restore()
    assert before == {name: (clone.folder / name).read_bytes() for name in OUTPUTS}


def test_a_stage_runs_the_code_beside_it_not_the_installed_package(clone, done):
    """`dvc exp run --queue` works in a copy, which an editable install does not point at."""
    code = "import cardpose; print(cardpose.__file__)"
    (clone.folder / "stages/where.py").write_text(code)
    where = clone(sys.executable, "-m", "stages.where").stdout.strip()
    (clone.folder / "stages/where.py").unlink()
    assert Path(where).parent == clone.folder / "cardpose"


def test_a_stage_gets_the_python_of_dvc_without_activating(clone, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    probe = "import shutil; print(shutil.which('python'))"
    found = clone(sys.executable, "-c", probe).stdout.strip()
    assert Path(found).parent == Path(sys.executable).parent
