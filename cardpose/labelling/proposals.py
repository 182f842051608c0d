"""Read and write proposals.csv, the proposed corners of the sampled frames.

The file lies in `data/<dataset>/labelling/`, beside the folder `frames` that `extract_frames`
wrote. It has the columns of annotations.csv and `<keypoint>_confidence` for each keypoint. Hidden
keypoints have places, too. Confidence is the probability that the visibility is right and, for a
visible keypoint, that the place is right to within 5 pixels of a picture 640 pixels wide.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pandera.pandas as pa
from jaxtyping import Bool, Float

from cardpose.common.tables import between, name_column, number_column, read_table
from cardpose.dataset.names import split_frame_name
from cardpose.geometry.keypoints import KEYPOINTS


class Proposal(NamedTuple):
    """Proposed corners of one frame; see `Proposals`."""

    points: Float[np.ndarray, "8 2"]
    visible: Bool[np.ndarray, "8"]
    confidence: Float[np.ndarray, "8"]


class Proposals(NamedTuple):
    """Proposed corners of n frames.

    Attributes:
        frames: their names.
        points: fractions of the picture's width and height; hidden ones may lie outside.
        visible: whether each keypoint is visible.
        confidence: 0 to 1.
    """

    frames: list[str]
    points: Float[np.ndarray, "n 8 2"]
    visible: Bool[np.ndarray, "n 8"]
    confidence: Float[np.ndarray, "n 8"]


def read_proposals(path: str | Path) -> Proposals:
    """Read and check proposals.csv.

    Raises:
        InputError: the table is faulty (see `read_table`), or a frame is misnamed.
    """
    columns = {"frame": name_column()}
    for name in KEYPOINTS:
        columns[f"{name}_visible"] = number_column("int64", between(0, 1))
        columns[f"{name}_x"] = columns[f"{name}_y"] = number_column("float64")
        columns[f"{name}_confidence"] = number_column("float64", between(0, 1))
    table = read_table(path, pa.DataFrameSchema(columns))
    for line, frame in table["frame"].items():
        split_frame_name(frame, f"{path}: line {line}: frame")
    visible, x, y, confidence = (
        table[[f"{name}_{field}" for name in KEYPOINTS]].to_numpy(float)
        for field in ("visible", "x", "y", "confidence")
    )
    points = np.stack([x, y], axis=-1)
    return Proposals(table["frame"].tolist(), points, visible.astype(bool), confidence)


def write_proposals(path: str | Path, proposals: Proposals) -> None:
    """Write proposals.csv."""
    columns: dict[str, object] = {"frame": proposals.frames}
    for k, name in enumerate(KEYPOINTS):
        columns[f"{name}_visible"] = proposals.visible[:, k].astype(int)
        columns[f"{name}_x"] = proposals.points[:, k, 0]
        columns[f"{name}_y"] = proposals.points[:, k, 1]
        columns[f"{name}_confidence"] = proposals.confidence[:, k]
    pd.DataFrame(columns).to_csv(path, index=False, float_format="%.6f", lineterminator="\n")
