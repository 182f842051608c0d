"""Pretraining and training from end to end, with tiny networks."""

import dataclasses
import json
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from dvc.repo import Repo
from made_up import network_of, with_train

from cardpose.network.intervals import Errors, interval_margin
from cardpose.network.predict import pair_loader, predict_frames
from cardpose.training import recipes
from cardpose.training.datasets import AugmentedFrames
from cardpose.training.recipes import pretrain, train

ROLE = np.array(["train"] * 8 + ["validation"] * 4)
SECOND = ("closer.", "tracer.")  # the parts that are trained after whole pictures


@pytest.fixture(autouse=True)
def unblended(monkeypatch):
    """Keep the trained weights as they are."""
    monkeypatch.setattr(recipes, "best_share", lambda measure: 1.0)


def equal(one, other):
    """Names of the weights that are the same in both."""
    return {name for name in one if torch.equal(one[name], other[name])}


def test_parameters_of_training_leave_pretraining_unchanged(small):
    params, tensors = small
    other = {"batch_size": 8, "learning_rate": 0.1, "closeup_learning_rate": 0.1, "augment": False}
    other |= {"weight_decay": 0.5, "closeup_epochs": 2, "edge_epochs": 2}
    changes = {
        "seed": 7,
        "loss": params.loss.model_copy(update={"cards": 50}),
        "train": params.train.model_copy(update=other),
    }
    weights, metadata = pretrain(tensors, np.arange(12), params)
    again, same = pretrain(tensors, np.arange(12), params.model_copy(update=changes))
    assert metadata == same
    assert equal(weights, again) == set(weights)


def test_training_stores_the_sigma_of_its_own_heatmaps(small, tmp_path):
    params, tensors = small
    weights, metadata = pretrain(tensors, np.arange(12), params)
    wider = dataclasses.replace(tensors, sigma=3.0)
    start = network_of(weights, metadata)
    _, trained = train(wider, np.full(12, "train"), start, metadata, params, tmp_path / "log")
    assert (metadata["sigma"], trained["sigma"]) == (1.5, 3.0)


def test_training_changes_all_of_the_network_but_its_frozen_geometry(small, tmp_path):
    params, tensors = small
    weights, metadata = pretrain(tensors, np.arange(12), params)
    before = {name: value.clone() for name, value in weights.items()}
    start = network_of(weights, metadata)
    after, trained = train(tensors, ROLE, start, metadata, params, tmp_path / "log")
    assert trained["margins"].keys() == {"picture", "keypoints", "both"}
    assert all(margin > 0 for margin in trained["margins"].values())
    same = equal(before, after)
    assert {name for name in before if name.startswith("head.geometry")} <= same
    assert "stem.0.weight" not in same
    parts = ("closer.", "tracer.found")
    learnt = {name for name in before if name.startswith(parts) and "num_" not in name}
    assert learnt & same == set()


def test_the_network_that_training_starts_from_stays_as_it_is(small, tmp_path):
    params, tensors = small
    weights, metadata = pretrain(tensors, np.arange(12), params)
    start, given = network_of(weights, metadata), dict(metadata)
    before = {name: value.clone() for name, value in start.state_dict().items()}
    train(tensors, ROLE, start, metadata, params, tmp_path / "log")
    assert equal(before, start.state_dict()) == set(before)
    assert metadata == given


@pytest.fixture
def trained(small, tmp_path):
    """trained(tensors, role): train on made-up frames, from a network pretrained on `small`'s.

    One epoch each: no frame decides which epoch is the best.
    """
    params, tensors = small
    weights, metadata = pretrain(tensors, np.arange(12), params)
    logs = (tmp_path / f"log{n}" for n in range(9))

    def run(tensors, role):
        start = network_of(weights, metadata)
        return train(tensors, role, start, metadata, params, next(logs))

    return run


