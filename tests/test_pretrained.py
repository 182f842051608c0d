"""The network that comes with the repository is the one that its files speak of."""

import hashlib
from pathlib import Path

import torch
import yaml
from safetensors import safe_open

from cardpose.params import load_params
from cardpose.prediction import load_network

ROOT = Path(__file__).resolve().parents[1]
PATH = "models/pretrained.safetensors"


def md5(path):
    return hashlib.md5((ROOT / path).read_bytes(), usedforsecurity=False).hexdigest()


def test_it_is_what_dvc_lock_says_that_code_and_parameters_made():
    """So a fresh clone has nothing to pretrain. Where the code has changed, and it does not matter,
    `dvc commit -f pretrain` says so."""
    locked = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]["pretrain"]
    (out,) = locked["outs"]
    assert (out["path"], out["size"]) == (PATH, (ROOT / PATH).stat().st_size)
    assert out["md5"] == md5(PATH)
    assert {dep["path"]: dep["md5"] for dep in locked["deps"]} == {
        dep["path"]: md5(dep["path"]) for dep in locked["deps"]
    }
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert locked["params"]["params.yaml"] == {
        name: params[name]
        for name in ("geometry", "heatmap_stride", "image_size", "model", "pretrain")
    }


def test_it_fits_what_is_trained_from_it():
    params = load_params(ROOT / "params.yaml")
    network, about = load_network(ROOT / PATH)
    assert about["image_size"] == params.image_size
    assert about["stride"] == params.heatmap_stride
    assert {name: about[name] for name in ("encoder", "widths", "hidden")} == (
        params.model.model_dump()
    )
    assert (about["focal"], about["card"]) == (params.geometry.focal, params.geometry.card)
    assert about["margins"] is None  # no real recording has said how far off it is
    assert network.tracer.taught


def test_it_is_stored_in_half_precision_and_counts_in_full():
    with safe_open(ROOT / PATH, framework="pt") as file:
        stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert {w.dtype for w in stored.values() if w.is_floating_point()} == {torch.float16}
    network, _ = load_network(ROOT / PATH)
    assert {w.dtype for w in network.parameters()} == {torch.float32}
    for name, weights in network.state_dict().items():
        assert torch.equal(weights, stored[name].to(weights.dtype)), name
