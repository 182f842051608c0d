"""How time and memory grow with the data: 1, 4 and 16 times the recordings, stage by stage.

    python -m benchmarks.scale

Extracts the frames of rendered recordings, makes their tensors, trains the first look for one epoch
and measures the network as `evaluate` does, all frames held out. 4 and 16 times the data are the
same recordings under more names. The stages' functions run as the pipeline runs them, each in a
process of its own, on one core; the time that Python takes to start and import is left out. Each
is the median of three rounds: how the C library's heap splinters differs by up to 15 %.

Memory is the highest sum of RssAnon over the process and its children, read 20 times a second: what
they hold and nobody else can have. Pages of memory-mapped tensors are left out: they are the
kernel's to drop, fill what is free, and grow with the data without being needed. The usual figure,
resident memory with those pages, stands beside it. It needs Linux.

It holds when a recording takes at most 1.15 times the processor time at 4 or 16 times the data, and
all of them at most 1.1 times the memory; the exit status says so. The clock's time stands beside
the processor's, which shows less of what else the machine does.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil

_TIMES = (1, 4, 16)
_WRITES = {"extract": ["frames"], "heatmaps": ["tensors"], "train": [], "evaluate": []}  # folders
_SOURCE = Path("data/synthetic")
_MOST_TIME, _MOST_MEMORY = 1.15, 1.10


def main():
    parser = argparse.ArgumentParser(description="time and memory at 1, 4 and 16 times the data")
    parser.add_argument("--recordings", type=int, default=8, help="how many once is")
    parser.add_argument("--rounds", type=int, default=3, help="how often each step is run")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        print(json.dumps(measured(given.step[0], Path(given.step[1]))))
        return
    print(f"{'':10}{'data':>6}{'clock s':>9}{'processor s':>13}{'memory MB':>11}{'resident':>10}")
    rows = {}
    Path("models").mkdir(exist_ok=True)  # git looks away; /tmp may be in memory
    with tempfile.TemporaryDirectory(dir="models") as scratch:
        for times in _TIMES:
            folder = Path(scratch) / str(times)
            copy_recordings(folder / "dataset", given.recordings, times)
            for step in _WRITES:
                command = [sys.executable, "-m", "benchmarks.scale", "--step", step, str(folder)]
                rounds = []
                for _ in range(given.rounds):
                    for name in _WRITES[step]:
                        shutil.rmtree(folder / name, ignore_errors=True)
                    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
                    rounds.append(json.loads(done.stdout.splitlines()[-1]))
                row = {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}
                rows[step, times] = row
                print(
                    f"{step:10}{times:5}x{row['clock']:9.1f}{row['processor']:13.1f}"
                    f"{row['memory'] / 1e6:11.0f}{row['resident'] / 1e6:10.0f}",
                    flush=True,
                )
            shutil.rmtree(folder)
    good = True
    for step in _WRITES:
        for once, times in ((1, 4), (4, 16), (1, 16)):
            few, many = rows[step, once], rows[step, times]
            slower = many["processor"] / few["processor"] / (times / once)
            larger = many["memory"] / few["memory"]
            holds = slower <= _MOST_TIME and larger <= _MOST_MEMORY
            good &= holds
            print(
                f"{step}, {once}x to {times}x: {slower:.2f} of the time a recording,"
                f" {larger:.2f} of the memory: {'holds' if holds else 'DOES NOT HOLD'}"
            )
    sys.exit(0 if good else 1)


def copy_recordings(folder, recordings, times):
    """A data set of so many rendered recordings, each under `times` names, with their labels."""
    (folder / "videos").mkdir(parents=True)
    header, *labels = (_SOURCE / "annotations.csv").read_text().splitlines()
    table, annotations = ["video,cards_counted,total_cards"], [header]
    rows = (_SOURCE / "videos.csv").read_text().splitlines()[1:]
    chosen = np.linspace(0, len(rows) - 1, recordings).astype(int)
    for row in [rows[i] for i in chosen]:
        video, counts = row.split(",", 1)
        stem = Path(video).stem
        for number in range(times):
            name = f"{stem}_{number}"
            shutil.copy(_SOURCE / "videos" / video, folder / "videos" / f"{name}.mp4")
            table.append(f"{name}.mp4,{counts}")
            annotations += [
                line.replace(stem, name, 1) for line in labels if line.startswith(f"{stem}_frame_")
            ]
    (folder / "videos.csv").write_text("\n".join(table) + "\n")
    (folder / "annotations.csv").write_text("\n".join(annotations) + "\n")


def measured(step, folder):
    """One step's seconds and bytes, imports left out."""
    work = {"extract": extract, "heatmaps": heatmaps, "train": train, "evaluate": evaluate}[step]
    work = work(folder)  # imports
    peak = Peak()
    start, used = time.perf_counter(), cpu_seconds()
    with peak:
        work()
    return {
        "clock": time.perf_counter() - start,
        "processor": cpu_seconds() - used,
        "memory": peak.memory,
        "resident": peak.resident,
    }


