"""Run a network over frames."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch.utils.data import DataLoader, Dataset

from cardpose.geometry.pose import Pose


class PictureDetailPairs(Dataset):
    """Frames of a `Tensors`, to be looked at twice: "pictures", "details" and "longer"."""

    def __init__(self, tensors, rows):
        self.tensors, self.rows = tensors, rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        t, row = self.tensors, self.rows[index]
        arrays = {"pictures": t.pictures[row], "details": t.details[row]}
        arrays = {name: array.transpose(2, 0, 1).copy() for name, array in arrays.items()}
        return {**arrays, "longer": t.longer[row]}


def pair_loader(tensors, rows, batch_size):
    """A DataLoader of {"pictures", "details", "longer"} over some rows of `tensors`: uint8 RGB, (n,
    3, height, width) and (n, 3, DETAIL height, DETAIL width), and (n,), see `Tensors.longer`."""
    return DataLoader(PictureDetailPairs(tensors, rows), batch_size)


class Predicted(NamedTuple):
    """What a network says of n frames: `cards` (n, 3), not rounded, counted in each of the ways in
    `model.COUNTS`; `points` (n, 8, 2) in pixels of the network's picture; `visible` (n, 8) bool;
    `pose` and `corners` as in `model.Prediction`. All arrays, floats in double precision."""

    cards: np.ndarray
    points: np.ndarray
    visible: np.ndarray
    pose: Pose
    corners: np.ndarray


def predict_frames(network, loader, about, device="cpu"):
    """Run a network over a loader's batches (`pair_loader`): a `Predicted`."""
    looks, network = [], network.to(device)
    with torch.inference_mode():
        for batch in loader:
            pictures, details, longer = (
                batch[name].to(device) for name in ("pictures", "details", "longer")
            )
            look = network.look(pictures, details, network.packet.focal_of(longer))
            cards, visible = look.cards.double() * about["deck"], look.visibility > 0
            looks.append((cards, look.points.double(), visible, *look.pose, look.corners))
    cards, points, visible, rotation, numbers, corners = (
        torch.cat(column).cpu().numpy() for column in zip(*looks, strict=True)
    )
    return Predicted(cards, points, visible, Pose(rotation, numbers), corners)


def interval_margin(predicted, cards, recordings):
    """Half the width of the 90 % interval, in cards.

    Frames of one recording err alike, so what is known of errors is known from as many cases as
    there are recordings, which may be three: Student's t takes that into account.

    Args:
        predicted, cards: (n,) counts of frames that did not train the network.
        recordings: (n,) the recording of each.
    """
    squares = pd.Series((predicted - cards) ** 2).groupby(np.asarray(recordings)).mean()
    return float(stats.t.ppf(0.95, len(squares)) * np.sqrt(squares.mean()))


def count_interval(predicted, margin):
    """(n,) lowest and (n,) highest count that a 90 % interval holds, as arrays or as tensors; NaN
    where `margin` is None."""
    half = np.nan if margin is None else margin
    return (predicted - half).clip(min=0), predicted + half
