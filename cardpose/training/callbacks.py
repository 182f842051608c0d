"""Callbacks of a training: keep the best epoch, log losses, stop on divergence."""

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


class LogLosses(lightning.Callback):
    """Log the losses of a part of a training after every epoch.

    DVCLive logs them as `<part>/<split>/<loss>`, one step per epoch. A part that resumes from a
    checkpoint first logs the epochs before, which the checkpoint holds. So each epoch is in the log
    once, even if the log was lost.

    Args:
        part: the part of the training.
        live: the log; None in processes that do not write it.
    """

    def __init__(self, part: Part, live: Live | None) -> None:
        self.part, self.live = part, live
        self.epochs: list[dict[str, float]] = []

    def on_fit_start(self, trainer: Any, module: Any) -> None:
        for epoch in range(len(self.epochs)):
            self._log(epoch)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        losses = sorted(trainer.callback_metrics.items())
        self.epochs.append({name: float(value) for name, value in losses})
        self._log(len(self.epochs) - 1)

    def _log(self, epoch: int) -> None:
        if self.live:
            self.live.step = epoch
            for name, value in self.epochs[epoch].items():
                self.live.log_metric(f"{self.part.name}/{name}", value)
            self.live.next_step()

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
