"""Training, part after part: what is taught when, what is logged, which network is kept."""

import logging
import math
import warnings

import lightning
import numpy as np
import torch
from dvclive import Live
from torch.nn import functional as F
from tqdm import trange

from cardpose.batches import closeups, loader, pairs, strips
from cardpose.heatmaps import decode
from cardpose.lightning_modules import CloserTraining, TracerTraining, Training
from cardpose.model import COUNTS, CardPose, N, network_shape
from cardpose.pose import KINDS
from cardpose.prediction import margin, predict
from cardpose.simulation import simulate
from cardpose.strips import heights, long_enough

_PACKETS_A_STEP = 4  # simulated, to learn geometry from
_BATCH = 32  # where nothing is learnt
_LABELS = 5  # keypoints that a frame has to show for its edges to teach
_LABEL_OFF = 0.02  # picture widths, how far off the box its labels may be


def learn_geometry(geometry, packets, image_size, steps, n=256):
    """Teach a network's `head.geometry` to count simulated packets from their corners.

    The corners are seen as well as the network sees them: a little off, now and then far off, now
    and then not at all.

    Args:
        geometry: a `model.Geometry`.
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
        loss = F.mse_loss(geometry(points[chosen] + noise, seen), cards[chosen])
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
        "focal": params.geometry.focal,
        "card": params.geometry.card,
        "margins": None,
    }
    network = CardPose(**network_shape(about))
    _teach_geometry(network, tensors.deck, params)
    plan = params.pretrain
    for epochs, half in ((plan.half_size_epochs, True), (plan.epochs, False)):
        if epochs:
            batches = _batches(tensors, rows, params, half=half)
            module = _first_look(network, params, plan.learning_rate, tensors.deck)
            _fit(module, batches, params, epochs)
    _look_closer(network, tensors, rows, params, plan.closeup_epochs)
    _trace(network, tensors, rows, params, plan.edge_epochs)
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
        weights: state_dict of the network; its first look as it was after the epoch with the
            smallest validation loss (the last epoch where no frame validates).
        about: what `prediction.save_network` stores with them.
    """
    lightning.seed_everything(params.seed, verbose=False)
    if about["deck"] != tensors.deck:
        about = {**about, "deck": tensors.deck}
        started, network = network, CardPose(**network_shape(about))
        network.load_state_dict(started.state_dict())
        _teach_geometry(network, tensors.deck, params)
    rows = {name: np.flatnonzero(role == name) for name in ("train", "validation")}
    batches = _batches(tensors, rows["train"], params)
    validation = None
    if len(rows["validation"]):
        validation = loader(
            tensors,
            rows["validation"],
            params.train.batch_size,
            workers=params.machine.loader_workers,
        )
    keep = Keep("validation/total" if validation else None)
    with Live(str(log), dvcyaml=None, save_dvc_exp=False) as live:
        callbacks = [keep, Log(live)]
        module = _first_look(network, params, params.train.learning_rate, tensors.deck)
        _fit(module, batches, params, params.train.epochs, validation, callbacks)
        live.summary["best_epoch"] = keep.epoch
    network.load_state_dict(keep.weights)
    _look_closer(network, tensors, rows["train"], params, params.train.closeup_epochs)
    _trace(network, tensors, rows["train"], params, params.train.edge_epochs)
    if validation:
        unseen = pairs(tensors, rows["validation"], _BATCH)
        cards = predict(network.eval(), unseen, about).cards
        true = tensors.cards[rows["validation"]] * tensors.deck
        recordings = tensors.frames["recording"].iloc[rows["validation"]]
        about["margins"] = {
            way: margin(column, true, recordings)
            for way, column in zip(COUNTS, cards.T, strict=True)
        }
    return network.state_dict(), about


def _teach_geometry(network, deck, params):
    rng = np.random.default_rng(params.seed)
    known = params.geometry
    n, size = _PACKETS_A_STEP * known.steps, params.image_size
    packets = simulate(rng, n, deck, size, known.focal, known.card)
    learn_geometry(network.head.geometry, packets, size, known.steps)
    network.closer.geometry.load_state_dict(network.head.geometry.state_dict())


