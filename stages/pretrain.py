"""Train a network on rendered recordings, for training on the chosen data set to start from."""

from pathlib import Path

import numpy as np

from cardpose.annotations import read_annotations
from cardpose.checkpoints import fingerprint, resumable
from cardpose.errors import run
from cardpose.extraction import extract_frames
from cardpose.files import replacing, scratch
from cardpose.params import load_params
from cardpose.prediction import save_network
from cardpose.processes import host, rank, together
from cardpose.recordings import read_recordings, sampled_before
from cardpose.tables import read_own_table
from cardpose.tensors import match_labels, read_tensors, write_tensors
from cardpose.training import computing, pretrain

RENDERED = Path("data/synthetic")
CHECKPOINTS = Path("models/.pretrain.checkpoints")
PARAMS = (
    *("seed", "frame_step", "image_size", "heatmap_stride", "sigma"),
    *("geometry", "model", "loss", "pretrain"),
    *("train.batch_size", "train.closeup_learning_rate", "train.weight_decay", "train.augment"),
    *("train.precision", "train.devices", "train.hosts"),
)


def main():
    params = load_params()
    number = host(params.train)
    # Some GB: more than a /tmp in memory holds.
    with scratch(f"models/.pretrain.scratch{number}") as folder:
        tensors = folder / "tensors"
        rows = write_rendered(params, folder / "frames", tensors)
        if number > 0:  # the first host writes
            together(work, (params, tensors, rows, None), params.train)
            return
        same = fingerprint(params, PARAMS, [tensors], rows, computing(params))
        with (
            resumable(CHECKPOINTS, same),
            replacing("models/pretrained.safetensors") as path,
        ):
            together(work, (params, tensors, rows, path), params.train)


def work(params, tensors, rows, path):
    """What each process does."""
    trained = pretrain(read_tensors(tensors), rows, params, CHECKPOINTS)
    if rank() == 0:
        save_network(path, *trained)


def write_rendered(params, extracted, tensors):
    """Write the rendered recordings' frames and tensors into folders; returns which to train on."""
    extract_frames(read_recordings(RENDERED), params.pretrain.frame_step, extracted)
    labelled, points, visible, _ = read_annotations(RENDERED / "annotations.csv")
    frames, rows, _ = match_labels(extracted, labelled, RENDERED / "annotations.csv")
    size, stride = params.image_size, params.heatmap_stride
    write_tensors(
        tensors, extracted, frames, points[rows], visible[rows], size, stride, params.sigma
    )
    held_out = set(read_own_table("data/held_out.csv", ["frame"])["frame"])
    # Frames between two sampled ones look much like the first: they are held out with it.
    sampled = [sampled_before(frame, params.frame_step) for frame in frames["frame"]]
    return np.flatnonzero([frame not in held_out for frame in sampled])


if __name__ == "__main__":
    run(main)
