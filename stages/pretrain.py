"""Train a network on rendered pictures; training on recordings starts from it."""

from cardpose.common.process import exit_on_interrupt

if __name__ == "__main__":
    exit_on_interrupt()  # during the imports below

from pathlib import Path

import numpy as np

from cardpose.common.errors import run_stage
from cardpose.common.files import atomic_output, scratch_folder
from cardpose.dataset.tensors import read_tensors, write_tensors
from cardpose.network.weights import save_network
from cardpose.params import Params, load_params
from cardpose.rendering.shots import render_shots
from cardpose.training.checkpoints import fingerprint, resumable
from cardpose.training.distributed import host_rank, rank, run_processes
from cardpose.training.fit import compute_settings
from cardpose.training.recipes import pretrain

CHECKPOINTS = Path("models/.pretrain.checkpoints")
PARAMS = ("image_size", "heatmap_stride", "geometry", "model", "pretrain")


def main() -> None:
    params = load_params()
    number = host_rank(params.train)
    # Not in /tmp, which may be in memory: the tensors take 1.2 MB per picture.
    with scratch_folder(f"models/.pretrain.scratch{number}") as folder:
        tensors = folder / "tensors"
        rows = write_rendered(params, folder / "pictures", tensors)
        if number > 0:  # only the first host writes
            pretrain_in_processes(params, tensors, rows)
            return
        computing = *compute_settings(params), params.train.devices, params.train.hosts
        mark = fingerprint(params, PARAMS, [tensors], rows, computing)
        with (
            resumable(CHECKPOINTS, mark),
            atomic_output("models/pretrained.safetensors") as path,
        ):
            pretrain_in_processes(params, tensors, rows, path)


def pretrain_in_processes(
    params: Params, tensors: Path, rows: np.ndarray, path: Path | None = None
) -> None:
    """Pretrain in one process or several; process 0 of host 0 writes `path`."""
    size = params.pretrain.batch_size
    run_processes(work, (params, tensors, rows, path), params.train, size, "pretrain.batch_size")


def work(params: Params, tensors: Path, rows: np.ndarray, path: Path | None) -> None:
    """Pretrain in this process; process 0 saves the network."""
    weights, metadata = pretrain(read_tensors(tensors), rows, params, CHECKPOINTS)
    if rank() == 0:
        # Half precision halves the file, which is part of every clone.
        halved = {k: w.half() if w.is_floating_point() else w for k, w in weights.items()}
        save_network(path, halved, metadata)


def write_rendered(params: Params, pictures: Path, tensors: Path) -> np.ndarray:
    """Render pictures and write their tensors. Return the rows of all frames."""
    options, geometry = params.pretrain, params.geometry
    frames, points, visible = render_shots(
        pictures, options.pictures, options.seed, geometry.card, geometry.focal
    )
    size, stride = params.image_size, params.heatmap_stride
    write_tensors(tensors, pictures, frames, points, visible, size, stride, options.sigma)
    return np.arange(len(frames))


if __name__ == "__main__":
    run_stage(main)