def _look_closer(network, tensors, rows, params, epochs):
    """Train the second look, from the corners that the first one finds."""
    if not epochs:
        return
    starts = np.zeros((len(tensors.points), N, 2))
    with torch.inference_mode():
        found = [
            decode(network.eval()(batch["pictures"])[0], network.stride, network.sigma)[0]
            for batch in pairs(tensors, rows, _BATCH)
        ]
    starts[rows] = torch.cat(found).numpy()
    options = params.train
    batches = closeups(
        tensors, starts, rows, options.batch_size, params.seed, params.machine.loader_workers
    )
    rate = options.closeup_learning_rate
    module = CloserTraining(network, rate, options.weight_decay, tensors.deck)
    _fit(module.train(), batches, params, epochs)
    network.eval()


def _trace(network, tensors, rows, params, epochs):
    """Train the tracing of edges, from where labels and counts say that the edges are."""
    if not epochs:
        return
    edges, good = _edges(network.packet, tensors, rows, network.deck_height)
    if not good.any():
        return
    options = params.train
    batches = strips(
        tensors, edges, rows[good], options.batch_size, params.seed, params.machine.loader_workers
    )
    module = TracerTraining(network, options.closeup_learning_rate, options.weight_decay)
    _fit(module.train(), batches, params, epochs)
    network.tracer.taught.fill_(1)
    network.eval()


def _edges(packet, tensors, rows, deck_height):
    """Where the edges of labelled packets are: what `strips.Strips` takes, and which of the `rows`
    are good to learn from. Labels that no box explains teach nothing, nor do those too few."""
    size, n = torch.tensor(tensors.image_size), len(tensors.points)
    edges = {
        "starts": np.zeros((n, 12, 2)),
        "ends": np.zeros((n, 12, 2)),
        "kinds": np.zeros((n, 12, KINDS), bool),
        "heights": np.zeros(n),
    }
    good = []
    for some in np.array_split(rows, -(-len(rows) // _BATCH)):
        points, seen = (torch.from_numpy(a[some]) for a in (tensors.points, tensors.visible))
        height = torch.from_numpy(tensors.cards[some]) * deck_height
        focal = packet.focal_of(torch.from_numpy(tensors.longer[some]))
        pose, names = packet.fit(points, seen, height, focal)
        starts, ends, kinds, _ = packet.edges(pose)
        box = packet.keypoints(pose)
        off = (box - points.gather(1, names[..., None].expand(-1, -1, 2))).norm(dim=2)
        off = torch.where(seen.gather(1, names), off, 0).amax(dim=1)
        good.append((off < _LABEL_OFF * size[0]) & (seen.sum(dim=1) >= _LABELS))
        inside = ((starts > 0) & (starts < size) & (ends > 0) & (ends < size)).all(dim=2)
        kinds = kinds & (inside & long_enough(starts, ends))[..., None]
        found = (starts, ends, kinds, heights(box))
        for name, values in zip(edges, found, strict=True):
            edges[name][some] = values.numpy()
    return edges, torch.cat(good).numpy()


def _batches(tensors, rows, params, half=False):
    options = params.train
    return loader(
        tensors,
        rows,
        options.batch_size,
        shuffled=True,
        augmented=options.augment,
        seed=params.seed,
        workers=params.machine.loader_workers,
        half=half,
    )


def _first_look(network, params, learning_rate, deck):
    options = params.train
    return Training(network.train(), params.loss, learning_rate, options.weight_decay, deck)


def _fit(module, batches, params, epochs, validation=None, callbacks=()):
    """Train a Lightning module for some epochs, on what there is to compute with."""
    # Advice on loaders and add-ons, which would bury the progress bar.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
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
        callbacks=list(callbacks),
    )
    trainer.fit(module, batches, validation)
