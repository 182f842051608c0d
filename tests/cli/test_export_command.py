"""The command `cardpose export`."""

import pytest
import torch
from support import ABOUT

from cardpose.inference import export
from cardpose.inference.predictor import load
from cardpose.network.model import CardPose, network_shape
from cardpose.network.weights import save_network


@pytest.fixture
def network(tmp_path):
    """A small untrained network that is sure of a packet, in models/ of the current folder."""
    path = tmp_path / "models/cardpose.safetensors"
    path.parent.mkdir()
    torch.manual_seed(0)
    made = CardPose(**network_shape(ABOUT))
    torch.nn.init.ones_(made.heatmaps.bias)
    save_network(path, made.state_dict(), ABOUT)
    return path


def test_a_network_is_written_beside_its_weights(cardpose, network):
    status, out, err = cardpose("export", model=None)
    assert (status, err) == (0, "network: models/cardpose.safetensors\n")
    assert out.startswith("models/cardpose.onnx: ")
    assert load(network.with_suffix(".onnx")).metadata["metrics"] == {}
    assert cardpose("export", model=None)[0] == 0  # over its own file


def test_other_files_are_not_overwritten(cardpose, network, tmp_path):
    (tmp_path / "mine.onnx").write_text("mine")
    words = ["export", network, "--half", "--output", "mine.onnx"]
    status, _, err = cardpose(*words, model=None)
    assert status == 1
    assert err.startswith("error: mine.onnx: is there already and not written by cardpose")
    assert (tmp_path / "mine.onnx").read_text() == "mine"
    assert cardpose(*words, "--force", model=None)[0] == 0


def test_a_file_that_is_no_onnx_or_no_network_is_refused(cardpose, network, tmp_path):
    status, _, err = cardpose("export", network, "--output", "a.safetensors", model=None)
    assert (status, err) == (1, "error: a.safetensors: should be a .onnx file\n")
    (tmp_path / "note.safetensors").write_text("no network")
    status, _, err = cardpose("export", "note.safetensors", model=None)
    assert status == 1
    assert err.startswith("error: note.safetensors: should be a network that cardpose trained")


def test_a_file_that_differs_from_its_network_is_not_written(
    cardpose, network, tmp_path, monkeypatch
):
    write = export.export_onnx

    def write_another(path, network, *rest):
        with torch.no_grad():
            network.heatmaps.bias.zero_()
        write(path, network, *rest)

    monkeypatch.setattr(export, "export_onnx", write_another)
    status, _, err = cardpose("export", network, "--output", "a.onnx", model=None)
    assert status == 1
    assert err.startswith("error: a.onnx: counts Result(")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "a.onnx").exists()
