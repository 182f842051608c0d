"""Train the network on the training recordings; keep the best epoch's weights."""

from cardpose.checkpoints import fingerprint, resumable
from cardpose.errors import run
from cardpose.files import replacing
from cardpose.params import load_params
from cardpose.prediction import check_network, load_network, save_network
from cardpose.splits import split_frames
from cardpose.tensors import read_tensors
from cardpose.training import computing, train

TENSORS, START = "data/tensors", "models/pretrained.safetensors"
PARAMS = ("seed", "split", "geometry", "model", "loss", "train")


def main():
    params = load_params()
    tensors = read_tensors(TENSORS)
    frames = tensors.frames
    role = split_frames(frames["recording"], frames["cards_counted"], params.split, params.seed)
    network, about = load_network(START)
    check_network(START, about, tensors, params.model)
    same = fingerprint(params, PARAMS, [TENSORS, START], role, computing(params))
    with (
        resumable("models/.train.checkpoints", same) as checkpoints,
        replacing("models/cardpose.safetensors") as path,
        replacing("metrics/train") as log,
    ):
        save_network(path, *train(tensors, role, network, about, params, log, checkpoints))


if __name__ == "__main__":
    run(main)
