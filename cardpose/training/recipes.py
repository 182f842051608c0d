"""Two training recipes: pretraining on rendered pictures, and training on recordings.

Both teach geometry, fit whole pictures, refine corners and trace edges, in this order. Pretraining
starts from a new network. Training starts from the pretrained network and teaches geometry only if
the deck has changed. After fitting whole pictures, training keeps the weights of the epoch with the
smallest validation loss. In the end, it blends the trained weights with those it started from, as
the validation frames are counted best.
"""

from contextlib import chdir, nullcontext
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from dvclive import Live
from jaxtyping import Int
from scmrepo.exceptions import SCMError

from cardpose.common.errors import InputError
from cardpose.dataset.tensors import Tensors
from cardpose.network.model import COUNTS, CardPose, network_shape
from cardpose.params import Params
from cardpose.training.blending import best_share, blend
from cardpose.training.calibration import calibrate, count_frames
from cardpose.training.callbacks import KeepBest
from cardpose.training.distributed import rank
from cardpose.training.parts import pretrain_parts, train_parts
from cardpose.training.steps import fit_pictures, refine_corners, teach_geometry, trace_edges

Weights = dict[str, torch.Tensor]
Metadata = dict[str, Any]


def pretrain(
    tensors: Tensors,
    rows: Int[np.ndarray, " rows"],
    params: Params,
    checkpoints: Path | None = None,
) -> tuple[Weights, Metadata]:
    """Train a new network on rendered pictures.

    The network trains on half-size pictures first, which is nearly three times as fast. To find
    and name the corners, it needs a view of the whole packet but no details.

    Args:
        tensors: rendered pictures and their labels.
        rows: frames to train on.
        params: all parameters; the seed and the loss weights come from `pretrain`.
        checkpoints: folder to read and write checkpoints in, see `resumable`.

    Returns:
        weights and metadata, for `save_network`.

    Raises:
        InputError: the training diverged, or the processes cannot share its frames.
    """
    options, model, geometry = params.pretrain, params.model, params.geometry
    params = params.model_copy(update={"seed": options.seed, "loss": options.loss})
    lightning.seed_everything(params.seed, verbose=False)
    metadata = {
        "encoder": model.encoder,
        "widths": model.widths,
        "stride": tensors.stride,
        "hidden": model.hidden,
        "image_size": list(tensors.image_size),
        "sigma": tensors.sigma,
        "deck": tensors.deck,
        "focal": geometry.focal,
        "card": geometry.card,
        "margins": None,
    }
    network = CardPose(**network_shape(metadata))
    half, whole, closeups, edges = pretrain_parts(options)
    teach_geometry(network, tensors.deck, params, checkpoints)
    fit_pictures(network, tensors, rows, half, params, checkpoints, half=True)
    fit_pictures(network, tensors, rows, whole, params, checkpoints)
    refine_corners(network, tensors, rows, closeups, params, checkpoints)
    trace_edges(network, tensors, rows, edges, params, checkpoints)
    return network.state_dict(), metadata


def train(
    tensors: Tensors,
    role: np.ndarray,
    network: CardPose,
    metadata: Metadata,
    params: Params,
    log: Path,
    checkpoints: Path | None = None,
) -> tuple[Weights, Metadata]:
    """Train a copy of a network on the frames whose role is "train".

    Args:
        tensors: pictures and labels of recordings.
        role: "train", "validation" or "test", one per frame, see `split_frames`.
        network: the network to start from.
        metadata: metadata of that network.
        params: all parameters.
        log: folder where DVCLive writes the losses after every epoch.
        checkpoints: folder to read and write checkpoints in, see `resumable`.

    Returns:
        weights: weights of the network: a blend of those it started from and the trained ones, see
            `blending`. Those for heatmaps, count and visibility come from the epoch with the
            smallest validation loss. Without validation frames, they come from the last epoch and
            are not blended.
        metadata: metadata to store with the weights, see `save_network`.

    Raises:
        InputError: the training diverged, the processes cannot share its frames, or fewer than two
            frames to train on have a label.
    """
    lightning.seed_everything(params.seed, verbose=False)
    network, metadata = _continue(network, metadata, tensors, params, checkpoints)
    start = {name: weights.clone() for name, weights in network.state_dict().items()}
    training, validating = (np.flatnonzero(role == name) for name in ("train", "validation"))
    labelled = _labelled(tensors, training)
    whole, closeups, edges = train_parts(params.train)
    best = KeepBest("validation/total" if len(validating) else None)
    with _open_log(log) if rank() == 0 else nullcontext() as live:
        fit_pictures(
            network,
            tensors,
            labelled,
            whole,
            params,
            checkpoints,
            validating=validating,
            live=live,
            callbacks=[best],
        )
        network.load_state_dict(best.weights)
        refine_corners(network, tensors, training, closeups, params, checkpoints, validating, live)
        trace_edges(network, tensors, training, edges, params, checkpoints, validating, live)
        summary: dict[str, Any] = {"best_epoch": best.epoch}
        if len(validating):
            share = _blend_with_start(network, start, tensors, validating, metadata)
            summary["trained_share"] = share
            metadata |= calibrate(network, start, tensors, role, metadata)
        if live:
            live.summary.update(summary)
    return network.state_dict(), metadata


def _continue(
    network: CardPose,
    metadata: Metadata,
    tensors: Tensors,
    params: Params,
    checkpoints: Path | None,
) -> tuple[CardPose, Metadata]:
    """Copy a network for a data set. Teach it geometry again if the size of the deck differs."""
    changed = {**metadata, "deck": tensors.deck, "sigma": tensors.sigma}
    copy = CardPose(**network_shape(changed))
    copy.load_state_dict(network.state_dict())
    if changed["deck"] != metadata["deck"]:
        teach_geometry(copy, tensors.deck, params, checkpoints)
    return copy, changed


def _labelled(tensors: Tensors, rows: np.ndarray) -> np.ndarray:
    """Return the rows of frames with at least one label, as training on whole pictures needs."""
    labelled = rows[tensors.mask[rows].any(axis=1)]
    if len(labelled) < 2:  # batch norm needs at least two
        raise InputError(
            f"{len(labelled)} of the {len(rows)} frames to train on have labels: at least"
            " 2 are needed, of recordings that are not held out (params.yaml: split)"
        )
    return labelled


def _open_log(log: Path) -> Live:
    """Open a DVCLive log in the folder `log`."""
    folder = log.absolute()
    try:
        return Live(str(folder), dvcyaml=None, save_dvc_exp=False)
    except SCMError:
        # DVCLive asks the repository around the working directory for its last commit and fails
        # if there is none. Outside any repository it does not ask.
        with chdir(folder.anchor):
            return Live(str(folder), dvcyaml=None, save_dvc_exp=False)


def _blend_with_start(
    network: CardPose, start: Weights, tensors: Tensors, rows: np.ndarray, metadata: Metadata
) -> float:
    """Blend a network with its start, so that it counts the frames in `rows` best.

    Returns:
        share of the trained weights.
    """
    trained = {name: weights.clone() for name, weights in network.state_dict().items()}
    counted = tensors.cards[rows] * tensors.deck

    def measure(share: float) -> float:
        """Return the mean absolute error of the count `both`, in cards."""
        network.load_state_dict(blend(start, trained, share))
        predicted = count_frames(network, tensors, rows, metadata).cards
        return float(abs(predicted[:, COUNTS.index("both")] - counted).mean())

    share = best_share(measure)
    network.load_state_dict(blend(start, trained, share))
    return share
