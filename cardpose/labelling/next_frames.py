"""Draw the frames to label next at random, spread evenly over the recordings.

Frames of one recording are nearly the same picture, so recordings take turns. Those with the fewest
labels come first.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from cardpose.common.errors import InputError
from cardpose.common.files import atomic_output
from cardpose.dataset.layout import labelling_folder
from cardpose.dataset.names import split_frame_name
from cardpose.dataset.recordings import read_recordings
from cardpose.labelling.tasks import labels_by_frame, sampled_frames_index

_SEED = 0


class NextFrame(NamedTuple):
    """A frame to label.

    `before` is the number of frames of its recording that are labelled or drawn before it.
    """

    frame: str
    before: int


def draw_next(dataset: Path, n: int) -> list[NextFrame]:
    """Draw `n` frames of a data set that have no label, or all of them if there are fewer.

    Raises:
        InputError: there are no frames yet, `videos.csv` or `annotations.csv` cannot be read, or
            a frame belongs to no recording in `videos.csv`.
    """
    frames = list(sampled_frames_index(dataset))
    names = {recording.name for recording in read_recordings(dataset)}
    if not {split_frame_name(frame)[0] for frame in frames} <= names:
        raise InputError(
            f"{labelling_folder(dataset)}: is not of the recordings in videos.csv: `cardpose label"
            f" start {Path(dataset).name}` makes it again"
        )
    return draw_frames(frames, labels_by_frame(dataset).keys(), n)


def draw_frames(frames: Sequence[str], labelled: Collection[str], n: int) -> list[NextFrame]:
    """Draw at most `n` of the frames that have no label, in the order they should be labelled.

    The same frames and labels give the same draw.
    """
    count = Counter(split_frame_name(frame)[0] for frame in frames if frame in labelled)
    drawn = []
    for place in np.random.default_rng(_SEED).permutation(len(frames)):
        if frames[place] not in labelled:
            recording, _ = split_frame_name(frames[place])
            drawn.append(NextFrame(frames[place], count[recording]))
            count[recording] += 1
    return sorted(drawn, key=lambda each: each.before)[:n]


def write_next(dataset: Path, drawn: Iterable[NextFrame]) -> None:
    """Write labelling/next.csv, in the order given."""
    with atomic_output(labelling_folder(dataset) / "next.csv") as path:
        table = pd.DataFrame({"frame": [each.frame for each in drawn]})
        table.to_csv(path, index=False, lineterminator="\n")