def with_other_frames(tensors, rows):
    """Copy tensors and replace the pixels, labels and counts of the frames in `rows`."""
    fields = ("pictures", "details", "heatmaps", "points", "visible", "cards")
    copies = {name: getattr(tensors, name).copy() for name in fields}
    for name in ("pictures", "details"):
        copies[name][rows] = 255 - copies[name][rows]
    copies["heatmaps"][rows] = 1 - copies["heatmaps"][rows]
    copies["points"][rows] = copies["points"][rows] / 2
    copies["visible"][rows] = ~copies["visible"][rows]
    copies["cards"][rows] = 1 - copies["cards"][rows]
    return dataclasses.replace(tensors, **copies)


def test_test_frames_change_neither_weights_nor_margins(small, trained):
    _, tensors = small
    role = np.array(["train"] * 6 + ["validation"] * 3 + ["test"] * 3)
    weights, metadata = trained(tensors, role)
    again, same = trained(with_other_frames(tensors, slice(9, 12)), role)
    assert equal(weights, again) == set(weights)
    assert metadata == same


def test_validation_frames_change_margins_and_no_weights(small, trained):
    _, tensors = small
    weights, metadata = trained(tensors, ROLE)
    again, other = trained(with_other_frames(tensors, slice(8, 12)), ROLE)
    assert equal(weights, again) == set(weights)
    assert all(metadata["margins"][way] != other["margins"][way] for way in other["margins"])


def test_training_frames_change_every_part_of_the_network(small, trained):
    _, tensors = small
    weights, _ = trained(tensors, ROLE)
    again, _ = trained(with_other_frames(tensors, slice(0, 8)), ROLE)
    same = equal(weights, again)
    assert same.isdisjoint({"stem.0.weight", "closer.move.weight"})


def test_margins_compare_the_trained_network_with_its_start(small, trained):
    params, tensors = small
    weights, metadata = trained(tensors, ROLE)
    start = network_of(*pretrain(tensors, np.arange(12), params))

    def errors(network, rows):
        predicted = predict_frames(network.eval(), pair_loader(tensors, rows, 4), metadata).cards
        recordings = tensors.frames["recording"].to_numpy()[rows]
        off = abs(predicted - tensors.cards[rows, None] * 52)
        return [Errors(column, recordings) for column in off.T]

    validating = np.arange(8, 12)
    parts = [
        errors(start, np.arange(12)),
        errors(start, validating),
        errors(network_of(weights, metadata), validating),
    ]
    expected = [interval_margin(*each) for each in zip(*parts, strict=True)]
    assert list(metadata["margins"].values()) == pytest.approx(expected)


def test_counts_without_labels_teach_only_closer_and_tracer(partly, tmp_path):
    params, tensors = partly
    weights, metadata = pretrain(tensors, np.arange(0, 12, 3), params)
    role = np.array(["train"] * 9 + ["validation"] * 3)
    # Adam's first steps depend on the signs of gradients only.
    params = with_train(params, epochs=3, closeup_epochs=3)
    results = []
    for count in (-9, 9):  # below and above all counts that the network starts with
        tensors.cards[[1, 2, 4, 5, 7, 8]] = count  # of frames without labels
        log, start = tmp_path / str(count), network_of(weights, metadata)
        after, trained = train(tensors, role, start, metadata, params, log)
        assert all(value.isfinite().all() for value in after.values())
        assert all(np.isfinite(margin) for margin in trained["margins"].values())
        results.append(after)
    same = equal(*results)
    assert {name for name in results[0] if not name.startswith(SECOND)} <= same
    assert same & {"closer.move.weight", "closer.geometry.layers.0.weight"} == set()


def test_training_without_labels_says_how_many_are_needed(partly, tmp_path, complains):
    params, tensors = partly
    weights, metadata = pretrain(tensors, np.arange(0, 12, 3), params)
    role = np.where(tensors.mask.any(axis=1), "test", "train")
    with complains("0 of the 8 frames to train on have labels", "at least 2", "split"):
        train(tensors, role, network_of(weights, metadata), metadata, params, tmp_path / "log")
    assert not (tmp_path / "log").exists()


