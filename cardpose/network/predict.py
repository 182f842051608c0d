"""Run a network over frames."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64, Integer, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cardpose.geometry.projection import Pose
from cardpose.network.model import CardPose


@runtime_checkable
class FrameArrays(Protocol):
    """Fields of `dataset.tensors.Tensors` that predictions need."""

    @property
    def pictures(self) -> UInt8[np.ndarray, "n height width 3"]:
        """RGB, fitted into the network's picture."""

    @property
    def details(self) -> UInt8[np.ndarray, "n 2*height 2*width 3"]:
        """Same pictures at twice the size."""

    @property
    def longer(self) -> Integer[np.ndarray, " n"]:
        """Longer side of each frame in the network's picture, in pixels."""


class PictureDetailPairs(Dataset):
    """Data set of frames. `pair_loader` describes its items."""

    def __init__(self, tensors: FrameArrays, rows: Integer[np.ndarray, " n"]):
        self.tensors, self.rows = tensors, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        t, row = self.tensors, self.rows[index]
        arrays = {"pictures": t.pictures[row], "details": t.details[row]}
        arrays = {name: array.transpose(2, 0, 1).copy() for name, array in arrays.items()}
        return {**arrays, "longer": t.longer[row]}


def pair_loader(
    tensors: FrameArrays, rows: Integer[np.ndarray, " n"], batch_size: int
) -> DataLoader:
    """Load frames in batches of {"pictures", "details", "longer"}, in the order of `rows`.

    "pictures" (n, 3, height, width) and "details" (n, 3, DETAIL height, DETAIL width) are uint8
    RGB; "longer" (n,) is the longer side of each frame in the network's picture, in pixels.
    """
    return DataLoader(PictureDetailPairs(tensors, rows), batch_size)


class FramePredictions(NamedTuple):
    """Predictions for n frames, as arrays.

    Attributes:
        cards: counts in cards, not rounded, one column for each way in `model.COUNTS`.
        points: keypoints in pixels of the network's picture.
        visible: which keypoints are visible.
        pose, corners, information, vector: as in `model.Prediction`.
    """

    cards: Float64[np.ndarray, "n 3"]
    points: Float64[np.ndarray, "n 8 2"]
    visible: Bool[np.ndarray, "n 8"]
    pose: Pose
    corners: Int64[np.ndarray, "n 8"]
    information: Float64[np.ndarray, "n 4 4"]
    vector: Float64[np.ndarray, "n 4"]


def predict_frames(
    network: CardPose,
    loader: Iterable[Mapping[str, Tensor]],
    metadata: Mapping[str, Any],
    boxes: Float64[np.ndarray, "n 4"] | None = None,
    device: str | torch.device = "cpu",
) -> FramePredictions:
    """Run a network over the batches of a `pair_loader`.

    Args:
        network: network in evaluation mode; it is moved to `device`.
        loader: the batches.
        metadata: of the network; uses "deck" to convert counts to cards.
        boxes: of the frames' packets, see `CardPose.predict`.
        device: device to compute on.
    """
    columns, network, done = [], network.to(device), 0
    with torch.inference_mode():
        for batch in loader:
            pictures, details, longer = (
                batch[name].to(device) for name in ("pictures", "details", "longer")
            )
            rows = slice(done, done := done + len(longer))
            given = None if boxes is None else torch.from_numpy(boxes[rows]).to(device)
            focal = network.fitter.box.focal_of(longer)
            found = network.predict(pictures, details, focal, given)
            in_cards = found.cards.double() * metadata["deck"]
            visible = found.visibility > 0
            said = found.corners, found.information, found.vector
            columns.append((in_cards, found.points.double(), visible, *found.pose, *said))
    arrays = [torch.cat(column).cpu().numpy() for column in zip(*columns, strict=True)]
    cards, points, seen, rotation, numbers, *others = arrays
    pose = Pose(rotation, numbers)  # type: ignore[arg-type]
    return FramePredictions(cards, points, seen, pose, *others)
