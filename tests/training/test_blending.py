"""Blends of the weights that a training started from and ended with."""

import json

import numpy as np
import pytest
import torch
from made_up import network_of

from cardpose.network.model import COUNTS
from cardpose.network.predict import pair_loader, predict_frames
from cardpose.training import recipes
from cardpose.training.blending import SHARES, best_share, blend
from cardpose.training.recipes import pretrain, train

ROLE = np.array(["train"] * 8 + ["validation"] * 4)


def test_a_blend_lies_between_start_and_end():
    start = {"a": torch.tensor([0.0, 4.0]), "steps": torch.tensor(3)}
    trained = {"a": torch.tensor([8.0, 0.0]), "steps": torch.tensor(9)}
    found = blend(start, trained, 0.25)
    assert found["a"].tolist() == [2, 3]
    assert found["steps"] == 9
    assert blend(start, trained, 0.0)["a"].tolist() == [0, 4]
    assert blend(start, trained, 1.0)["a"].tolist() == [8, 0]


def test_the_share_with_the_smallest_error_is_the_best():
    for share in SHARES:
        assert best_share(lambda tried, share=share: 1 + abs(tried - share)) == share


def test_the_largest_of_equally_good_shares_is_the_best():
    assert best_share(lambda tried: 2.0) == 1.0
    assert best_share(lambda tried: float(tried > 0.5)) == 0.5


def test_a_tenth_more_error_is_tolerated_for_a_larger_share():
    assert best_share({0.0: 1.2, 0.25: 1.0, 0.5: 1.05, 0.75: 1.09, 1.0: 1.11}.get) == 0.75
    assert best_share({0.0: 1.0, 0.25: 1.2, 0.5: 1.2, 0.75: 1.2, 1.0: 1.09}.get) == 1.0


@pytest.fixture
def trained(small, tmp_path):
    """Return a function that trains a tiny network and returns its weights and its log."""
    params, tensors = small
    weights, metadata = pretrain(tensors, np.arange(12), params)
    start = network_of(weights, metadata)

    def run(name, role=ROLE):
        log = tmp_path / name
        found, about = train(tensors, role, start, metadata, params, log)
        return start.state_dict(), found, about, json.loads((log / "metrics.json").read_text())

    return run


def test_training_blends_with_what_it_started_from(trained, monkeypatch):
    results = {}
    for share in (0.0, 0.5, 1.0):
        monkeypatch.setattr(recipes, "best_share", lambda measure, share=share: share)
        start, results[share], _, log = trained(str(share))
        assert log["trained_share"] == share
    for name, weights in results[1.0].items():
        if weights.is_floating_point():
            assert torch.equal(results[0.0][name], start[name])
            assert torch.allclose(results[0.5][name], (start[name] + weights) / 2, atol=1e-6)


def test_validation_frames_choose_the_share_by_the_count_both(trained, small, monkeypatch):
    _, tensors = small
    errors = {}

    def watched(measure):
        errors.update({share: measure(share) for share in SHARES})
        return best_share(measure)

    monkeypatch.setattr(recipes, "best_share", watched)
    _, weights, about, log = trained("log")
    assert log["trained_share"] == best_share(errors.get)
    rows = np.arange(8, 12)
    network = network_of(weights, about).eval()
    found = predict_frames(network, pair_loader(tensors, rows, 4), about).cards
    off = abs(found[:, COUNTS.index("both")] - tensors.cards[rows] * 52).mean()
    assert off == pytest.approx(errors[log["trained_share"]], rel=1e-5)


def test_without_validation_frames_nothing_is_blended(trained, monkeypatch):
    monkeypatch.setattr(recipes, "best_share", lambda measure: 0.0)
    start, weights, _, log = trained("log", np.full(12, "train"))
    assert "trained_share" not in log
    assert not torch.equal(weights["stem.0.weight"], start["stem.0.weight"])
