"""Which network is taken if the user names none."""

import pytest
from support import write_stand_in

import cardpose
from cardpose.inference import networks
from cardpose.inference.networks import default_network, network_name


@pytest.fixture
def packaged(monkeypatch, tmp_path):
    """The network of an installed package, with no other in the current folder."""
    path = tmp_path / "package/page/cardpose.onnx"
    path.parent.mkdir(parents=True)
    write_stand_in(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(networks, "PACKAGED_NETWORK", path)
    return path


def test_the_current_folder_comes_before_the_package(packaged, tmp_path):
    (tmp_path / "models").mkdir()
    for name in ("pretrained.safetensors", "cardpose.safetensors"):
        (tmp_path / "models" / name).touch()
        assert default_network() == packaged
        assert network_name(default_network()) == "the one that comes with cardpose"
    assert default_network([".safetensors"]).name == "cardpose.safetensors"
    (tmp_path / "models/cardpose.onnx").touch()
    assert network_name(default_network()) == "models/cardpose.onnx"


def test_the_package_loads_its_own_network(packaged):
    assert cardpose.load().metadata["count"] == "picture"


def test_a_missing_network_is_reported(packaged, complains):
    packaged.unlink()
    with complains("models/cardpose.onnx: there is no such file", "`make repro`"):
        cardpose.load()
