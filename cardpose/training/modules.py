"""What each part of the network is taught with: loss and optimizer, as Lightning modules; and what
lets several processes teach it together."""

import lightning
import torch

from cardpose.network.model import COUNTS
from cardpose.pictures.letterbox import DETAIL
from cardpose.training.distributed import world_size
from cardpose.training.losses import closer_loss, losses, tracer_loss


class WholePictureModule(lightning.LightningModule):
    """Trains a network on the loss L; logs its parts as `train/...` and `validation/...`."""

    def __init__(self, network, weights, learning_rate, weight_decay, deck):
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.weights, self.deck = weights, deck
        self.learning_rate, self.weight_decay = learning_rate, weight_decay

    def training_step(self, batch):
        return self._step(batch, "train")

    def validation_step(self, batch):
        self._step(batch, "validation")

    def _step(self, batch, split):
        predicted = self.network(batch["pictures"])
        target = batch["heatmaps"], batch["cards"], batch["visible"]
        parts = losses(predicted, target, self.weights, batch["mask"])
        # Lightning takes the processes' mean of this whole number, and would round it.
        n = len(batch["cards"]) * world_size()
        logged = {f"{split}/{name}": value.detach() for name, value in parts.items()}
        self.log_dict(logged, on_step=False, on_epoch=True, batch_size=n, sync_dist=True)
        count = predicted[1][:, COUNTS.index("keypoints")]
        error = (count - batch["cards"]).abs().mean() * self.deck
        self.log(
            f"{split}/mae_cards",
            error.detach(),
            on_step=False,
            on_epoch=True,
            batch_size=n,
            prog_bar=True,
            sync_dist=True,
        )
        return parts["total"]

    def configure_optimizers(self):
        groups = [{"params": list(self.parameters()), "lr": self.learning_rate}]
        return one_cycle(groups, self.weight_decay, self.trainer.estimated_stepping_batches)


class CloserModule(lightning.LightningModule):
    """Trains a network's second look on close-ups of the corners; logs nothing but to the screen.

    The loss compares places in pixels of the close-ups and counts in cards.
    """

    def __init__(self, network, learning_rate, weight_decay, deck):
        super().__init__()
        self.closer, self.packet = network.closer, network.packet
        self.learning_rate, self.weight_decay, self.deck = learning_rate, weight_decay, deck

    def training_step(self, batch):
        steps = self.closer(batch["closeups"]).float()
        # In full precision: half a card is less than bfloat16 resolves in a packet's shape.
        with torch.autocast(steps.device.type, enabled=False):
            steps = torch.einsum("nij,nkj->nki", batch["turn"], steps)
            points = batch["starts"] + steps / DETAIL
            seen, labelled = batch["seen"], batch["visible"]
            usual = self.packet.as_usual(points, self.packet.focal_of(batch["longer"]))
            cards = self.closer.geometry(usual, seen) * self.deck
            true_cards = batch["cards"] * self.deck
            true = DETAIL * batch["points"]
            loss = closer_loss(DETAIL * points, true, labelled, cards, true_cards)
        self.log("closer/mae_cards", (cards - true_cards).abs().mean(), prog_bar=True)
        return loss

    def configure_optimizers(self):
        geometry = list(self.closer.geometry.parameters())
        rest = [p for name, p in self.closer.named_parameters() if "geometry." not in name]
        groups = [
            {"params": rest, "lr": self.learning_rate},
            # It knows nearly all it has to: simulated packets taught it.
            {"params": geometry, "lr": self.learning_rate / 10},
        ]
        return one_cycle(groups, self.weight_decay, self.trainer.estimated_stepping_batches)


class TracerModule(lightning.LightningModule):
    """Trains a network's tracing of edges on strips along them; logs nothing but to the screen."""

    def __init__(self, network, learning_rate, weight_decay):
        super().__init__()
        self.tracer = network.tracer
        self.learning_rate, self.weight_decay = learning_rate, weight_decay

    def training_step(self, batch):
        places, spreads = self.tracer(batch["strips"], batch["kinds"], batch["heights"])
        true, counts = batch["places"], batch["counts"]
        self.log("tracer/pixels", (places - true).abs()[counts].mean(), prog_bar=True)
        return tracer_loss(places, spreads, true, counts)

    def configure_optimizers(self):
        groups = [{"params": list(self.parameters()), "lr": self.learning_rate}]
        return one_cycle(groups, self.weight_decay, self.trainer.estimated_stepping_batches)


def one_cycle(groups, weight_decay, steps):
    """AdamW and its schedule, as Lightning takes them: every group's rate rises to its own `lr`
    and falls again; after L. N. Smith and N. Topin, "Super-Convergence", 2017."""
    optimizer = torch.optim.AdamW(groups, weight_decay=weight_decay)
    # A fifth, but not quite: OneCycleLR divides by pct_start * steps - 1.
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [group["lr"] for group in groups], total_steps=steps, pct_start=0.201
    )
    return [optimizer], [{"scheduler": schedule, "interval": "step"}]
