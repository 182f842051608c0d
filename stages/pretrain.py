"""Train a network on rendered pictures, for training on the chosen data set to start from."""

from pathlib import Path

import numpy as np

from cardpose.checkpoints import fingerprint, resumable
from cardpose.errors import run
from cardpose.files import replacing, scratch
from cardpose.params import load_params
from cardpose.prediction import save_network
from cardpose.processes import host, rank, together
from cardpose.shots import render_shots
from cardpose.tensors import read_tensors, write_tensors
from cardpose.training import computing, pretrain

CHECKPOINTS = Path("models/.pretrain.checkpoints")
PARAMS = ("image_size", "heatmap_stride", "geometry", "model", "pretrain")


def main():
    params = load_params()
    number = host(params.train)
    # 1.2 MB a picture: more than a /tmp in memory holds.
    with scratch(f"models/.pretrain.scratch{number}") as folder:
        tensors = folder / "tensors"
        rows = write_rendered(params, folder / "pictures", tensors)
        if number > 0:  # the first host writes
            together(work, (params, tensors, rows, None), params, "pretrain")
            return
        how = *computing(params), params.train.devices, params.train.hosts
        same = fingerprint(params, PARAMS, [tensors], rows, how)
        with (
            resumable(CHECKPOINTS, same),
            replacing("models/pretrained.safetensors") as path,
        ):
            together(work, (params, tensors, rows, path), params, "pretrain")


def work(params, tensors, rows, path):
    """What each process does."""
    weights, about = pretrain(read_tensors(tensors), rows, params, CHECKPOINTS)
    if rank() == 0:
        # In half the bytes, since they come with every clone.
        halved = {k: w.half() if w.is_floating_point() else w for k, w in weights.items()}
        save_network(path, halved, about)


def write_rendered(params, pictures, tensors):
    """Render pictures and write their tensors into folders."""
    known, plan = params.geometry, params.pretrain
    n, seed = plan.pictures, plan.seed
    frames, points, visible = render_shots(pictures, n, seed, known.card, known.focal)
    size, stride = params.image_size, params.heatmap_stride
    write_tensors(tensors, pictures, frames, points, visible, size, stride, plan.sigma)
    return np.arange(len(frames))


if __name__ == "__main__":
    run(main)
