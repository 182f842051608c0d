"""Made-up frames and tiny networks to train on them."""

import numpy as np
import pandas as pd

from cardpose.dataset.tensors import Tensors
from cardpose.network.model import CardPose, network_shape
from cardpose.training.simulation import simulate


def made_up_tensors(n, points, visible, cards, sizes=None):
    """Tensors of `n` frames of noise, two per recording, with these labels.

    `sizes` are (width, height) of the original pictures; that of the network's by default.
    """
    rng = np.random.default_rng(0)
    sizes = np.array([(64, 48)] * n if sizes is None else sizes)
    recordings = [f"film{i // 2}" for i in range(n)]
    frames = {"recording": recordings, "width": sizes[:, 0], "height": sizes[:, 1]}
    return Tensors(
        pictures=rng.integers(0, 256, (n, 48, 64, 3), dtype=np.uint8),
        details=rng.integers(0, 256, (n, 96, 128, 3), dtype=np.uint8),
        heatmaps=rng.random((n, 8, 12, 16)).astype(np.float16),
        points=points,
        visible=visible,
        mask=np.ones((n, 8), bool),
        cards=cards,
        frames=pd.DataFrame(frames),
        image_size=(64, 48),
        stride=4,
        sigma=1.5,
        deck=52,
    )


def simulated_tensors(n=12):
    """Tensors of `n` frames of noise, with the labels of simulated packets."""
    card = (63.0, 88.0, 0.3)
    packets = simulate(np.random.default_rng(0), n, 52, (64, 48), 1.06, card)
    return made_up_tensors(n, *packets)


def network_of(weights, metadata):
    """A network with these weights."""
    network = CardPose(**network_shape(metadata))
    network.load_state_dict(weights)
    return network


def with_train(params, **values):
    """Parameters with other values of `train`."""
    return params.model_copy(update={"train": params.train.model_copy(update=values)})
