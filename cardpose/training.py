"""Training, part after part: what is taught when, what is logged, which network is kept."""

import logging
import signal
import warnings

import lightning
import numpy as np
import torch
from dvclive import Live
from torch.nn import functional as F
from tqdm import trange

from cardpose.batches import closeups, loader, pairs, strips
from cardpose.callbacks import Keep, Log, Part, Watch
from cardpose.checkpoints import Save, Whole, read, write
from cardpose.errors import InputError
from cardpose.heatmaps import decode
from cardpose.lightning_modules import CloserTraining, TracerTraining, Training, strategy
from cardpose.model import COUNTS, CardPose, N, network_shape
from cardpose.pose import KINDS
from cardpose.prediction import margin, predict
from cardpose.processes import rank
from cardpose.simulation import simulate
from cardpose.strips import heights, long_enough

_PACKETS_A_STEP = 4  # simulated, to learn geometry from
_BATCH = 32  # where nothing is learnt
_LABELS = 5  # keypoints that a frame has to show for its edges to teach
_LABEL_OFF = 0.02  # picture widths, how far off the box its labels may be
_WHOLE = "whole pictures"


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
    for _ in trange(steps, desc="learn geometry", unit="step", disable=rank() > 0):
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


def best_precision(accelerator):
    """ "bf16-mixed" where the processor multiplies bfloat16 in hardware, else "32-true"."""
    if accelerator == "gpu":
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    has_bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if accelerator == "cpu" and has_bf16 else "32-true"


def computing(params):
    """What training computes with: Lightning's names of an accelerator and of a precision."""
    accelerator = "gpu" if torch.cuda.is_available() else "cpu"
    precision = params.train.precision
    return accelerator, best_precision(accelerator) if precision == "auto" else precision


def pretrain(tensors, rows, params, checkpoints=None):
    """Train a new network on pictures of half the size, nearly three times as fast as whole ones.

    Where a packet's corners are and what they are called takes a view of the whole packet to learn,
    not its details.

    Args:
        tensors: a `Tensors` of rendered pictures.
        rows: (n,) which of its frames to train on.
        params: a `Params`.
        checkpoints: folder to go on from, see `checkpoints.resumable`, and to leave them in.

    Returns:
        weights and about, as `prediction.save_network` takes them.

    Raises:
        InputError: it diverged, or cannot be shared among so many processes.
    """
    plan, model = params.pretrain, params.model
    params = params.model_copy(update={"seed": plan.seed, "loss": plan.loss})
    lightning.seed_everything(params.seed, verbose=False)
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
    _teach_geometry(network, tensors.deck, params, checkpoints)
    for half, epochs in ((True, plan.half_size_epochs), (False, plan.epochs)):
        if epochs:
            name, what = ("half", "pictures of half the size") if half else ("whole", _WHOLE)
            part = Part(name, what, epochs, "pretrain.learning_rate")
            batches = _batches(tensors, rows, params, plan, half)
            module = _first_look(network, params, plan, tensors.deck)
            _fit(part, module, batches, params, checkpoints)
    _look_closer(network, tensors, rows, params, "pretrain", checkpoints)
    _trace(network, tensors, rows, params, "pretrain", checkpoints)
    return network.state_dict(), about


