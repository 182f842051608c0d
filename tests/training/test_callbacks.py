"""Callbacks: the best epoch is kept, and a training that diverges is stopped."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from dvclive import Live
from made_up import network_of, with_train
from torch import nn

from cardpose.common.errors import InputError
from cardpose.params import Params
from cardpose.training.callbacks import KeepBest, LogLosses, SaveEpoch, StopOnDivergence
from cardpose.training.checkpoints import read_checkpoint
from cardpose.training.modules import WholePictureModule
from cardpose.training.parts import train_parts
from cardpose.training.recipes import pretrain, train


def epochs(keep, values):
    """Show `keep` one epoch per value. The network's only weight is the number of the epoch."""
    for epoch, value in enumerate(values):
        module = SimpleNamespace(network=nn.Linear(1, 1, bias=False))
        nn.init.constant_(module.network.weight, epoch)
        metrics = {"validation/total": torch.tensor(value)}
        keep.on_train_epoch_end(
            SimpleNamespace(callback_metrics=metrics, current_epoch=epoch), module
        )


@pytest.mark.parametrize(("monitor", "kept"), [("validation/total", 1), (None, 3)])
def test_the_epoch_with_the_smallest_loss_is_kept_or_the_last_without_a_monitor(monitor, kept):
    keep = KeepBest(monitor)
    epochs(keep, [3.0, 1.0, 2.0, 1.5])
    assert keep.epoch == kept
    assert keep.weights["weight"].item() == kept


def test_losses_are_in_the_log_as_soon_as_an_epoch_ends(params, tmp_path):
    *_, edges = train_parts(params.train)
    log = LogLosses(edges, Live(str(tmp_path), dvcyaml=None, save_dvc_exp=False))
    file = tmp_path / "plots/metrics/edges/train/total.tsv"
    for epoch, lines in enumerate(["0\t3.5", "1\t3.0"]):
        losses = {"train/total": torch.tensor(3.5 - epoch / 2)}
        log.on_train_epoch_end(SimpleNamespace(callback_metrics=losses), None)
        assert file.read_text().splitlines()[-1] == lines
    assert json.loads((tmp_path / "metrics.json").read_text())["edges"]["train"]["total"] == 3


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize(
    ("part", "what", "parameter"),
    [
        ("whole", "whole pictures", "pretrain.learning_rate"),
        ("closeups", "close-ups", "pretrain.closeup_learning_rate"),
        ("edges", "strips along edges", "pretrain.closeup_learning_rate"),
    ],
)
def test_divergence_is_an_error_that_names_part_epoch_and_parameter(
    small, tmp_path, monkeypatch, part, what, parameter, precision
):
    params, tensors = small
    values = params.model_dump(by_alias=True)
    values["pretrain"].update(epochs=2, closeup_epochs=2, edge_epochs=2)
    values["train"].update(precision=precision)

    def corrupt(self, trainer, module, batch, batch_idx):
        if self.part.name == part and trainer.current_epoch == 1:
            next(p for p in module.parameters() if p.requires_grad).data.fill_(torch.nan)

    monkeypatch.setattr(StopOnDivergence, "on_train_batch_start", corrupt)
    with pytest.raises(InputError) as caught:
        pretrain(tensors, np.arange(12), Params(**values), tmp_path)
    exact = "" if precision == "32-true" else ", or train.precision: 32-true"
    assert str(caught.value) == (
        f"training on {what} diverged: the loss is not finite in epoch 2 of 2;"
        f" try a lower {parameter}{exact}"
    )
    # The epoch that diverged leaves no checkpoint.
    kept = read_checkpoint(tmp_path / part)
    assert kept["epoch"] == 0
    assert all(torch.isfinite(value).all() for value in kept["state_dict"].values())


def test_a_loss_that_is_not_finite_is_an_error_in_training_and_in_validation(
    small, tmp_path, complains
):
    params, tensors = small
    weights, metadata = pretrain(tensors, np.arange(12), params)
    role = np.array(["train"] * 8 + ["validation"] * 4)
    huge = params.model_copy(update={"loss": params.loss.model_copy(update={"heatmaps": 1e39})})
    with complains("whole pictures diverged: the loss is", "epoch 1 of 1", "train.learning_rate"):
        train(tensors, role, network_of(weights, metadata), metadata, huge, tmp_path / "log")
    tensors.cards[8:] = np.inf
    with complains("whole pictures diverged: validation/", "epoch 1 of 1", "train.learning_rate"):
        train(tensors, role, network_of(weights, metadata), metadata, params, tmp_path / "log")


def test_training_ends_with_the_weights_of_an_early_best_epoch(small, tmp_path, monkeypatch):
    params, tensors = small
    weights, metadata = pretrain(tensors, np.arange(12), params)
    save, epochs = SaveEpoch.on_train_epoch_end, {}

    def worse_every_epoch(self, batch):
        self.log("validation/total", float(self.current_epoch), on_epoch=True, batch_size=1)

    def remember(self, trainer, module):
        save(self, trainer, module)
        if isinstance(module, WholePictureModule):
            state = module.network.state_dict()
            epochs[trainer.current_epoch] = {k: v.clone() for k, v in state.items()}

    monkeypatch.setattr(WholePictureModule, "validation_step", worse_every_epoch)
    monkeypatch.setattr(SaveEpoch, "on_train_epoch_end", remember)
    role, longer = np.array(["train"] * 8 + ["validation"] * 4), with_train(params, epochs=3)
    start, kept = network_of(weights, metadata), tmp_path / "kept"
    kept.mkdir()
    after, _ = train(tensors, role, start, metadata, longer, tmp_path / "log", kept)
    names = [name for name in after if not name.startswith(("closer.", "tracer."))]
    assert sorted(epochs) == [0, 1, 2]
    assert all(torch.equal(after[name], epochs[0][name]) for name in names)
    assert not torch.equal(after["stem.0.weight"], epochs[2]["stem.0.weight"])
    log = json.loads((tmp_path / "log" / "metrics.json").read_text())
    assert log["best_epoch"] == 0
