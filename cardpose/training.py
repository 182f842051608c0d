"""Training, on Lightning: the loop, the schedule, what is logged, which network is kept."""

import logging
import math
import warnings

import lightning
import numpy as np
import torch
from dvclive import Live
from torch.nn import functional as F
from tqdm import trange

from cardpose.batches import loader
from cardpose.loss import losses
from cardpose.model import COUNTS, CardPose, network_shape, shape_of
from cardpose.prediction import margin, predict
from cardpose.simulation import simulate

_PACKETS_A_STEP = 4  # simulated, to learn geometry from


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
        parts = losses(predicted, target, self.weights)
        n = len(batch["cards"])
        logged = {f"{split}/{name}": value.detach() for name, value in parts.items()}
        self.log_dict(logged, on_step=False, on_epoch=True, batch_size=n)
        error = (predicted[1][:, COUNTS.index("both")] - batch["cards"]).abs().mean() * self.deck
        self.log(
            f"{split}/mae_cards",
            error.detach(),
            on_step=False,
            on_epoch=True,
            batch_size=n,
            prog_bar=True,
        )
        return parts["total"]

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(
            self.parameters(), self.learning_rate, weight_decay=self.weight_decay
        )
        steps = self.trainer.estimated_stepping_batches
        # A fifth, but not quite: OneCycleLR divides by pct_start * steps - 1.
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.learning_rate, total_steps=steps, pct_start=0.201
        )
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def learn_geometry(geometry, packets, image_size, steps, n=256):
    """Teach a network's `head.geometry` to count simulated packets from their corners.

    The corners are seen as well as the network sees them: a little off, now and then far off, now
    and then not at all.

    Args:
        geometry: module from `model.shape_of` to a count.
        packets: what `simulation.simulate` returned.
        image_size: (width, height) of the picture they are in.
        steps: how often to look at `n` of them.
    """
    points, visible, cards = (torch.from_numpy(array) for array in packets)
    pixel = image_size[0] / 640
    optimizer = torch.optim.AdamW(geometry.requires_grad_(True).parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for _ in trange(steps, desc="learn geometry", unit="step"):
        chosen = torch.randint(len(cards), (n,))
        blur = 2 * pixel * torch.rand(n, 1, 1)
        stray = torch.rand(n, 8, 1) < 0.01
        noise = torch.randn(n, 8, 2) * torch.where(stray, 40 * pixel, blur)
        seen = visible[chosen] & (torch.rand(n, 8) > 0.05)
        shape = shape_of(points[chosen] + noise, seen, image_size)
        loss = F.mse_loss(geometry(shape)[:, 0], cards[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    geometry.requires_grad_(False)


class Keep(lightning.Callback):
    """Keeps in memory the weights of the epoch with the smallest `monitor`, or of the last."""

    def __init__(self, monitor=None):
        self.monitor, self.best, self.epoch, self.weights = monitor, math.inf, None, None

    def on_train_epoch_end(self, trainer, module):
        value = float(trainer.callback_metrics[self.monitor]) if self.monitor else -math.inf
        if value < self.best or not self.monitor:
            self.best, self.epoch = value, trainer.current_epoch
            self.weights = {k: v.detach().clone() for k, v in module.network.state_dict().items()}


def best_precision(accelerator):
    """ "bf16-mixed" where the processor multiplies bfloat16 in hardware, else "32-true"."""
    if accelerator == "gpu":
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    has_bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if accelerator == "cpu" and has_bf16 else "32-true"


class Log(lightning.Callback):
    """Writes every epoch's losses with DVCLive, a step an epoch."""

    def __init__(self, live):
        self.live = live

    def on_train_epoch_end(self, trainer, module):
        for name, value in sorted(trainer.callback_metrics.items()):
            self.live.log_metric(name, float(value))
        self.live.next_step()


def pretrain(tensors, rows, params):
    """Train a new network on pictures of half the size, nearly three times as fast as whole ones.

    Where a packet's corners are and what they are called takes a view of the whole packet to learn,
    not its details.

    Args:
        tensors: a `Tensors` of rendered recordings.
        rows: (n,) which of its frames to train on.
        params: a `Params`.

    Returns:
        weights and about, as `prediction.save_network` takes them.
    """
    lightning.seed_everything(params.seed, verbose=False)
    model = params.model
    about = {
        "encoder": model.encoder,
        "widths": model.widths,
        "stride": tensors.stride,
        "hidden": model.hidden,
        "image_size": list(tensors.image_size),
        "sigma": tensors.sigma,
        "deck": tensors.deck,
        "margins": None,
    }
    network = CardPose(**network_shape(about))
    _teach_geometry(network, tensors.deck, params)
    for epochs, half in ((params.pretrain.half_size_epochs, True), (params.pretrain.epochs, False)):
        if epochs:
            batches = _batches(tensors, rows, params, half=half)
            rate = params.pretrain.learning_rate
            _fit(network, batches, None, params, epochs, rate, tensors.deck, [])
    return network.state_dict(), about


def train(tensors, role, network, about, params, log):
    """Train a network on the frames whose role is "train".

    Args:
        tensors: a `Tensors`.
        role: (n,) "train", "validation" or "test", a frame; see `splits.split_frames`.
        network, about: what to start from, as `prediction.load_network` returns them.
        params: a `Params`.
        log: folder for DVCLive, to be made.

    Returns:
        weights: state_dict of the network after the epoch with the smallest validation loss (the
            last epoch where no frame validates).
        about: what `prediction.save_network` stores with them.
    """
    lightning.seed_everything(params.seed, verbose=False)
    if about["deck"] != tensors.deck:
        _teach_geometry(network, tensors.deck, params)
    about = {**about, "deck": tensors.deck}
    rows = {name: np.flatnonzero(role == name) for name in ("train", "validation")}
    batches = _batches(tensors, rows["train"], params)
    validation = None
    if len(rows["validation"]):
        validation = loader(
            tensors,
            rows["validation"],
            params.train.batch_size,
            workers=params.train.loader_workers,
        )
    keep = Keep("validation/total" if validation else None)
    with Live(str(log), dvcyaml=None, save_dvc_exp=False) as live:
        callbacks = [keep, Log(live)]
        epochs, rate = params.train.epochs, params.train.learning_rate
        _fit(network.train(), batches, validation, params, epochs, rate, tensors.deck, callbacks)
        live.summary["best_epoch"] = keep.epoch
    network.load_state_dict(keep.weights)
    if validation:
        cards, _, _ = predict(network.eval(), validation, about)
        true = tensors.cards[rows["validation"]] * tensors.deck
        about["margins"] = {
            way: margin(column, true) for way, column in zip(COUNTS, cards.T, strict=True)
        }
    return keep.weights, about


def _teach_geometry(network, deck, params):
    rng = np.random.default_rng(params.seed)
    known = params.geometry
    n, size = _PACKETS_A_STEP * known.steps, params.image_size
    packets = simulate(rng, n, deck, size, known.focal, known.card)
    learn_geometry(network.head.geometry, packets, size, known.steps)


def _batches(tensors, rows, params, half=False):
    options = params.train
    return loader(
        tensors,
        rows,
        options.batch_size,
        shuffled=True,
        augmented=options.augment,
        seed=params.seed,
        workers=options.loader_workers,
        half=half,
    )


def _fit(network, batches, validation, params, epochs, learning_rate, deck, callbacks):
    """Train `network` for `epochs`, the learning rate rising to `learning_rate` and falling."""
    # Advice on loaders and add-ons, which would bury the progress bar.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
    module = Training(network, params.loss, learning_rate, params.train.weight_decay, deck)
    precision = params.train.precision
    accelerator = "gpu" if torch.cuda.is_available() else "cpu"
    if precision == "auto":
        precision = best_precision(accelerator)
    trainer = lightning.Trainer(
        accelerator=accelerator,
        devices=1,
        precision=precision,
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=callbacks,
    )
    trainer.fit(module, batches, validation)
