"""Calibrate the 90 % intervals of a trained network."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped
from torch import Tensor

from cardpose.dataset.tensors import Tensors
from cardpose.network.intervals import Errors, interval_margin
from cardpose.network.model import COUNTS, CardPose, network_shape
from cardpose.network.predict import FramePredictions, pair_loader, predict_frames
from cardpose.network.recordings import count_recordings
from cardpose.training.targets import PREDICT_BATCH


def calibrate(
    network: CardPose,
    start: Mapping[str, Tensor],
    tensors: Tensors,
    role: Shaped[np.ndarray, " frames"],
    metadata: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the margins of a trained network, `margins` and `recording_margin` of `Metadata`.

    Args:
        network: trained.
        start: weights that training started from.
        role: "train", "validation" or "test", one per frame. Test frames are not used.
        metadata: of the network, without margins.
    """
    validating = np.flatnonzero(role == "validation")
    untrained = CardPose(**network_shape(metadata))
    untrained.load_state_dict(start)
    parts = [
        _errors(untrained, tensors, np.flatnonzero(role != "test"), metadata),
        _errors(untrained, tensors, validating, metadata),
        _errors(network, tensors, validating, metadata),
    ]
    margins = {way: interval_margin(*(errors[way] for errors in parts)) for way in COUNTS}
    by_box = [errors["recording"] for errors in parts]
    counted = all(len(errors.sizes) for errors in by_box)
    return {"margins": margins, "recording_margin": interval_margin(*by_box) if counted else None}


def count_frames(
    network: CardPose,
    tensors: Tensors,
    rows: Int[np.ndarray, " n"],
    metadata: Mapping[str, Any],
) -> FramePredictions:
    """Run a network over frames of a data set."""
    return predict_frames(network.eval(), pair_loader(tensors, rows, PREDICT_BATCH), metadata)


def _errors(
    network: CardPose,
    tensors: Tensors,
    rows: Int[np.ndarray, " n"],
    metadata: Mapping[str, Any],
) -> dict[str, Errors]:
    """Return the errors of each way of counting frames, in cards, and of counting recordings.

    Errors of recordings are in units of their expected errors.
    """
    predicted = count_frames(network, tensors, rows, metadata)
    batches = pair_loader(tensors, rows, PREDICT_BATCH)
    recordings = tensors.frames["recording"].to_numpy()[rows]
    cards = tensors.cards[rows] * tensors.deck
    true = dict(zip(recordings, cards, strict=True))
    errors = {
        way: Errors(abs(column - cards), recordings)
        for way, column in zip(COUNTS, predicted.cards.T, strict=True)
    }
    counts = count_recordings(network, batches, recordings, predicted, metadata)
    sizes = [abs(each.cards - true[name]) / each.deviation for name, each in counts.items()]
    return {**errors, "recording": Errors(np.array(sizes), np.array(list(counts)))}
