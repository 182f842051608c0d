"""The command `cardpose export`."""

import os

import pytest
import torch
from support import ABOUT

from cardpose.inference import export
from cardpose.inference.predictor import load
from cardpose.network.model import CardPose, network_shape
from cardpose.network.weights import load_network, save_network


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


@pytest.mark.parametrize("option", ["--half", "--int8"])
def test_an_exported_network_becomes_smaller_and_keeps_its_metadata(cardpose, network, option):
    about = load_network(network)
    whole, small = network.with_name("whole.onnx"), network.with_name("small.onnx")
    export.export_onnx(whole, *about, "both", {"cards": {"mae": 1.5}})
    words = ["export", whole, "--output", small, option]
    assert cardpose(*words, model=None)[0] == 0
    assert small.stat().st_size < whole.stat().st_size
    assert load(small).metadata == load(whole).metadata
    again = ["export", small, "--output", "again.onnx", "--int8"]
    expected = f"error: {small}: its weights are in fewer bits already; name its original\n"
    assert cardpose(*again, model=None) == (1, "", expected)
    other = ["export", network, "--output", "other.onnx", option]
    assert cardpose(*other, model=None)[0] == 0
    assert os.path.getsize("other.onnx") < whole.stat().st_size
    whole.write_bytes(b"no network")
    status, _, err = cardpose(*words, model=None)
    assert status == 1
    assert err.startswith(f"error: {whole}: should be a network that cardpose exported")


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