class Peak:
    """Samples the memory of this process and its children while a block runs."""

    def __init__(self):
        self.memory = self.resident = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _watch(self):
        me = psutil.Process()
        while not self._over.wait(0.05):
            anonymous = resident = 0
            for process in [me, *me.children(recursive=True)]:
                status = read_status(process.pid)
                anonymous += status.get("RssAnon", 0)
                resident += status.get("VmRSS", 0)
            self.memory = max(self.memory, anonymous)
            self.resident = max(self.resident, resident)


def read_status(pid):
    """{name: bytes} of the memory that Linux says a process has."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it is gone
        return {}
    pairs = [line.split(":") for line in lines if line.endswith(" kB")]
    return {name: 1024 * int(value.split()[0]) for name, value in pairs}


def cpu_seconds():
    usage = psutil.Process().cpu_times()
    return usage.user + usage.system + usage.children_user + usage.children_system


def settings():
    from cardpose.params import load_params

    return load_params()


def extract(folder):
    from cardpose.dataset.extraction import extract_frames
    from cardpose.dataset.recordings import read_recordings

    params = settings()

    def work():
        recordings = read_recordings(folder / "dataset")
        extract_frames(recordings, params.frame_step, folder / "frames", jobs=1)

    return work


def heatmaps(folder):
    from cardpose.dataset.labelled_frames import write_labelled

    params = settings()

    def work():
        size = params.image_size, params.heatmap_stride, params.sigma
        path = folder / "dataset/annotations.csv"
        write_labelled(folder / "tensors", folder / "frames", path, *size)

    return work


def train(folder):
    import torch

    from cardpose.dataset.tensors import read_tensors
    from cardpose.network.weights import save_network
    from cardpose.training import recipes

    params = settings()
    plan = {"half_size_epochs": 0, "epochs": 1, "closeup_epochs": 0, "edge_epochs": 0}
    params = params.model_copy(
        update={
            "pretrain": params.pretrain.model_copy(update=plan),
            "geometry": params.geometry.model_copy(update={"steps": 10}),
        }
    )
    torch.set_num_threads(1)

    def work():
        tensors = read_tensors(folder / "tensors")
        trained = recipes.pretrain(tensors, np.arange(len(tensors)), params)
        save_network(folder / "network.safetensors", *trained)

    return work


def evaluate(folder):
    import torch

    from cardpose.dataset.tensors import read_tensors
    from cardpose.evaluation import evaluate
    from cardpose.network.weights import load_network

    torch.set_num_threads(1)

    def work():
        tensors = read_tensors(folder / "tensors")
        role = np.array(["test"] * len(tensors), object)
        role[0] = "train"
        network, about = load_network(folder / "network.safetensors")
        evaluate.evaluate(network, about, tensors, role, "both")

    return work


if __name__ == "__main__":
    main()
