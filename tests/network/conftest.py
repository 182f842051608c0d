"""What the tests of the network share."""

import pytest
import torch
from support import ABOUT

from cardpose.network.model import CardPose, network_shape


@pytest.fixture
def network():
    """A small untrained network."""
    torch.manual_seed(0)
    return CardPose(**network_shape(ABOUT))
