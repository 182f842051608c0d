"""Train the network on the training recordings; keep the best epoch's weights."""

from cardpose.common.process import exit_on_interrupt

if __name__ == "__main__":
    exit_on_interrupt()  # during the imports below

from pathlib import Path
from typing import Any

import numpy as np

from cardpose.common.errors import run_stage
from cardpose.common.files import atomic_output
from cardpose.dataset.splits import split_frames
from cardpose.dataset.tensors import Tensors, read_tensors
from cardpose.network.model import CardPose
from cardpose.network.weights import check_network, load_network, save_network
from cardpose.params import Params, load_params
from cardpose.training.checkpoints import fingerprint, resumable
from cardpose.training.distributed import host_rank, rank, run_processes
from cardpose.training.fit import compute_settings
from cardpose.training.recipes import train

TENSORS, START = "data/tensors", "models/pretrained.safetensors"
LOG = Path("metrics/train")
CHECKPOINTS = Path("models/.train.checkpoints")
PARAMS = ("seed", "split", "geometry", "model", "loss", "train")


def main() -> None:
    params = load_params()
    _, role, *_ = read(params)
    if host_rank(params.train) > 0:  # only the first host writes
        train_in_processes(params)
        return
    mark = fingerprint(params, PARAMS, [TENSORS, START], role, compute_settings(params))
    with resumable(CHECKPOINTS, mark), atomic_output("models/cardpose.safetensors") as path:
        train_in_processes(params, path)


def read(params: Params) -> tuple[Tensors, np.ndarray, CardPose, dict[str, Any]]:
    """Read the tensors, each frame's role, and the network to start from with its metadata."""
    tensors = read_tensors(TENSORS)
    frames = tensors.frames
    role = split_frames(frames["recording"], frames["cards_counted"], params.split, params.seed)
    network, metadata = load_network(START)
    check_network(START, metadata, tensors, params.model)
    return tensors, role, network, metadata


def train_in_processes(params: Params, path: Path | None = None) -> None:
    """Train in one process or several; process 0 of host 0 writes `path` and LOG."""
    options = params.train
    run_processes(work, (params, path), options, options.batch_size, "train.batch_size")


def work(params: Params, path: Path | None) -> None:
    """Train in this process; process 0 logs the losses and saves the network."""
    trained = train(*read(params), params, LOG, CHECKPOINTS)
    if rank() == 0:
        save_network(path, *trained)


if __name__ == "__main__":
    run_stage(main)
