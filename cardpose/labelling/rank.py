"""Which unlabelled frames are most worth a person's time now.

Recordings take turns, those with the fewest labels first: another packet, another light and another
count teach more than another frame of the same recording. Within a turn the next frame is the one
that looks least like any that is labelled or chosen already, times how doubtful its proposal is.
The first factor is farthest-first traversal, by which O. Sener and S. Savarese choose what to label
in "Active Learning for Convolutional Neural Networks: A Core-Set Approach", 2018; with few labels
it often does better than doubt alone, which picks look-alikes.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cardpose.common.errors import InputError
from cardpose.common.files import atomic_output
from cardpose.common.tables import read_own_table
from cardpose.dataset.annotations import read_annotations
from cardpose.dataset.layout import labelling_folder
from cardpose.dataset.names import split_frame_name
from cardpose.dataset.recordings import read_recordings
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.labelling.proposals import read_proposals

UNSURE = 0.7  # confidence, below which a corner is named as a reason
FAR = 8.0  # pixels of 640: a box that far off what the network sees is named as a reason
_ALIKE = 0.05  # added to how different frames look: of look-alikes too, the doubtful come first
_SHOWN = 3  # corners named at most


@dataclass(frozen=True)
class Candidates:
    """What is known of n frames: `frames` their names; `recordings` (n,); `points` (n, 8, 2)
    proposed, as fractions; `confidence` (n, 8); `known` (n,) the count of the recording, `cards`
    (n,) what the frame alone seems to show; `apart` (n,), see `evidence.Evidence`; `labelled` (n,)
    bool."""

    frames: list
    recordings: np.ndarray
    points: np.ndarray
    confidence: np.ndarray
    known: np.ndarray
    cards: np.ndarray
    apart: np.ndarray
    labelled: np.ndarray

    @property
    def doubt(self):
        """(n,) how many corners are wrong, on average, and one more where the count is: three
        cards are as much as one corner."""
        count = (abs(self.cards - self.known) / 3).clip(0, 1)
        return (1 - self.confidence).sum(axis=1) + count


def read_candidates(dataset):
    """The frames of a data set that have proposals: `Candidates`.

    Raises:
        InputError: there are no proposals, or they, `videos.csv` or `annotations.csv` are damaged
            or do not belong together.
    """
    folder, path = labelling_folder(dataset), Path(dataset) / "annotations.csv"
    counts = {recording.name: recording.cards for recording in read_recordings(dataset)}
    if not (folder / "proposals.csv").exists():
        raise InputError(
            f"{folder / 'proposals.csv'}: there are no proposals yet: `cardpose label start"
            f" {Path(dataset).name}` makes them"
        )
    proposals = read_proposals(folder / "proposals.csv")
    names = [split_frame_name(frame)[0] for frame in proposals.frames]
    seen = read_own_table(folder / "seen.csv", ["frame", "cards", "apart"])
    if seen["frame"].tolist() != proposals.frames or not set(names) <= counts.keys():
        raise InputError(
            f"{folder}: is not of the recordings in videos.csv: `cardpose label start"
            f" {Path(dataset).name}` makes it again"
        )
    labelled = set()
    if path.exists():
        frames, _, _, mask = read_annotations(path, outside=True)
        labelled = {frame for frame, row in zip(frames, mask, strict=True) if row.any()}
    return Candidates(
        proposals.frames,
        np.array(names),
        proposals.points,
        proposals.confidence,
        np.array([counts[name] for name in names], float),
        seen["cards"].to_numpy(float),
        seen["apart"].to_numpy(float),
        np.array([frame in labelled for frame in proposals.frames]),
    )


def choose(candidates, n):
    """Which rows to label next, at most `n` of them, most worth first."""
    _, recording = np.unique(candidates.recordings, return_inverse=True)
    taken = candidates.labelled.copy()
    looks = np.concatenate(
        [
            candidates.points.clip(-0.5, 1.5).reshape(len(taken), -1),
            candidates.known[:, None] / max(candidates.known.max(), 1),
        ],
        axis=1,
    )
    nearest = np.full(len(taken), np.sqrt(looks.shape[1]))  # further than any two are apart
    for row in np.flatnonzero(taken):
        nearest = np.minimum(nearest, np.linalg.norm(looks - looks[row], axis=1))
    labels = np.bincount(recording[taken], minlength=recording.max() + 1)
    chosen = []
    while len(chosen) < n and not taken.all():
        free = np.flatnonzero(~taken)
        turn = free[labels[recording[free]] == labels[recording[free]].min()]
        row = turn[np.argmax((nearest[turn] + _ALIKE) * candidates.doubt[turn])]
        chosen.append(int(row))
        taken[row] = True
        labels[recording[row]] += 1
        nearest = np.minimum(nearest, np.linalg.norm(looks - looks[row], axis=1))
    return chosen


def reasons(candidates, rows):
    """A line for each of the chosen rows: why it is worth a person's time."""
    count = {}
    for name in candidates.recordings[candidates.labelled]:
        count[name] = count.get(name, 0) + 1
    lines = []
    for row in rows:
        name = candidates.recordings[row]
        before = count.get(name, 0)
        count[name] = before + 1
        lines.append(_reason(candidates, row, before))
    return lines


def _reason(candidates, row, before):
    """`before`: how many frames of its recording are labelled, or chosen before it."""
    found = [
        "first of its recording" if not before else f"{before} of its recording before it",
    ]
    if candidates.apart[row] >= FAR:
        found.append("no box fits it")
    confidence = candidates.confidence[row]
    unsure = [k for k in np.argsort(confidence) if confidence[k] < UNSURE]
    if unsure:
        some = ", ".join(KEYPOINTS[k].replace("_", " ") for k in unsure[:_SHOWN])
        more = f" and {len(unsure) - _SHOWN} more" if len(unsure) > _SHOWN else ""
        found.append(f"unsure: {some}{more}")
    cards, known = candidates.cards[row], candidates.known[row]
    if abs(cards - known) >= max(3, 0.1 * known):
        found.append(f"looks like {max(cards, 0):.0f} cards of {known:.0f}")
    return "; ".join(found)


def write_next(dataset, candidates, rows):
    """Write labelling/next.csv, most worth first."""
    with atomic_output(labelling_folder(dataset) / "next.csv") as path:
        table = pd.DataFrame({"frame": [candidates.frames[row] for row in rows]})
        table.to_csv(path, index=False, lineterminator="\n")
