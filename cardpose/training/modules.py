"""Lightning modules: loss and optimizer of each part of the network."""

from typing import Any

import lightning
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from cardpose.network.model import COUNTS, CardPose
from cardpose.params import Loss
from cardpose.pictures.letterbox import DETAIL
from cardpose.training.distributed import world_size
from cardpose.training.losses import closer_loss, losses, tracer_loss
from cardpose.training.parts import Part

Batch = dict[str, Shaped[Tensor, "..."]]


class WholePictureModule(lightning.LightningModule):
    """Train a network's heatmaps, count and visibility on whole pictures.

    The terms of the loss are logged, and `mae_cards`, the mean absolute error of the count from
    keypoints, in cards.
    """

    def __init__(self, network: CardPose, part: Part, weights: Loss, deck: int) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.part, self.weights, self.deck = part, weights, deck

    def training_step(self, batch: Batch) -> Float[Tensor, ""]:
        return self._step(batch, "train")

    def validation_step(self, batch: Batch) -> None:
        self._step(batch, "validation")

    def _step(self, batch: Batch, split: str) -> Float[Tensor, ""]:
        predicted = self.network(batch["pictures"])
        target = batch["heatmaps"], batch["cards"], batch["visible"]
        # Processes may validate on different numbers of batches, so they cannot count together.
        terms = losses(predicted, target, self.weights, batch["mask"], shared=split == "train")
        count = predicted[1][:, COUNTS.index("keypoints")]
        error = (count - batch["cards"]).abs().mean() * self.deck
        log_epoch(self, split, len(batch["cards"]), terms, mae_cards=error)
        return terms["total"]

    def configure_optimizers(self) -> tuple[list, list]:
        groups = [{"params": list(self.parameters()), "lr": self.part.learning_rate.value}]
        return one_cycle(groups, self.part, self.trainer.estimated_stepping_batches)


class CloserModule(lightning.LightningModule):
    """Train `network.closer` to move corners, on close-ups around them.

    The loss compares corners in detail pixels and counts in cards. It is logged as `total`, with
    `mae_cards`, the mean absolute error of the count in cards.
    """

    def __init__(self, network: CardPose, part: Part, deck: int) -> None:
        super().__init__()
        self.closer, self.box = network.closer, network.fitter.box
        self.part, self.deck = part, deck

    def training_step(self, batch: Batch) -> Float[Tensor, ""]:
        return self._step(batch, "train")

    def validation_step(self, batch: Batch) -> None:
        self._step(batch, "validation")

    def _step(self, batch: Batch, split: str) -> Float[Tensor, ""]:
        steps = self.closer(batch["closeups"]).float()
        # Use full precision: bfloat16 cannot resolve half a card in a packet's shape.
        with torch.autocast(steps.device.type, enabled=False):
            steps = torch.einsum("nij,nkj->nki", batch["turn"], steps)
            points = batch["starts"] + steps / DETAIL
            usual = self.box.at_usual_focal(points, self.box.focal_of(batch["longer"]))
            cards = self.closer.geometry(usual, batch["seen"]) * self.deck
            loss = closer_loss(
                DETAIL * points,
                DETAIL * batch["points"],
                batch["visible"],
                cards,
                batch["cards"] * self.deck,
                shared=split == "train",
            )
        error = (cards - batch["cards"] * self.deck).abs().mean()
        log_epoch(self, split, len(cards), {"total": loss}, mae_cards=error)
        return loss

    def configure_optimizers(self) -> tuple[list, list]:
        rate = self.part.learning_rate.value
        geometry = list(self.closer.geometry.parameters())
        rest = [p for name, p in self.closer.named_parameters() if "geometry." not in name]
        groups = [
            {"params": rest, "lr": rate},
            # A lower rate: this head has already been trained on simulated packets.
            {"params": geometry, "lr": rate / 10},
        ]
        return one_cycle(groups, self.part, self.trainer.estimated_stepping_batches)


class TracerModule(lightning.LightningModule):
    """Train `network.tracer` to find edges, on strips along them.

    The loss is logged as `total`, with `pixels`, the mean absolute error of an edge's place in
    detail pixels.
    """

    def __init__(self, network: CardPose, part: Part) -> None:
        super().__init__()
        self.tracer, self.part = network.tracer, part

    def training_step(self, batch: Batch) -> Float[Tensor, ""]:
        return self._step(batch, "train")

    def validation_step(self, batch: Batch) -> None:
        self._step(batch, "validation")

    def _step(self, batch: Batch, split: str) -> Float[Tensor, ""]:
        places, spreads = self.tracer(batch["strips"], batch["kinds"], batch["heights"])
        true, counts = batch["places"], batch["counts"]
        off = ((places - true).abs() * counts).sum() / counts.sum().clamp(min=1)
        loss = tracer_loss(places, spreads, true, counts, shared=split == "train")
        log_epoch(self, split, len(places), {"total": loss}, pixels=off)
        return loss

    def configure_optimizers(self) -> tuple[list, list]:
        groups = [{"params": list(self.parameters()), "lr": self.part.learning_rate.value}]
        return one_cycle(groups, self.part, self.trainer.estimated_stepping_batches)


def log_epoch(
    module: lightning.LightningModule,
    split: str,
    n: int,
    losses: dict[str, Float[Tensor, ""]],
    **errors: Float[Tensor, ""],
) -> None:
    """Log the means of an epoch as `train/...` or `validation/...`; show errors at the bar.

    Args:
        module: the module in training.
        split: "train" or "validation".
        n: number of frames in the batch.
        losses: losses of the batch.
        errors: errors of the batch.
    """
    for values, prog_bar in ((losses, False), (errors, True)):
        module.log_dict(
            {f"{split}/{name}": value.detach() for name, value in values.items()},
            on_step=False,
            on_epoch=True,
            # Lightning averages this integer over the processes and would round the mean.
            batch_size=n * world_size(),
            prog_bar=prog_bar,
            sync_dist=True,
        )


def one_cycle(
    groups: list[dict[str, Any]], part: Part, steps: int | float
) -> tuple[list[torch.optim.Optimizer], list[dict[str, Any]]]:
    """Return AdamW and a one-cycle schedule, in the form that Lightning takes.

    The learning rate of each group rises to the group's `lr` and falls again (L. N. Smith and
    N. Topin, "Super-Convergence", 2017).

    Args:
        groups: parameter groups of the optimizer.
        part: part of the training, which holds the weight decay.
        steps: number of training steps.
    """
    optimizer = torch.optim.AdamW(groups, weight_decay=part.options.weight_decay)
    # Not exactly 0.2: OneCycleLR divides by pct_start * steps - 1, which is 0 for 5 steps.
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [group["lr"] for group in groups], total_steps=int(steps), pct_start=0.201
    )
    return [optimizer], [{"scheduler": schedule, "interval": "step"}]
