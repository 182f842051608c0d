"""Warnings about the results of an evaluation."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped

from cardpose.dataset.tensors import Tensors
from cardpose.params import Split
from cardpose.pictures.duplicates import difference_hash, near_duplicates
from cardpose.pictures.letterbox import fit

_FEW = 5  # held-out recordings; with fewer, a single one can change the results


def cautions(
    report: Mapping[str, Any],
    tensors: Tensors,
    role: Shaped[np.ndarray, " frames"],
    split: Split,
) -> list[str]:
    """Return warnings about the numbers of a report, one line per reason.

    Args:
        report: as `evaluate.evaluate` returns it, with the baseline `start`.
        role: "train", "validation" or "test" of each frame.
        split: `split` of params.yaml.
    """
    lines = []
    recordings, cards = report["data"]["recordings"], report["cards"]
    labelled = tensors.mask[role == "test"].any(axis=1)
    if not labelled.all():
        lines.append(
            f"{labelled.sum()} of the {len(labelled)} held-out frames have labels: keypoints and"
            " visibility are measured on these alone"
        )
    by_frame = split.by == "frame" and not split.test_videos
    if by_frame:
        lines.append(
            "split.by is frame: the network has seen other frames of the held-out recordings, so"
            " the numbers say nothing about new ones"
        )
    if recordings < _FEW:
        held_out = f"{recordings} recording{'s are' if recordings > 1 else ' is'} held out"
        lines.append(f"only {held_out}: with others, the numbers may be quite different")
    if not by_frame:
        for name, other in duplicates_of_training(tensors, role).items():
            lines.append(
                f"{name} is held out, but shows nearly the same pictures as {other}, from which"
                " the network learnt"
            )
    guess, start = (report["baselines"][name]["mae"] for name in ("constant_guess", "start"))
    if cards["mae"] >= guess:
        lines.append(
            f"the network is no better than a constant guess: mean absolute error of"
            f" {cards['mae']:.2f} cards, of the guess {guess:.2f}"
        )
    if cards["mae"] >= start:
        lines.append(
            f"training made the network no better: mean absolute error of {cards['mae']:.2f}"
            f" cards, before {start:.2f}"
        )
    return lines


def duplicates_of_training(tensors: Tensors, role: Shaped[np.ndarray, " frames"]) -> dict[str, str]:
    """Find held-out recordings that show nearly the same pictures as one used in training.

    Recordings of the role "validation" count as used in training.

    Returns:
        {held-out recording: the most similar recording that was used in training}.
    """
    hashes: dict[bool, dict[str, list[np.ndarray]]] = {True: {}, False: {}}  # by whether held out
    frames = tensors.frames
    columns = (frames["recording"], frames["width"], frames["height"], role)
    for row, (recording, *size, part) in enumerate(zip(*columns, strict=True)):
        (width, height), (left, top) = fit(size, tensors.image_size)
        picture = tensors.pictures[row, top : top + height, left : left + width, ::-1]
        picture_hash = difference_hash(np.ascontiguousarray(picture))
        hashes[part == "test"].setdefault(recording, []).append(picture_hash)
    held_out, others = (
        {name: np.array(each) for name, each in hashes[is_held_out].items()}
        for is_held_out in (True, False)
    )
    return near_duplicates(held_out, others)
