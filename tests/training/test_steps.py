"""Steps of a training, one by one."""

import numpy as np
import torch
from made_up import network_of

from cardpose.training.parts import train_parts
from cardpose.training.recipes import pretrain
from cardpose.training.steps import refine_corners


def test_the_closer_counts_from_corners_that_the_network_sees_where_there_are_no_labels(partly):
    params, tensors = partly
    weights, metadata = pretrain(tensors, np.arange(0, 12, 3), params)
    _, part, _ = train_parts(params.train)
    refined = []
    for logit in (100.0, -100.0):  # every corner is visible, or none
        network = network_of(weights, metadata)
        torch.nn.init.constant_(network.head.visible[2].bias, logit)
        refine_corners(network, tensors, np.arange(12), part, params, None)
        refined.append(network.closer.state_dict())
    assert not torch.equal(*(state["geometry.layers.0.weight"] for state in refined))
