"""Files of networks: what is saved is loaded, and other files are named."""

import numpy as np
import pytest
import torch
from networks import pictures
from support import ABOUT

from cardpose.common.errors import InputError
from cardpose.network.weights import load_network, save_network


def test_a_saved_network_predicts_the_same(tmp_path, network):
    network.eval()
    save_network(tmp_path / "n.safetensors", network.state_dict(), ABOUT)
    loaded, metadata = load_network(tmp_path / "n.safetensors")
    assert metadata == ABOUT
    batch = pictures()
    for mine, its in zip(network(batch), loaded(batch), strict=True):
        assert torch.allclose(mine, its, atol=1e-6)


def spoil(path, how):
    if how == "no network":
        path.write_text("hello")
    elif how == "cut off":
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "another architecture":
        save_network(path, {"weight": torch.zeros(3)}, ABOUT)
    elif how == "a pickle":
        torch.save({"weight": np.zeros(3)}, path)
    elif how == "missing":
        path.unlink()


@pytest.mark.parametrize(
    "how", ["no network", "cut off", "another architecture", "a pickle", "missing"]
)
def test_a_file_that_holds_no_network_is_named(tmp_path, network, how):
    path = tmp_path / "n.safetensors"
    save_network(path, network.state_dict(), ABOUT)
    spoil(path, how)
    with pytest.raises(InputError, match=r"n\.safetensors"):
        load_network(path)
