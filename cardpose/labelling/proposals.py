"""proposals.csv: where the eight corners of frames that nobody has labelled yet may be.

It lies in `data/<dataset>/labelling/`, beside the folder `frames` that `extraction.extract_frames`
wrote. It is an annotations.csv in which hidden keypoints have places too, with one more column a
keypoint, `<keypoint>_confidence`: how likely its visibility is right and, if it is visible, its
place within 5 pixels (of a picture 640 pixels wide).
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pandera.pandas as pa

from cardpose.common.tables import between, name_column, number_column, read_table
from cardpose.dataset.names import split_frame_name
from cardpose.geometry.keypoints import KEYPOINTS


class Proposals(NamedTuple):
    """`frames`: n names; `points` (n, 8, 2) fractions of width and height, also outside the
    picture; `visible` (n, 8) bool; `confidence` (n, 8), 0 to 1."""

    frames: list
    points: np.ndarray
    visible: np.ndarray
    confidence: np.ndarray


def read_proposals(path):
    """Read and check proposals.csv: a `Proposals`.

    Raises:
        InputError: see `tables.read_table`; also a badly named frame.
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
        table[[f"{name}_{what}" for name in KEYPOINTS]].to_numpy(float)
        for what in ("visible", "x", "y", "confidence")
    )
    points = np.stack([x, y], axis=-1)
    return Proposals(table["frame"].tolist(), points, visible.astype(bool), confidence)


def write_proposals(path, proposals):
    """Write proposals.csv."""
    columns = {"frame": proposals.frames}
    for k, name in enumerate(KEYPOINTS):
        columns[f"{name}_visible"] = proposals.visible[:, k].astype(int)
        columns[f"{name}_x"] = proposals.points[:, k, 0]
        columns[f"{name}_y"] = proposals.points[:, k, 1]
        columns[f"{name}_confidence"] = proposals.confidence[:, k]
    pd.DataFrame(columns).to_csv(path, index=False, float_format="%.6f", lineterminator="\n")