def test_geometry_is_taught_again_for_another_deck(small, tmp_path):
    params, tensors = small
    weights, metadata = pretrain(tensors, np.arange(12), params)
    before = weights["head.geometry.layers.0.weight"].clone()
    assert metadata["focal"] == params.geometry.focal
    tensors, role = dataclasses.replace(tensors, deck=32), np.full(12, "train")
    start, log = network_of(weights, metadata), tmp_path / "log"
    after, trained = train(tensors, role, start, metadata, params, log)
    assert (trained["deck"], trained["margins"]) == (32, None)
    assert not torch.equal(before, after["head.geometry.layers.0.weight"])


def test_pretraining_without_epochs_teaches_geometry_alone(small):
    params, tensors = small
    nothing = dict.fromkeys(("half_size_epochs", "epochs", "closeup_epochs", "edge_epochs"), 0)
    none = params.model_copy(update={"pretrain": params.pretrain.model_copy(update=nothing)})
    new, _ = pretrain(tensors, np.arange(12), none)
    trained, _ = pretrain(tensors, np.arange(12), params)
    assert torch.equal(
        new["head.geometry.layers.0.weight"], trained["head.geometry.layers.0.weight"]
    )
    assert not torch.equal(new["stem.0.weight"], trained["stem.0.weight"])


def test_training_writes_its_log_in_a_git_repository_without_commits(small, tmp_path, monkeypatch):
    params, tensors = small
    weights, metadata = pretrain(tensors, np.arange(12), params)
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    Repo.init().close()
    log = Path("metrics/log")
    train(tensors, ROLE, network_of(weights, metadata), metadata, params, log)
    assert Path.cwd() == tmp_path
    found = json.loads((log / "metrics.json").read_text())
    assert found["best_epoch"] == 0
    for part in ("whole", "closeups", "edges"):
        for split in ("train", "validation"):
            assert np.isfinite(found[part][split]["total"])
            history = (log / "plots/metrics" / part / split / "total.tsv").read_text()
            assert len(history.splitlines()) == 2  # the names of its columns, and one epoch


@pytest.mark.parametrize("frames", [4, 8, 20])
def test_a_handful_of_frames_is_enough_to_pretrain_on(small, frames):
    params, tensors = small
    rows = np.arange(frames) % 12
    quick = params.pretrain.model_copy(update={"epochs": 1})
    weights, _ = pretrain(tensors, rows, params.model_copy(update={"pretrain": quick}))
    assert all(torch.isfinite(value).all() for value in weights.values())


def test_portrait_frames_are_trained_on_with_a_focal_length_of_their_own(small):
    params, tensors = small
    sizes = tensors.frames.assign(width=36, height=48)  # fitted, they are 48 pixels high
    portrait = dataclasses.replace(tensors, frames=sizes)
    assert portrait.longer.tolist() == [48] * 12
    weights, _ = pretrain(tensors, np.arange(12), params)
    other, _ = pretrain(portrait, np.arange(12), params)
    same = equal(weights, other)
    # Heatmaps do not depend on it; the count from close-ups and the box with its edges do.
    assert {name for name in weights if not name.startswith(SECOND)} <= same
    assert same.isdisjoint({"closer.geometry.layers.0.weight", "tracer.found.weight"})


def test_the_number_of_loader_workers_changes_no_bit_of_the_network(small, tmp_path):
    params, tensors = small
    networks = []
    for workers in (0, 2):
        machine = params.machine.model_copy(update={"loader_workers": workers})
        settings = params.model_copy(update={"machine": machine})
        weights, metadata = pretrain(tensors, np.arange(12), settings)
        start, log = network_of(weights, metadata), tmp_path / str(workers)
        networks.append(train(tensors, ROLE, start, metadata, settings, log))
    (alone, metadata), (shared, same) = networks
    assert same == metadata
    assert alone.keys() == shared.keys()
    assert equal(alone, shared) == set(alone)


def test_a_killed_loader_worker_is_an_error_of_one_line(small, monkeypatch, complains):
    params, tensors = small
    machine = params.machine.model_copy(update={"loader_workers": 1})

    def die(self, key):
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(AugmentedFrames, "__getitem__", die)
    with complains("a loader worker was killed", "machine.loader_workers", "memory"):
        pretrain(tensors, np.arange(12), params.model_copy(update={"machine": machine}))
