"""Train a network on rendered pictures, for training on the chosen data set to start from."""

from pathlib import Path

import numpy as np

from cardpose.common.errors import run_stage
from cardpose.common.files import atomic_output, scratch_folder
from cardpose.dataset.tensors import read_tensors, write_tensors
from cardpose.network.weights import save_network
from cardpose.params import load_params
from cardpose.rendering.shots import render_shots
from cardpose.training.checkpoints import fingerprint, resumable
from cardpose.training.distributed import host_rank, rank, run_processes
from cardpose.training.fit import compute_settings
from cardpose.training.recipes import pretrain

CHECKPOINTS = Path("models/.pretrain.checkpoints")
PARAMS = ("image_size", "heatmap_stride", "geometry", "model", "pretrain")


def main():
    params = load_params()
    number = host_rank(params.train)
    # 1.2 MB a picture: more than a /tmp in memory holds.
    with scratch_folder(f"models/.pretrain.scratch{number}") as folder:
        tensors = folder / "tensors"
        rows = write_rendered(params, folder / "pictures", tensors)
        if number > 0:  # the first host writes
            run_processes(work, (params, tensors, rows, None), params, "pretrain")
            return
        how = *compute_settings(params), params.train.devices, params.train.hosts
        same = fingerprint(params, PARAMS, [tensors], rows, how)
        with (
            resumable(CHECKPOINTS, same),
            atomic_output("models/pretrained.safetensors") as path,
        ):
            run_processes(work, (params, tensors, rows, path), params, "pretrain")


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
    run_stage(main)