def train(tensors, role, network, about, params, log, checkpoints=None):
    """Train a network on the frames whose role is "train".

    Args:
        tensors: a `Tensors`.
        role: (n,) "train", "validation" or "test", a frame; see `splits.split_frames`.
        network, about: what to start from, as `prediction.load_network` returns them.
        params: a `Params`.
        log: folder for DVCLive, to be made.
        checkpoints: folder to go on from, see `checkpoints.resumable`, and to leave them in.

    Returns:
        weights: state_dict of the network; its first look as it was after the epoch with the
            smallest validation loss (the last epoch where no frame validates).
        about: what `prediction.save_network` stores with them.

    Raises:
        InputError: it diverged, cannot be shared among so many processes, or hardly a frame to
            train on has a label.
    """
    lightning.seed_everything(params.seed, verbose=False)
    known, about = about, {**about, "deck": tensors.deck, "sigma": tensors.sigma}
    started, network = network, CardPose(**network_shape(about))
    network.load_state_dict(started.state_dict())
    if about["deck"] != known["deck"]:
        _teach_geometry(network, tensors.deck, params, checkpoints)
    rows = {name: np.flatnonzero(role == name) for name in ("train", "validation")}
    # Where corners are is learnt from labels: frames without them would only thin these out.
    labelled = rows["train"][tensors.known[rows["train"]].any(axis=1)]
    if len(labelled) < 2:  # batch norm cannot take a single one
        raise InputError(
            f"{len(labelled)} of the {len(rows['train'])} frames to train on have labels: at least"
            " 2 are needed, of recordings that are not held out (params.yaml: split)"
        )
    batches = _batches(tensors, labelled, params, params.train)
    validation = None
    if len(rows["validation"]):
        validation = loader(
            tensors,
            rows["validation"],
            params.train.batch_size,
            workers=params.machine.loader_workers,
        )
    keep, losses = Keep("validation/total" if validation else None), Log()
    part = Part("whole", _WHOLE, params.train.epochs, "train.learning_rate")
    module = _first_look(network, params, params.train, tensors.deck)
    _fit(part, module, batches, params, checkpoints, validation, [keep, losses])
    if rank() == 0:
        with Live(str(log), dvcyaml=None, save_dvc_exp=False) as live:
            losses.write(live)
            live.summary["best_epoch"] = keep.epoch
    network.load_state_dict(keep.weights)
    _look_closer(network, tensors, rows["train"], params, "train", checkpoints)
    _trace(network, tensors, rows["train"], params, "train", checkpoints)
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


def _teach_geometry(network, deck, params, checkpoints):
    geometry = network.head.geometry
    taught = checkpoints and read(checkpoints / "geometry")
    if taught:
        geometry.load_state_dict(taught)
    else:
        rng = np.random.default_rng(params.seed)
        known = params.geometry
        n, size = _PACKETS_A_STEP * known.steps, params.image_size
        packets = simulate(rng, n, deck, size, known.focal, known.card)
        learn_geometry(geometry, packets, size, known.steps)
        if checkpoints and rank() == 0:
            write(checkpoints / "geometry", geometry.state_dict())
    network.closer.geometry.load_state_dict(geometry.state_dict())


def _look_closer(network, tensors, rows, params, section, checkpoints):
    """Train the second look, from the corners that the first one finds; which of them are seen, it
    says too where no label does. `section` is that of params.yaml which says how."""
    options = getattr(params, section)
    if not options.closeup_epochs:
        return
    starts, seen = np.zeros((len(tensors.points), N, 2)), np.array(tensors.visible)
    found = []
    with torch.inference_mode():
        for batch in pairs(tensors, rows, _BATCH):
            heatmaps, _, visibility = network.eval()(batch["pictures"])
            found.append((decode(heatmaps, network.stride, network.sigma)[0], visibility > 0))
    points, visible = (torch.cat(column).numpy() for column in zip(*found, strict=True))
    starts[rows] = points
    seen[rows] = np.where(tensors.known[rows], seen[rows], visible)
    workers = params.machine.loader_workers
    batches = closeups(tensors, starts, rows, options.batch_size, params.seed, workers, seen)
    rate = options.closeup_learning_rate
    module = CloserTraining(network, rate, options.weight_decay, tensors.deck)
    knob = f"{section}.closeup_learning_rate"
    part = Part("closeups", "close-ups", options.closeup_epochs, knob)
    _fit(part, module.train(), batches, params, checkpoints)
    network.eval()


