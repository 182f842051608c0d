"""What the network sees in the frames of a recording."""

import numpy as np
import torch
from support import ABOUT

from cardpose.labelling.views import view_recording
from cardpose.network.model import CardPose, network_shape


def test_batches_give_the_same_as_single_pictures():
    torch.manual_seed(0)
    network = CardPose(**network_shape(ABOUT)).eval()
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (48 + k, 64, 3), np.uint8) for k in range(11)]
    done = []
    together = view_recording(network, pictures, 3.0, done.append)
    assert sum(done) == 11
    assert len(done) > 1  # some at a time
    alone = view_recording(network, pictures[9:10], 3.0)
    for whole, one in zip(together, alone, strict=True):
        assert len(whole) == 11
        assert np.allclose(whole[9], one[0], atol=1e-2)
    channels = network(torch.from_numpy(pictures[0][None, ..., ::-1].copy()).permute(0, 3, 1, 2))
    assert np.allclose(together.logits[0], channels[2].detach().numpy()[0], atol=1e-4)
