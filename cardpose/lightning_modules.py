"""What each part of the network is taught with: loss and optimizer, as Lightning modules; and what
lets several processes teach it together."""

import lightning
import torch
from lightning.pytorch.plugins.layer_sync import LayerSync
from lightning.pytorch.strategies import DDPStrategy
from torch import distributed, nn

from cardpose import processes
from cardpose.loss import closer_loss, losses, tracer_loss
from cardpose.model import COUNTS
from cardpose.pictures import DETAIL


class Training(lightning.LightningModule):
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
        parts = losses(predicted, target, self.weights, batch["known"])
        # Lightning takes the processes' mean of this whole number, and would round it.
        n = len(batch["cards"]) * processes.count()
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


class CloserTraining(lightning.LightningModule):
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


class TracerTraining(lightning.LightningModule):
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


def strategy(options, module):
    """Arguments of a Lightning Trainer for the parameters of `train`, and its plugins."""
    if processes.count() == 1:
        return {"devices": 1}, []
    known = {"devices": options.devices, "num_nodes": options.hosts}
    unused = isinstance(module, Training)  # what takes a closer look is taught later
    # `SharedNorm` keeps buffers the same in all processes.
    ddp = DDPStrategy(find_unused_parameters=unused, broadcast_buffers=False)
    return {**known, "strategy": ddp, "use_distributed_sampler": False}, [SharedNorms()]


class SharedNorm(nn.BatchNorm2d):
    """Batch norm by mean and variance of what all processes see. torch's own needs GPUs."""

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        values, across = x.float(), (0, 2, 3)
        n = values.new_tensor([x.numel() / x.shape[1]])
        total = _Sum.apply(torch.cat([values.sum(dim=across), n]))
        mean, n = total[:-1] / total[-1], total[-1].detach()
        off = values - mean[:, None, None]
        variance = _Sum.apply(off.square().sum(dim=across)) / n
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * n / (n - 1), self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight * (variance + self.eps).rsqrt()
        return (off * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


class _Sum(torch.autograd.Function):
    """The sum over all processes."""

    @staticmethod
    def forward(context, x):
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context, gradient):
        return _Sum.apply(gradient.contiguous())


class SharedNorms(LayerSync):
    """Makes a network's batch norms `SharedNorm`s while it trains."""

    def apply(self, model):
        return _exchange(model, nn.BatchNorm2d, SharedNorm)

    def revert(self, model):
        return _exchange(model, SharedNorm, nn.BatchNorm2d)


def _exchange(model, old, new):
    for module in model.modules():
        if type(module) is old:
            module.__class__ = new
    return model
