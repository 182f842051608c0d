"""Count the recordings of a data set from the predictions of their frames."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float64, Shaped
from torch import Tensor

from cardpose.geometry.projection import Pose
from cardpose.geometry.recording_count import BoxCount, contributions, count_pictures
from cardpose.network.model import COUNTS, CardPose
from cardpose.network.predict import FramePredictions, predict_frames

_BOTH = COUNTS.index("both")


def count_recordings(
    network: CardPose,
    loader: Iterable[Mapping[str, Tensor]],
    recordings: Shaped[np.ndarray, " n"],
    predicted: FramePredictions,
    metadata: Mapping[str, Any],
) -> dict[str, BoxCount]:
    """Count each recording from all its frames.

    Predict the frames a second time, with their edges traced round the box that all frames of their
    recording share.

    Args:
        network, metadata: as `weights.load_network` returns them.
        loader: the frames, as `pair_loader` returns them.
        recordings: recording of each frame. Frames of one recording are in the order they were
            taken.
        predicted: predictions of the frames, without boxes.

    Returns:
        {recording: count}, without recordings whose frames show too few keypoints.
    """
    boxes = shared_boxes(recordings, predicted, metadata)
    again = predict_frames(network, loader, metadata, boxes)
    return recording_counts(recordings, again, metadata)


def shared_boxes(
    recordings: Shaped[np.ndarray, " n"], predicted: FramePredictions, metadata: Mapping[str, Any]
) -> Float64[np.ndarray, "n 4"]:
    """Return the box that all frames of each frame's recording share, in mm; NaN if there is none.

    Args:
        recordings, predicted, metadata: as in `count_recordings`.
    """
    boxes = np.full((len(recordings), 4), np.nan)
    for name, count in recording_counts(recordings, predicted, metadata).items():
        boxes[recordings == name] = count.box.numbers
    return boxes


def recording_counts(
    recordings: Shaped[np.ndarray, " n"], predicted: FramePredictions, metadata: Mapping[str, Any]
) -> dict[str, BoxCount]:
    """Return {recording: count}, without recordings whose frames show too few keypoints.

    Args:
        recordings, predicted, metadata: as in `count_recordings`.
    """
    counts = {}
    for name in np.unique(recordings):
        rows = recordings == name
        pictures = contributions(
            predicted.information[rows],
            predicted.vector[rows],
            predicted.visible[rows],
            Pose(*(part[rows] for part in predicted.pose)),
        )
        count = count_pictures(pictures, predicted.cards[rows, _BOTH], metadata)
        if count:
            counts[str(name)] = count
    return counts
