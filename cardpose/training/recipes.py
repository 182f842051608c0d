"""Training, part after part: what is taught when, what is logged, which network is kept."""

import lightning
import numpy as np
from dvclive import Live

from cardpose.common.errors import InputError
from cardpose.network.intervals import interval_margin
from cardpose.network.model import COUNTS, CardPose, network_shape
from cardpose.network.predict import pair_loader, predict_frames
from cardpose.training.batches import frame_loader
from cardpose.training.callbacks import KeepBest, LossHistory, Part
from cardpose.training.distributed import rank
from cardpose.training.fit import fit
from cardpose.training.modules import WholePictureModule
from cardpose.training.parts import _BATCH, refine_corners, teach_geometry, trace_edges

_WHOLE = "whole pictures"


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
        weights and about, as `weights.save_network` takes them.

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
    teach_geometry(network, tensors.deck, params, checkpoints)
    for half, epochs in ((True, plan.half_size_epochs), (False, plan.epochs)):
        if epochs:
            name, what = ("half", "pictures of half the size") if half else ("whole", _WHOLE)
            part = Part(name, what, epochs, "pretrain.learning_rate")
            batches = _batches(tensors, rows, params, plan, half)
            module = _first_look(network, params, plan, tensors.deck)
            fit(part, module, batches, params, checkpoints)
    refine_corners(network, tensors, rows, params, "pretrain", checkpoints)
    trace_edges(network, tensors, rows, params, "pretrain", checkpoints)
    return network.state_dict(), about


def train(tensors, role, network, about, params, log, checkpoints=None):
    """Train a network on the frames whose role is "train".

    Args:
        tensors: a `Tensors`.
        role: (n,) "train", "validation" or "test", a frame; see `splits.split_frames`.
        network, about: what to start from, as `weights.load_network` returns them.
        params: a `Params`.
        log: folder for DVCLive, to be made.
        checkpoints: folder to go on from, see `checkpoints.resumable`, and to leave them in.

    Returns:
        weights: state_dict of the network; its first look as it was after the epoch with the
            smallest validation loss (the last epoch where no frame validates).
        about: what `weights.save_network` stores with them.

    Raises:
        InputError: it diverged, cannot be shared among so many processes, or hardly a frame to
            train on has a label.
    """
    lightning.seed_everything(params.seed, verbose=False)
    known, about = about, {**about, "deck": tensors.deck, "sigma": tensors.sigma}
    started, network = network, CardPose(**network_shape(about))
    network.load_state_dict(started.state_dict())
    if about["deck"] != known["deck"]:
        teach_geometry(network, tensors.deck, params, checkpoints)
    rows = {name: np.flatnonzero(role == name) for name in ("train", "validation")}
    # Where corners are is learnt from labels: frames without them would only thin these out.
    labelled = rows["train"][tensors.mask[rows["train"]].any(axis=1)]
    if len(labelled) < 2:  # batch norm cannot take a single one
        raise InputError(
            f"{len(labelled)} of the {len(rows['train'])} frames to train on have labels: at least"
            " 2 are needed, of recordings that are not held out (params.yaml: split)"
        )
    batches = _batches(tensors, labelled, params, params.train)
    validation = None
    if len(rows["validation"]):
        validation = frame_loader(
            tensors,
            rows["validation"],
            params.train.batch_size,
            workers=params.machine.loader_workers,
        )
    keep, losses = KeepBest("validation/total" if validation else None), LossHistory()
    part = Part("whole", _WHOLE, params.train.epochs, "train.learning_rate")
    module = _first_look(network, params, params.train, tensors.deck)
    fit(part, module, batches, params, checkpoints, validation, [keep, losses])
    if rank() == 0:
        with Live(str(log), dvcyaml=None, save_dvc_exp=False) as live:
            losses.write(live)
            live.summary["best_epoch"] = keep.epoch
    network.load_state_dict(keep.weights)
    refine_corners(network, tensors, rows["train"], params, "train", checkpoints)
    trace_edges(network, tensors, rows["train"], params, "train", checkpoints)
    if validation:
        unseen = pair_loader(tensors, rows["validation"], _BATCH)
        cards = predict_frames(network.eval(), unseen, about).cards
        true = tensors.cards[rows["validation"]] * tensors.deck
        recordings = tensors.frames["recording"].iloc[rows["validation"]]
        about["margins"] = {
            way: interval_margin(column, true, recordings)
            for way, column in zip(COUNTS, cards.T, strict=True)
        }
    return network.state_dict(), about


def _batches(tensors, rows, params, options, half=False):
    return frame_loader(
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
    return WholePictureModule(network.train(), params.loss, rate, decay, deck)
