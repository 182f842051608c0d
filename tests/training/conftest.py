"""Parameters of tiny networks and made-up frames, for tests of the training."""

import numpy as np
import pytest
import torch
from made_up import simulated_tensors

from cardpose.params import Params


@pytest.fixture
def small(params):
    """Parameters of a tiny network, and tensors of twelve made-up frames of six recordings.

    In one thread: two threads wait for each other longer than they work on something so small.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    values = params.model_dump(by_alias=True)
    values["image_size"] = [64, 48]
    values["geometry"]["steps"] = 30
    values["model"].update(widths=[8, 8, 8, 8], hidden=8)
    once = {"epochs": 1, "closeup_epochs": 1, "edge_epochs": 1}
    values["pretrain"].update(**once, half_size_epochs=1, batch_size=4)
    values["train"].update(**once, batch_size=4)
    yield Params(**values), simulated_tensors()
    torch.set_num_threads(threads)


@pytest.fixture
def partly(small):
    """As `small`, with labels in every third frame only, and in the first frame only half."""
    params, tensors = small
    tensors.mask[np.arange(12) % 3 > 0] = False
    tensors.mask[0, 4:] = False
    tensors.visible[:] &= tensors.mask
    tensors.points[~tensors.visible] = 0
    return params, tensors
