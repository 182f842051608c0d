"""Time that training takes to count held-out recordings within 4, 3 and 2 cards.

    python -m benchmarks.time_to_quality [--dataset synthetic cardcut] [--fold 0]

Trains from models/pretrained.safetensors with growing shares of the epochs of `params.yaml`, each
time from the start, and measures each network on the held-out recordings. Prints one row per
training, then the seconds of the shortest one that reaches each error. Times include all parts of
the training, not reading the data set. Compare them within one run only: machines differ.
"""

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

from cardpose.common.errors import InputError, run_stage
from cardpose.dataset.extraction import extract_frames
from cardpose.dataset.labelled_frames import write_labelled
from cardpose.dataset.recordings import read_recordings
from cardpose.dataset.splits import split_frames
from cardpose.dataset.tensors import Tensors, read_tensors
from cardpose.evaluation.evaluate import evaluate
from cardpose.network.model import CardPose, network_shape
from cardpose.network.weights import load_network
from cardpose.params import Params, load_params
from cardpose.training.recipes import train

START = "models/pretrained.safetensors"
SHARES = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0)  # of the epochs in params.yaml
GOALS = (4, 3, 2)  # cards
_EPOCHS = ("epochs", "closeup_epochs", "edge_epochs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--dataset", nargs="+", default=["synthetic", "cardcut"])
    parser.add_argument("--fold", type=int, default=0)
    args = parser.parse_args()
    params = load_params()
    params = params.model_copy(
        update={"split": params.split.model_copy(update={"fold": args.fold})}
    )
    for dataset in args.dataset:
        folder = Path("data") / dataset
        if not (folder / "annotations.csv").exists():
            print(f"{dataset}: skipped, because {folder} has no annotations.csv")
            continue
        with tempfile.TemporaryDirectory() as scratch:
            measure(dataset, write_tensors(folder, Path(scratch), params), params)


def write_tensors(folder: Path, scratch: Path, params: Params) -> Tensors:
    """Write the tensors of a data set's labelled frames below `scratch`, and read them."""
    extract_frames(read_recordings(folder), params.frame_step, scratch / "frames")
    size = params.image_size, params.heatmap_stride, params.sigma
    write_labelled(scratch / "tensors", scratch / "frames", folder / "annotations.csv", *size)
    return read_tensors(scratch / "tensors")


def measure(dataset: str, tensors: Tensors, params: Params) -> None:
    """Train on a data set with each share of the epochs, and print errors and times."""
    frames = tensors.frames
    role = split_frames(frames["recording"], frames["cards_counted"], params.split, params.seed)
    print(f"\n{dataset}, fold {params.split.fold}: {(role == 'test').sum()} held-out frames")
    print(f"{'epochs':>12}{'seconds':>9}{'cards per frame':>17}{'cards per recording':>21}")
    reached: list[tuple[float, float]] = []
    for share in SHARES:
        epochs = [int(np.ceil(share * getattr(params.train, name))) for name in _EPOCHS]
        options = params.train.model_copy(update=dict(zip(_EPOCHS, epochs, strict=True)))
        seconds, report = train_once(tensors, role, params.model_copy(update={"train": options}))
        cards = report["cards"]
        reached.append((seconds, cards["mae"]))
        name = ", ".join(map(str, epochs))
        print(f"{name:>12}{seconds:9.1f}{cards['mae']:17.2f}{cards['mae_per_video']:21.2f}")
    for goal in GOALS:
        times = [seconds for seconds, error in reached if error <= goal]
        print(f"{goal} cards:", f"{min(times):.0f} s" if times else "not reached")


def train_once(tensors: Tensors, role: np.ndarray, params: Params) -> tuple[float, dict]:
    """Train from START and evaluate. Return the seconds of the training, and the report."""
    if not Path(START).exists():
        raise InputError(f"{START}: is missing; `git checkout {START}` brings it back")
    network, metadata = load_network(START)
    with tempfile.TemporaryDirectory() as log:
        begin = perf_counter()
        if any(getattr(params.train, name) for name in _EPOCHS):
            with contextlib.redirect_stdout(sys.stderr):  # Lightning's progress bars
                weights, metadata = train(
                    tensors, role, network, metadata, params, Path(log) / "log"
                )
            network = CardPose(**network_shape(metadata))
            network.load_state_dict(weights)
        seconds = perf_counter() - begin
    return seconds, evaluate(network.eval(), metadata, tensors, role, params.count.source)[0]


if __name__ == "__main__":
    run_stage(main)
