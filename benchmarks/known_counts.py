"""What frames are worth whose count is known and whose corners are not.

    python -m benchmarks.known_counts [--folds 0 1] [--shares 0.1 0.25 0.5] [--steps 200 400 100]

Takes the real set (data/cardcut, converted) and models/pretrained.safetensors, forgets the labels
of all but some shares of the frames that are not held out, by chance, and trains twice from there:
the other frames left out (`unlabelled: false`), and used (`unlabelled: true`). Measures both on the
held-out recordings, all of whose labels are kept. Both trainings have the same number of steps, on
whole pictures, close-ups and strips; `--steps` says how many, and the default is a fraction of
what `params.yaml` would take for as many frames, so figures compare with each other and with
nothing else. Whole pictures are those with labels in both; but another epoch of them may be the
best, as validation sees more frames.
"""

import argparse
import contextlib
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import torch

from cardpose.common.files import scratch_folder
from cardpose.dataset.extraction import extract_frames
from cardpose.dataset.labelled_frames import write_labelled
from cardpose.dataset.recordings import read_recordings
from cardpose.dataset.splits import split_frames
from cardpose.dataset.tensors import read_tensors
from cardpose.evaluation.evaluate import evaluate
from cardpose.network.model import CardPose, network_shape
from cardpose.network.weights import load_network
from cardpose.params import load_params
from cardpose.training.recipes import train

_SET, _START = Path("data/cardcut"), "models/pretrained.safetensors"
_METRICS = {
    "cards a frame": ("cards", "mae"),
    "M": ("cards", "mse"),
    "cards a recording": ("cards", "mae_per_video"),
    "median px": ("keypoints", "median_px"),
    "mean px": ("keypoints", "mean_px"),
    "visibility": ("visibility", "accuracy"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.1, 0.25, 0.5])
    parser.add_argument("--steps", type=int, nargs=3, default=[200, 400, 100])
    parser.add_argument("--jobs", type=int, default=2, help="trainings side by side, a core each")
    args = parser.parse_args()
    params = load_params()
    with scratch_folder("models/.known_counts") as folder:
        write_set(params, folder)
        plan = [
            (fold, share, used)
            for share in args.shares
            for fold in args.folds
            for used in (False, True)
        ]
        work = joblib.Parallel(n_jobs=args.jobs, return_as="generator_unordered")(
            joblib.delayed(measure)(params, folder, *each, args.steps) for each in plan
        )
        rows = []
        for row in work:
            rows.append(row)
            print(row, flush=True)
    table = pd.DataFrame(rows).groupby(["labels", "others"])
    names = list(_METRICS)
    print(f"\nmean over {len(args.folds)} folds; in brackets the spread (standard deviation)\n")
    means, spreads = table[names].mean(), table[names].std(ddof=0)
    for key in means.index:
        cells = (f"{means.loc[key, n]:.3f} ({spreads.loc[key, n]:.3f})" for n in names)
        print(f"{key[0]:5.0%} labelled, others {key[1]:9}", *cells, sep=" | ")
    print(" " * 33, *names, sep=" | ")


def write_set(params, folder):
    """Extract the real set's frames and write their tensors into a folder."""
    extract_frames(read_recordings(_SET), params.frame_step, folder / "frames")
    size = params.image_size, params.heatmap_stride, params.sigma
    write_labelled(folder / "tensors", folder / "frames", _SET / "annotations.csv", *size)


def measure(params, folder, fold, share, used, steps):
    """Train with some of the labels and measure on the held-out recordings: a row of the table."""
    torch.set_num_threads(1)
    split = params.split.model_copy(update={"by": "video", "fold": fold, "test_videos": []})
    tensors = read_tensors(folder / "tensors")
    frames = tensors.frames
    role = split_frames(frames["recording"], frames["cards_counted"], split, params.seed)
    rest = np.flatnonzero(role != "test")
    forgotten = np.random.default_rng(fold).permutation(rest)[round(share * len(rest)) :]
    mask = tensors.mask.copy()
    mask[forgotten] = False
    visible = tensors.visible & mask
    points = np.where(visible[..., None], tensors.points, np.float32(0))
    forgetful = replace(tensors, points=points, visible=visible, mask=mask)
    if not used:
        role[forgotten] = "left out"
    train_on = role == "train"
    labelled = train_on & mask.any(axis=1)  # all that the first look learns from
    names = ("epochs", "closeup_epochs", "edge_epochs")
    frames_each = (labelled.sum(), train_on.sum(), train_on.sum())
    batches = [max(1, n // params.train.batch_size) for n in frames_each]
    epochs = {
        name: max(1, round(n / each)) for name, n, each in zip(names, steps, batches, strict=True)
    }
    params = params.model_copy(
        update={"split": split, "train": params.train.model_copy(update=epochs)}
    )
    started, about = load_network(_START)
    with (folder / f"{fold}_{share}_{used}.log").open("w") as log, redirected(log):
        weights, about = train(
            forgetful, role, started, about, params, folder / f"{fold}_{share}_{used}"
        )
        network = CardPose(**network_shape(about))
        network.load_state_dict(weights)
        report, _ = evaluate(network.eval(), about, tensors, role, params.count.source)
    found = {name: report[part][key] for name, (part, key) in _METRICS.items()}
    return {"labels": share, "others": "used" if used else "left out", "fold": fold, **found}


@contextlib.contextmanager
def redirected(log):
    """Progress bars go to a file."""
    with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        yield


if __name__ == "__main__":
    main()
