"""Train the network on the training recordings; keep the best epoch's weights."""

from pathlib import Path

from cardpose.common.errors import run_stage
from cardpose.common.files import atomic_output
from cardpose.dataset.splits import split_frames
from cardpose.dataset.tensors import read_tensors
from cardpose.network.weights import check_network, load_network, save_network
from cardpose.params import load_params
from cardpose.training.checkpoints import fingerprint, resumable
from cardpose.training.distributed import host_rank, rank, run_processes
from cardpose.training.fit import compute_settings
from cardpose.training.recipes import train

TENSORS, START = "data/tensors", "models/pretrained.safetensors"
CHECKPOINTS = Path("models/.train.checkpoints")
PARAMS = ("seed", "split", "geometry", "model", "loss", "train")


def main():
    params = load_params()
    _, role, *_ = read(params)
    if host_rank(params.train) > 0:  # the first host writes
        run_processes(work, (params, None, None), params, "train")
        return
    same = fingerprint(params, PARAMS, [TENSORS, START], role, compute_settings(params))
    with (
        resumable(CHECKPOINTS, same),
        atomic_output("models/cardpose.safetensors") as path,
        atomic_output("metrics/train") as log,
    ):
        run_processes(work, (params, path, log), params, "train")


def read(params):
    """The tensors, what each frame is for, and what to start from."""
    tensors = read_tensors(TENSORS)
    frames = tensors.frames
    role = split_frames(frames["recording"], frames["cards_counted"], params.split, params.seed)
    network, about = load_network(START)
    check_network(START, about, tensors, params.model)
    return tensors, role, network, about


def work(params, path, log):
    """What each process does."""
    trained = train(*read(params), params, log, CHECKPOINTS)
    if rank() == 0:
        save_network(path, *trained)


if __name__ == "__main__":
    run_stage(main)
