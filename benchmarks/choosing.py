"""What frames that were chosen are worth, against frames drawn at random.

    cardpose label start cardcut
    python -m benchmarks.choosing [--arms chosen:100 random:100 random:200] [--folds 0 1 2 3 4]
        [--draws 3] [--epochs 12] [--closeup-epochs 40] [--edge-epochs 12]

Of a real data set with labels and proposals, each fold's recordings are held out. Of the others,
as if none had labels yet, so many frames are chosen as `cardpose label next` does; or spread, which
is the same without regard to doubt; or drawn at random. With the labels of these alone a network
goes on from models/pretrained.safetensors, as the stage train does, but without validation, which
would take more labels; the held-out recordings measure it. A row an arm, fold and draw; then each
arm's mean, and the spread of its runs. The chosen frames are the same in each draw, which then
only seeds the training.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from cardpose.dataset.labelled_frames import write_labelled
from cardpose.dataset.layout import labelling_folder
from cardpose.dataset.splits import split_frames
from cardpose.dataset.tensors import read_tensors
from cardpose.evaluation.evaluate import evaluate
from cardpose.labelling.rank import Candidates, choose, read_candidates
from cardpose.network.model import CardPose, network_shape
from cardpose.network.weights import load_network
from cardpose.params import load_params
from cardpose.training.recipes import train

START = "models/pretrained.safetensors"
METRICS = (
    ("cards", "mae", "cards a frame"),
    ("cards", "mae_per_video", "a recording"),
    ("keypoints", "median_px", "median px"),
    ("keypoints", "mean_px", "mean px"),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="cardcut")
    parser.add_argument("--arms", nargs="+", default=["chosen:100", "random:100", "random:200"])
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--draws", type=int, default=3)
    for name in ("epochs", "closeup-epochs", "edge-epochs"):
        parser.add_argument(f"--{name}", type=int)
    chosen = parser.parse_args()
    params = with_train(
        load_params(),
        epochs=chosen.epochs,
        closeup_epochs=chosen.closeup_epochs,
        edge_epochs=chosen.edge_epochs,
    )
    dataset = Path("data") / chosen.dataset
    candidates = read_candidates(dataset)
    found = {arm: [] for arm in chosen.arms}
    print(f"{'arm':12}{'fold':>5}{'draw':>5}{'frames':>8}" + head())
    with tempfile.TemporaryDirectory() as folder:
        tensors = labelled_tensors(dataset, params, Path(folder) / "tensors")
        for draw in range(chosen.draws):
            for fold in chosen.folds:
                for arm in chosen.arms:
                    role = roles(tensors.frames, candidates, params, arm, fold, draw)
                    log = Path(folder) / f"{arm}_{fold}_{draw}".replace(":", "_")
                    values = measured(tensors, role, params, log, draw)
                    found[arm].append(values)
                    n = (role == "train").sum()
                    print(f"{arm:12}{fold:5}{draw:5}{n:8}" + cells(values), flush=True)
    print()
    for arm, rows in found.items():
        print(f"{arm:12}{'mean':>10}{'':8}" + cells(np.mean(rows, axis=0)))
        if len(rows) > 1:
            print(f"{'':12}{'spread':>10}{'':8}" + cells(np.std(rows, axis=0, ddof=1)))


def with_train(params, **changes):
    """The parameters with some of `train` changed, and without validation."""
    changes = {name: value for name, value in changes.items() if value is not None}
    return params.model_copy(
        update={
            "train": params.train.model_copy(update=changes),
            "split": params.split.model_copy(update={"validation": 0.0}),
        }
    )


def labelled_tensors(dataset, params, folder):
    """The tensors of all labelled frames."""
    size = params.image_size, params.heatmap_stride, params.sigma
    write_labelled(folder, labelling_folder(dataset) / "frames", dataset / "annotations.csv", *size)
    return read_tensors(folder)


def roles(frames, candidates, params, arm, fold, draw):
    """(n,) "train", "test" or "unused", a frame."""
    kind, number = arm.split(":")
    split = params.split.model_copy(update={"fold": fold})
    role = split_frames(frames["recording"], frames["cards_counted"], split, params.seed)
    free = frames["frame"][role == "train"].tolist()
    if kind in ("chosen", "spread"):
        row = {frame: k for k, frame in enumerate(candidates.frames)}
        fresh = taken(candidates, [row[frame] for frame in free])
        if kind == "spread":
            even = np.full_like(fresh.confidence, 0.5)
            fresh = replace(fresh, confidence=even, cards=fresh.known)
        picked = {fresh.frames[k] for k in choose(fresh, int(number))}
    else:
        rng = np.random.default_rng([draw, fold, int(number)])
        picked = set(rng.choice(free, min(int(number), len(free)), replace=False))
    used = frames["frame"].isin(picked).to_numpy()
    return np.where((role == "train") & ~used, "unused", role).astype(object)


def taken(candidates, rows):
    """Some rows of the candidates, as if none had a label."""
    arrays = {
        name: getattr(candidates, name)[rows]
        for name in Candidates.__dataclass_fields__
        if name not in ("frames", "labelled")
    }
    frames = [candidates.frames[row] for row in rows]
    return Candidates(frames=frames, labelled=np.zeros(len(rows), bool), **arrays)


def measured(tensors, role, params, log, draw):
    """Train and evaluate: the values of METRICS."""
    network, about = load_network(START)
    params = params.model_copy(update={"seed": params.seed + draw})
    weights, about = train(tensors, role, network, about, params, log)
    trained = CardPose(**network_shape(about))
    trained.load_state_dict(weights)
    report, _ = evaluate(trained.eval(), about, tensors, role, params.count.source)
    return [report[section][name] for section, name, _ in METRICS]


def head():
    return "".join(f"{unit:>15}" for *_, unit in METRICS)


def cells(values):
    return "".join(f"{value:15.2f}" for value in values)


if __name__ == "__main__":
    main()
