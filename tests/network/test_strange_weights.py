"""Files of weights whose metadata does not fit them."""

import json
import struct

import pytest
from support import ABOUT

from cardpose.network.model import CardPose, network_shape
from cardpose.network.weights import load_network, save_network


@pytest.fixture
def changed(tmp_path):
    """changed(**metadata): path of a network whose file claims other metadata."""

    def write(body=slice(None), **metadata):
        path = tmp_path / "network.safetensors"
        save_network(path, CardPose(**network_shape(ABOUT)).state_dict(), ABOUT)
        content = path.read_bytes()
        (size,) = struct.unpack_from("<Q", content)
        header = json.loads(content[8 : 8 + size])
        header["__metadata__"]["cardpose"] = json.dumps({**ABOUT, **metadata})
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :][body])
        return path

    return write


@pytest.mark.parametrize("margins", [{}, {"picture": 1.0}, [1.0], {"picture": 1, "both": "1"}])
def test_incomplete_margins_are_refused(complains, changed, margins):
    path = changed(margins=margins)
    with complains(f"{path}: should be a network that cardpose trained"):
        load_network(path)


def test_a_file_that_ends_before_its_weights_is_refused(complains, changed):
    path = changed(body=slice(100))
    with complains(f"{path}: should be a network that cardpose trained"):
        load_network(path)


def test_no_memory_is_taken_for_weights_that_a_file_does_not_hold(complains, changed):
    path = changed(widths=[4096] * 7, hidden=4096)  # 12 GB
    with complains(f"{path}: should be a network that cardpose trained"):
        load_network(path)