def _trace(network, tensors, rows, params, section, checkpoints):
    """Train the tracing of edges, from where labels and counts say that the edges are; where there
    are no labels, from where the network sees the corners and the count makes a box of them.
    `section` is that of params.yaml which says how."""
    options = getattr(params, section)
    if not options.edge_epochs:
        return
    labels = _labels(network, tensors, rows)
    edges, good = _edges(network.packet, tensors, rows, network.deck_height, labels)
    if not good.any():
        return
    batches = strips(
        tensors, edges, rows[good], options.batch_size, params.seed, params.machine.loader_workers
    )
    module = TracerTraining(network, options.closeup_learning_rate, options.weight_decay)
    knob = f"{section}.closeup_learning_rate"
    part = Part("edges", "strips along edges", options.edge_epochs, knob)
    _fit(part, module.train(), batches, params, checkpoints)
    network.tracer.taught.fill_(1)
    network.eval()


def _labels(network, tensors, rows):
    """Where corners are (n, 8, 2), and which are seen (n, 8): by their labels, and in frames that
    have none, by the network."""
    points, seen = np.array(tensors.points), np.array(tensors.visible)
    unlabelled = rows[~tensors.known[rows].any(axis=1)]
    if len(unlabelled):
        looked = predict(network.eval(), pairs(tensors, unlabelled, _BATCH), {"deck": 1})
        points[unlabelled], seen[unlabelled] = looked.points, looked.visible
    return points, seen


def _edges(packet, tensors, rows, deck_height, labels=None):
    """Where the edges of packets are, by `labels` (as `_labels` returns them; the tensors' own by
    default) and counts: what `strips.Strips` takes, and which of the `rows` are good to learn from.
    Labels that no box explains teach nothing, nor do those too few."""
    labels = labels or (tensors.points, tensors.visible)
    size, n = torch.tensor(tensors.image_size), len(tensors.points)
    edges = {
        "starts": np.zeros((n, 12, 2)),
        "ends": np.zeros((n, 12, 2)),
        "kinds": np.zeros((n, 12, KINDS), bool),
        "heights": np.zeros(n),
    }
    good = []
    for some in np.array_split(rows, -(-len(rows) // _BATCH)):
        points, seen = (torch.from_numpy(a[some]) for a in labels)
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


def _batches(tensors, rows, params, options, half=False):
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


def _first_look(network, params, options, deck):
    rate, decay = options.learning_rate, options.weight_decay
    return Training(network.train(), params.loss, rate, decay, deck)


def _fit(part, module, batches, params, checkpoints, validation=None, callbacks=()):
    """Train a Lightning module, on what there is to compute with; where a checkpoint of this part
    is found, from there on."""
    # Advice on loaders and add-ons, which would bury the progress bar.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
    accelerator, precision = computing(params)
    callbacks = [Watch(part, precision), *callbacks]
    path = start = None
    if checkpoints:
        path = checkpoints / part.name
        callbacks.append(Save(path))
        start = read(path)
    if start and rank() == 0:
        done = start["epoch"] + 1  # Lightning counts from 0
        print(f"training on {part.what} goes on after epoch {done} of {part.epochs}", flush=True)
    shared, plugins = strategy(params.train, module)
    trainer = lightning.Trainer(
        **shared,
        accelerator=accelerator,
        precision=precision,
        max_epochs=part.epochs,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        plugins=[Whole(), *plugins],
    )
    on_interrupt = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(
            module, batches, validation, ckpt_path=path if start else None, weights_only=True
        )
    except SystemExit as ended:
        # Lightning's answer to Ctrl-C, which it ignores from then on.
        signal.signal(signal.SIGINT, on_interrupt)
        if isinstance(ended.__context__, KeyboardInterrupt):
            raise ended.__context__ from None
        raise
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise InputError(
            f"training on {part.what}: a loader worker was killed; if for want of memory, fewer"
            " machine.loader_workers help"
        ) from None
