"""Stages that are interrupted: what the user reads, and what is left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from clone import Clone

ROOT = Path(__file__).parents[2]


def stage(body):
    """Run a stage whose `main` is `body`: its status and its last line on stderr."""
    imports = "import os, signal\nfrom cardpose.common.errors import *\n"
    code = f"{imports}def main():\n    {body}\nrun_stage(main)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip()


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("pass", 0, ""),
        ("raise InputError('sigma: too large')", 1, "error: sigma: too large"),
        ("signal.raise_signal(signal.SIGINT)", 130, "interrupted; run it again"),
        ("raise KeyboardInterrupt('3 of 4')", 130, "interrupted; 3 of 4"),
        ("signal.raise_signal(signal.SIGTERM)", 143, "interrupted; run it again"),
        (
            "raise OSError(28, 'No space left on device', 'a.csv')",
            1,
            "error: a.csv: No space left on device",
        ),
        ("raise RuntimeError('I/O: No space left on device')", 1, "error: No space left on device"),
    ],
)
def test_a_stage_ends_with_one_line_and_the_status_that_shells_expect(body, status, said):
    got, line = stage(body)
    assert got == status
    assert line.startswith(said)
    assert "\n" not in line


IMPORTING = """
import runpy, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[2]:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
runpy.run_module(sys.argv[1], run_name="__main__")
"""


@pytest.mark.parametrize(
    ("name", "module"), [("train", "numpy"), ("train", "torch"), ("extract_frames", "cv2")]
)
def test_ctrl_c_during_the_imports_of_a_stage_ends_it(name, module):
    arguments = [sys.executable, "-c", IMPORTING, f"stages.{name}", module]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_a_progress_bar_needs_no_thread():
    bar = "list(tqdm.tqdm([1], file=os.sys.stdout))"
    assert stage(f"import threading, tqdm; threading.Thread.start = None; {bar}") == (0, "")


SPLITS = ("train", "validation")
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]
EPOCHS = {"train": {"epochs": 3, "closeup_epochs": 3, "edge_epochs": 2}}
EPOCHS["pretrain"] = {**EPOCHS["train"], "half_size_epochs": 2}


class Stages:
    """A clone whose stages are done, to run those that train in."""

    def __init__(self, folder):
        self.clone = Clone(folder)
        self.folder = folder
        self.set(EPOCHS | {"split": {"validation": 0.34}, "pretrain": EPOCHS["pretrain"]})
        self.clone("dvc", "repro", "make_heatmaps")
        for name in ("pretrain", "train"):  # with as many threads as later
            self(name)

    def set(self, sections):
        params = self.clone.params()
        for section, values in sections.items():
            params[section].update(values)
        self.clone.write_params(params)

    def start(self, name, **environment):
        command = [sys.executable, "-m", f"stages.{name}"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
        # Not a pipe: idle workers of a killed stage would hold it open.
        with open(self.folder / "said", "w") as said:
            return subprocess.Popen(command, cwd=self.folder, env=environment, stderr=said)

    def __call__(self, name, status=0, **environment):
        """Run a stage to its end: what it wrote on stderr, less the bars."""
        return self.end(self.start(name, **environment), status)

    def end(self, process, status):
        returned = process.wait(timeout=900)
        said = (self.folder / "said").read_text()
        assert returned == status, said
        assert "Traceback" not in said
        lines = [line.rpartition("\r")[2].strip() for line in said.splitlines()]
        return [line for line in lines if line and "%|" not in line]

    def when(self, name, wait=600):
        """Wait until a file is there."""
        end = time.monotonic() + wait
        while not (self.folder / name).exists():
            assert time.monotonic() < end
            time.sleep(0.01)

    def outputs(self):
        files = [*(self.folder / "models").rglob("*"), *(self.folder / "metrics/train").rglob("*")]
        return {str(file): file.read_bytes() for file in files if file.is_file()}


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    return Stages(tmp_path_factory.mktemp("stages"))


@pytest.mark.soak
@pytest.mark.parametrize("ended_by", SIGNALS)
@pytest.mark.parametrize(
    ("name", "part"), [("pretrain", "whole"), ("train", "whole"), ("train", "closeups")]
)
def test_a_stage_ended_by_a_signal_goes_on_to_the_same_bytes(stages, name, part, ended_by):
    before = stages.outputs()
    running = stages.start(name)
    stages.when(f"models/.{name}.checkpoints/{part}")
    running.send_signal(ended_by)
    killed = ended_by == signal.SIGKILL
    said = stages.end(running, -9 if killed else 128 + ended_by)
    if not killed:
        assert said == ["interrupted; run it again to go on after the last whole epoch"]
    assert (stages.folder / f"models/.{name}.checkpoints").is_dir()
    stages(name)
    assert stages.outputs() == before


@pytest.mark.soak
def test_a_training_that_diverges_leaves_the_network_before_it(stages):
    before = stages.outputs()
    cards = stages.folder / "data/tensors/cards.npy"
    shares = np.load(cards)
    np.save(cards, shares + np.float32(1e30))  # the square of that is infinite
    (line,) = stages("train", status=1)
    assert line.startswith("error: training on whole pictures diverged: the loss is not finite")
    network = str(stages.folder / "models/cardpose.safetensors")
    assert stages.outputs()[network] == before[network]
    np.save(cards, shares)
    stages("train")
    assert stages.outputs() == before


@pytest.mark.soak
def test_two_processes_learn_as_one_and_end_together(stages):
    """In full precision: how bfloat16 rounds in a batch norm of two differs."""
    network = stages.folder / "models/cardpose.safetensors"
    stages.set({"train": {"precision": "32-true"}})
    stages("train")
    totals = stages.folder / "metrics/train/plots/metrics/whole"
    alone = {split: pd.read_csv(totals / split / "total.tsv", sep="\t") for split in SPLITS}
    stages.set({"train": {"devices": 2}})
    running = stages.start("train")
    stages.when("models/.train.checkpoints/whole")
    child = subprocess.run(
        ["pgrep", "-P", str(running.pid), "-f", "spawn_main"], capture_output=True, text=True
    )
    os.kill(int(child.stdout.split()[-1]), signal.SIGKILL)
    (line,) = stages.end(running, 1)
    assert "of 2 that train together was ended by SIGKILL" in line
    stages("train")
    names = {Path(name).name for name in stages.outputs()}
    assert not {name for name in names if name.startswith(".") or "part" in name}
    for split in SPLITS:
        both = pd.read_csv(totals / split / "total.tsv", sep="\t")
        assert both["step"].tolist() == alone[split]["step"].tolist()
        tolerance = 0.01 if split == "train" else 0.05
        assert both["total"].to_numpy() == pytest.approx(alone[split]["total"], rel=tolerance)
    resumed = network.read_bytes()
    network.unlink()
    stages("train")  # this time without an interruption
    assert network.read_bytes() == resumed
    stages.set({"train": {"devices": 1, "precision": "auto"}})
