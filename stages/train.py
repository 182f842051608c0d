"""Train the network on the training recordings; keep the best epoch's weights."""

from cardpose.errors import run
from cardpose.files import replacing
from cardpose.params import load_params
from cardpose.prediction import check_network, load_network, save_network
from cardpose.splits import split_frames
from cardpose.tensors import read_tensors
from cardpose.training import train


def main():
    params = load_params()
    tensors = read_tensors("data/tensors")
    frames = tensors.frames
    role = split_frames(frames["recording"], frames["cards_counted"], params.split, params.seed)
    with replacing("models/cardpose.safetensors") as path, replacing("metrics/train") as log:
        network, about = load_network("models/pretrained.safetensors")
        check_network("models/pretrained.safetensors", about, tensors, params.model)
        save_network(path, *train(tensors, role, network, about, params, log))


if __name__ == "__main__":
    run(main)
