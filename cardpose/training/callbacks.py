"""What goes along with each part of a training: keeps its best epoch, gathers its losses, and ends
it if it diverges."""

import math
from typing import NamedTuple

import lightning
import torch

from cardpose.common.errors import InputError


class Part(NamedTuple):
    """A part of a training: its name, what it looks at in words, how often it goes through that,
    and the parameter that holds its learning rate."""

    name: str
    what: str
    epochs: int
    rate: str


class KeepBest(lightning.Callback):
    """Keeps in memory the weights of the epoch with the smallest `monitor`, or of the last."""

    def __init__(self, monitor=None):
        self.monitor, self.best, self.epoch, self.weights = monitor, math.inf, None, None

    def on_train_epoch_end(self, trainer, module):
        value = float(trainer.callback_metrics[self.monitor]) if self.monitor else -math.inf
        if value < self.best or not self.monitor:
            self.best, self.epoch = value, trainer.current_epoch
            self.weights = {k: v.detach().clone() for k, v in module.network.state_dict().items()}

    def state_dict(self):
        return {"best": self.best, "epoch": self.epoch, "weights": self.weights}

    def load_state_dict(self, state):
        self.best, self.epoch, self.weights = state["best"], state["epoch"], state["weights"]


class LossHistory(lightning.Callback):
    """Gathers every epoch's losses."""

    def __init__(self):
        self.epochs = []

    def on_train_epoch_end(self, trainer, module):
        losses = sorted(trainer.callback_metrics.items())
        self.epochs.append({name: float(value) for name, value in losses})

    def write(self, live):
        """Hand them to DVCLive, a step an epoch: at the end, so that an interrupted training leaves
        nothing but its checkpoints."""
        for losses in self.epochs:
            for name, value in losses.items():
                live.log_metric(name, value)
            live.next_step()

    def state_dict(self):
        return {"epochs": self.epochs}

    def load_state_dict(self, state):
        self.epochs = state["epochs"]


class StopOnDivergence(lightning.Callback):
    """Ends a training that diverges, before a network or a checkpoint of it is written. It has to
    come first of the callbacks.

    Raises:
        InputError: a loss or a weight is no longer a finite number.
    """

    def __init__(self, part, precision):
        self.part, self.precision = part, precision

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self._check("the loss", outputs["loss"], trainer)

    def on_train_epoch_end(self, trainer, module):
        for name, value in trainer.callback_metrics.items():
            self._check(name, value, trainer)
        for name, value in module.state_dict().items():
            self._check(name, value, trainer)

    def _check(self, name, value, trainer):
        if not torch.isfinite(value).all():
            exact = "" if self.precision == "32-true" else ", or train.precision: 32-true"
            raise InputError(
                f"training on {self.part.what} diverged: {name} is not finite in epoch"
                f" {trainer.current_epoch + 1} of {self.part.epochs}; try a lower"
                f" {self.part.rate}{exact}"
            )


class SaveEpoch(lightning.Callback):
    """Writes a part's checkpoint after every epoch. It has to come last of the callbacks."""

    def __init__(self, path):
        self.path = path

    def on_train_epoch_end(self, trainer, module):
        trainer.save_checkpoint(self.path)
