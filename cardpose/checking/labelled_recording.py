"""Read the labels and pictures of recordings, and measure in them what the rules need."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from cardpose.checking.mirror import mirror_contrast
from cardpose.dataset.annotations import read_annotations
from cardpose.dataset.names import split_frame_name
from cardpose.dataset.recordings import Recording, sampled_pictures
from cardpose.pictures.duplicates import BITS, difference_hash


@dataclass(frozen=True)
class FrameLabels:
    """Labels of n frames of one recording, in the order of the frames' indices.

    `points` are fractions of the picture, NaN where not visible. `mask` says which keypoints are
    labelled.
    """

    indices: Int[np.ndarray, " n"]
    points: Float[np.ndarray, "n 8 2"]
    visible: Bool[np.ndarray, "n 8"]
    mask: Bool[np.ndarray, "n 8"]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, rows: np.ndarray) -> "FrameLabels":
        return FrameLabels(
            self.indices[rows], self.points[rows], self.visible[rows], self.mask[rows]
        )


@dataclass(frozen=True)
class LabelledRecording:
    """A recording and its n labelled frames.

    Attributes:
        name: name of the recording.
        labels: labels of frames that the recording has.
        sizes: (width, height) of the labelled pictures.
        mirror_contrasts: `mirror.mirror_contrast` of the labelled pictures.
        absent: indices of labelled frames that the recording does not have.
        unlabelled: number of sampled frames without a label.
        distinct_sizes: sizes that occur among all pictures read.
        hashes: difference hashes of the m sampled pictures.
    """

    name: str
    labels: FrameLabels
    sizes: Int[np.ndarray, "n 2"]
    mirror_contrasts: Float[np.ndarray, " n"]
    absent: list[int]
    unlabelled: int
    distinct_sizes: list[tuple[int, int]]
    hashes: UInt8[np.ndarray, "m bytes"]


def read_labels(
    path: str | Path, recordings: Sequence[Recording]
) -> tuple[dict[str, FrameLabels], dict[str, list[int]]]:
    """Read annotations.csv; coordinates outside the picture are allowed.

    Returns:
        labels: the labels of each recording, which may be empty.
        strangers: indices of the labelled frames of each recording that is not in `recordings`.

    Raises:
        InputError: see `read_annotations`.
    """
    frames, points, visible, mask = read_annotations(path, outside=True)
    pairs: dict[str, list[tuple[int, int]]] = {recording.name: [] for recording in recordings}
    strangers: dict[str, list[int]] = {}
    for row in np.flatnonzero(mask.any(axis=1)).tolist():
        name, index = split_frame_name(frames[row])
        if name in pairs:
            pairs[name].append((index, row))
        else:
            strangers.setdefault(name, []).append(index)
    labels = {}
    for name, each in pairs.items():
        indices, rows = np.array(sorted(each), int).reshape(-1, 2).T
        labels[name] = FrameLabels(indices, points[rows], visible[rows], mask[rows])
    return labels, strangers


def read_pictures(recording: Recording, labels: FrameLabels, step: int) -> LabelledRecording:
    """Read the sampled and the labelled pictures of a recording, one at a time.

    Args:
        step: sample every `step`-th frame of a video.

    Raises:
        InputError: a picture cannot be read.
    """
    row_of_index = {int(index): row for row, index in enumerate(labels.indices)}
    sizes, contrasts, hashes = {}, {}, []
    unlabelled = 0
    for index, picture in sampled_pictures(recording, step, row_of_index):
        height, width = picture.shape[:2]
        sizes[index] = width, height
        if recording.is_folder or index % step == 0:
            hashes.append(difference_hash(picture))
            unlabelled += index not in row_of_index
        if index in row_of_index:
            row = row_of_index[index]
            contrasts[index] = mirror_contrast(picture, labels.points[row], labels.visible[row])
    present = np.array([index in sizes for index in row_of_index], bool)
    indices = labels.indices[present].tolist()
    return LabelledRecording(
        recording.name,
        labels[present],
        np.array([sizes[index] for index in indices], int).reshape(-1, 2),
        np.array([contrasts[index] for index in indices], float),
        [index for index in row_of_index if index not in sizes],
        unlabelled,
        sorted(set(sizes.values())),
        np.array(hashes, np.uint8).reshape(-1, BITS // 8),
    )
