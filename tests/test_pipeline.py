"""The real pipeline, run by the real DVC, on a setting small enough for a minute."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[1]
SMALL = {
    "image_size": [96, 72],
    "split": {"by": "video", "folds": 3, "fold": 0, "test_videos": [], "validation": 0.2},
    "model": {"encoder": "plain", "widths": [8, 8, 8, 8], "hidden": 8},
    "synthetic": {"videos": 9, "frames": 41},
}
STAGES = ("extract_frames", "make_heatmaps", "hold_out", "pretrain", "train", "evaluate", "export")
OUTPUTS = [
    *("models/cardpose.safetensors", "models/cardpose.onnx"),
    *("metrics/evaluate.json", "metrics/predictions.csv"),
]


class Clone:
    """A copy of the repository as a stranger would clone it, in an empty folder."""

    def __init__(self, folder):
        self.folder = folder
        listed = self("git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", cwd=ROOT)
        for name in listed.stdout.splitlines():
            if (ROOT / name).is_file() and not name.startswith(("metrics/", "dvc.lock")):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        (folder / "data/synthetic/dvc.lock").unlink(missing_ok=True)
        params = self.params()
        params.update(SMALL)
        params["train"].update(epochs=2, closeup_epochs=1, edge_epochs=1, batch_size=4)
        params["pretrain"].update(half_size_epochs=1, epochs=1, closeup_epochs=1, edge_epochs=1)
        params["geometry"].update(steps=100)
        self.write_params(params)
        self("git", "init", "-q", "-b", "main")
        self.commit()

    def __call__(self, *command, ok=True, cwd=None):
        """Run a command in the clone; its status must be 0, or not 0 where `ok` is false."""
        environment = {
            **os.environ,
            "GIT_AUTHOR_NAME": "T",
            "GIT_AUTHOR_EMAIL": "t@example.org",
            "GIT_COMMITTER_NAME": "T",
            "GIT_COMMITTER_EMAIL": "t@example.org",
        }
        if command[0] == "dvc":
            command = (str(Path(sys.executable).parent / "dvc"), *command[1:])
        done = subprocess.run(
            command, cwd=cwd or self.folder, env=environment, capture_output=True, text=True
        )
        assert (done.returncode == 0) == ok, done.stdout + done.stderr
        return done

    def commit(self):
        self("git", "add", "-A")
        self("git", "commit", "-q", "-m", "state")

    def restore(self):
        """Put everything back as it was committed, what DVC keeps included."""
        self("git", "checkout", "-q", ".")
        # By name: the real set, which nobody downloaded, has nothing to check out.
        self("dvc", "checkout", "-q", "-f", *STAGES)

    def params(self):
        return yaml.safe_load((self.folder / "params.yaml").read_text())

    def write_params(self, params):
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def ran(output):
    """The names of the stages that DVC says it runs."""
    started = [line for line in output.splitlines() if line.startswith("Running stage")]
    return [line.split("'")[1].rpartition(":")[2] for line in started]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return Clone(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="module")
def done(clone):
    """What `dvc repro` printed in the fresh clone."""
    output = clone("dvc", "repro").stdout
    clone.commit()
    return output


def test_repro_runs_all_stages_in_sequence(clone, done):
    assert ran(done) == [
        "render",
        "extract_frames",
        "make_heatmaps",
        "hold_out",
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
    assert list(report) == ["cards", "ways", "interval", "keypoints", "visibility", "data"]
    assert list(report["ways"]) == ["picture", "keypoints", "both"]
    assert report["ways"]["both"]["mae"] == report["cards"]["mae"]
    assert set(report["cards"]) == {
        "mse",
        "mae",
        "mae_per_video",
        "within_1",
        "within_2",
        "mse_constant_guess",
        "mae_constant_guess",
    }
    assert set(report["keypoints"]) == {"median_px", "mean_px", "under_5px"}
    assert set(report["visibility"]) == {"accuracy", "f1"}
    # A third of nine recordings, three frames of each: 0, 20 and 40.
    assert report["data"] == {"recordings": 3, "frames": 9}
    frames = pd.read_csv(clone.folder / "metrics/predictions.csv")
    assert len(frames) == 9
    error = frames["cards_predicted"] - frames["cards_counted"]
    assert report["cards"]["mae"] == pytest.approx(error.abs().mean(), abs=1e-3)
    assert report["cards"]["mse"] == pytest.approx((error**2).mean(), abs=1e-2)


def test_the_exported_network_counts_a_frame_and_knows_how_well_it_does(clone, done):
    session = onnxruntime.InferenceSession(clone.folder / "models/cardpose.onnx")
    about = json.loads(session.get_modelmeta().custom_metadata_map["cardpose"])
    assert about["metrics"] == json.loads((clone.folder / "metrics/evaluate.json").read_text())
    frames = pd.read_csv(clone.folder / "metrics/predictions.csv")
    index = pd.read_csv(clone.folder / "data/frames/index.csv").set_index("frame")
    for frame in frames.head(3).itertuples():
        picture = cv2.imread(str(clone.folder / "data/frames" / index["file"][frame.frame]))
        pictures = np.ascontiguousarray(picture[None, ..., ::-1])
        cards, low, high = session.run(["cards", "low", "high"], {"pictures": pictures})
        assert cards[0] == pytest.approx(frame.cards_predicted, abs=0.02)
        assert (low[0], high[0]) == pytest.approx((frame.low, frame.high), abs=0.02)


def test_pretraining_sees_no_frame_that_is_held_out(clone, done):
    held_out = set(pd.read_csv(clone.folder / "data/held_out.csv")["frame"])
    tested = set(pd.read_csv(clone.folder / "metrics/predictions.csv")["frame"])
    assert tested < held_out
    # Those that validate, too: nine recordings less three, a fifth of which is one.
    assert len(held_out) == len(tested) + 3


def test_the_losses_of_both_splits_are_logged_each_epoch(clone, done):
    for split in ("train", "validation"):
        for loss in ("heatmaps", "cards", "visibility", "total"):
            file = clone.folder / f"metrics/train/plots/metrics/{split}/{loss}.tsv"
            table = pd.read_csv(file, sep="\t")
            assert table["step"].tolist() == [0, 1]
            assert table[loss].notna().all()


def test_a_second_repro_runs_nothing(clone, done):
    assert ran(clone("dvc", "repro").stdout) == []


def test_plots_show_and_diff_find_everything(clone, done):
    for command in ("show", "diff"):
        page = clone.folder / f"{command}.out"
        clone("dvc", "plots", command, "--out", str(page))
        html = (page / "index.html").read_text()
        for title in ("loss of the heatmaps", "predicted and true counts", "error by count"):
            assert title in html
        assert list((page / "static").glob("*examples.png"))
        shutil.rmtree(page)


def test_an_experiment_with_another_sigma_runs_what_depends_on_it_and_shows_the_difference(
    clone, done
):
    output = clone("dvc", "exp", "run", "-S", "sigma=3").stdout
    assert ran(output) == ["make_heatmaps", "hold_out", "pretrain", "train", "evaluate", "export"]
    assert clone.params()["sigma"] == 3
    difference = json.loads(clone("dvc", "metrics", "diff", "--json").stdout)
    changed = difference["metrics/evaluate.json"]
    assert "diff" in changed["cards.mse"]
    assert "diff" in changed["keypoints.median_px"]
    clone.restore()


def test_another_way_of_counting_only_evaluates_and_exports_again(clone, done):
    output = clone("dvc", "exp", "run", "-S", "count.from=keypoints").stdout
    assert ran(output) == ["evaluate", "export"]
    report = json.loads((clone.folder / "metrics/evaluate.json").read_text())
    assert report["cards"]["mae"] == report["ways"]["keypoints"]["mae"]
    clone.restore()


def test_queued_folds_run_on_the_code_and_parameters_of_the_clone(clone, done):
    clone("dvc", "exp", "run", "--queue", "-S", "split.fold=range(0,2)", "-S", "train.epochs=1")
    clone("dvc", "exp", "run", "--run-all", "--jobs", "1")
    shown = json.loads(clone("dvc", "exp", "show", "--json").stdout)
    folds = {}
    for experiment in (e for base in shown for e in base["experiments"] or []):
        data = experiment["revs"][0]["data"]
        params = data["params"]["params.yaml"]["data"]
        if params["train"]["epochs"] == 1:
            metrics = data["metrics"]["metrics/evaluate.json"]["data"]
            folds[params["split"]["fold"]] = metrics["data"]["recordings"]
    assert folds == {0: 3, 1: 3}


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
