"""Count the recordings of a data set from the predictions of their frames."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped

from cardpose.geometry.projection import Pose
from cardpose.geometry.recording_count import BoxCount, contributions, count_pictures
from cardpose.network.model import COUNTS
from cardpose.network.predict import FramePredictions

_BOTH = COUNTS.index("both")


def count_recordings(
    recordings: Shaped[np.ndarray, " n"], predicted: FramePredictions, metadata: Mapping[str, Any]
) -> dict[str, BoxCount]:
    """Count each recording from all its frames.

    Args:
        recordings: recording of each frame. Frames of one recording are in the order they were
            taken.
        metadata: of the network; uses "card" and "deck".

    Returns:
        {recording: count}, without recordings whose frames show too few keypoints.
    """
    counts = {}
    for recording in np.unique(recordings):
        rows = recordings == recording
        pictures = contributions(
            predicted.information[rows],
            predicted.vector[rows],
            predicted.visible[rows],
            Pose(*(part[rows] for part in predicted.pose)),
        )
        count = count_pictures(pictures, predicted.cards[rows, _BOTH], metadata)
        if count:
            counts[str(recording)] = count
    return counts
