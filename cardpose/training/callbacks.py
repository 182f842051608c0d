"""Callbacks of a training: keep the best epoch, record losses, stop on divergence."""

import math
from pathlib import Path
from typing import Any

import lightning
import torch
from dvclive import Live

from cardpose.common.errors import InputError
from cardpose.training.parts import Part


class KeepBest(lightning.Callback):
    """Keep in memory the weights of the epoch with the smallest `monitor`.

    Without a `monitor`, keep those of the last epoch.
    """

    def __init__(self, monitor: str | None = None) -> None:
        self.monitor, self.best = monitor, math.inf
        self.epoch: int | None = None
        self.weights: dict[str, torch.Tensor] = {}

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        value = float(trainer.callback_metrics[self.monitor]) if self.monitor else -math.inf
        if value < self.best or not self.monitor:
            self.best, self.epoch = value, trainer.current_epoch
            self.weights = {k: v.detach().clone() for k, v in module.network.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "epoch": self.epoch, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.epoch, self.weights = state["best"], state["epoch"], state["weights"]


class LossHistory(lightning.Callback):
    """Record the losses of every epoch."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        losses = sorted(trainer.callback_metrics.items())
        self.epochs.append({name: float(value) for name, value in losses})

    def write(self, live: Live) -> None:
        """Log the losses with DVCLive, one step per epoch.

        Call it after the training, because an interrupted training must leave only checkpoints.
        """
        for losses in self.epochs:
            for name, value in losses.items():
                live.log_metric(name, value)
            live.next_step()

    def state_dict(self) -> dict[str, Any]:
        return {"epochs": self.epochs}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epochs = state["epochs"]


class StopOnDivergence(lightning.Callback):
    """Stop a training that diverges, before its network or a checkpoint is written.

    This must be the first callback.

    Raises:
        InputError: a loss or a weight is no longer a finite number.
    """

    def __init__(self, part: Part, precision: str) -> None:
        self.part, self.precision = part, precision

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._check("the loss", outputs["loss"], trainer)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        for name, value in trainer.callback_metrics.items():
            self._check(name, value, trainer)
        for name, value in module.state_dict().items():
            self._check(name, value, trainer)

    def _check(self, name: str, value: torch.Tensor, trainer: Any) -> None:
        if not torch.isfinite(value).all():
            exact = "" if self.precision == "32-true" else ", or train.precision: 32-true"
            raise InputError(
                f"training on {self.part.data} diverged: {name} is not finite in epoch"
                f" {trainer.current_epoch + 1} of {self.part.epochs}; try a lower"
                f" {self.part.learning_rate.parameter}{exact}"
            )


class SaveEpoch(lightning.Callback):
    """Write a checkpoint after every epoch. This must be the last callback."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        trainer.save_checkpoint(self.path)
