"""Propose the corners of a data set's frames, before anyone labels them.

For each recording, `view_recording` runs the network on its frames, and `weigh` combines the
predictions with fitted boxes. `write_proposals` writes the proposals of all recordings.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from cardpose.common.files import atomic_output
from cardpose.common.tables import read_own_table
from cardpose.dataset.extraction import extract_frames
from cardpose.dataset.layout import INDEX_COLUMNS, labelling_folder
from cardpose.dataset.recordings import read_recordings
from cardpose.geometry.box import BoxModel
from cardpose.geometry.box_fit import BoxFitter
from cardpose.labelling.evidence import weigh
from cardpose.labelling.proposals import Proposals, write_proposals
from cardpose.labelling.views import view_recording
from cardpose.network.model import CardPose
from cardpose.network.weights import load_network
from cardpose.pictures.letterbox import unit_to_fractions
from cardpose.pictures.reading import read_picture

CLOSE = 5.0  # pixels of a picture 640 wide; a closer proposal needs no correction
DOUBTFUL = 0.5  # a person should check every corner whose confidence is lower
_FURTHEST = 1.0  # largest distance of a place from the picture, as a share of its size


def start_labelling(
    dataset: Path,
    model: Path,
    step: int,
    focal: float,
    card: Sequence[float],
) -> tuple[Proposals, int]:
    """Extract a data set's frames and propose their corners.

    Write `frames/` and `proposals.csv` to the data set's folder labelling/.

    Args:
        dataset: folder of the data set.
        model: file of the network's weights.
        step, focal, card: as in `params.yaml`: `frame_step`, `geometry.focal`, `geometry.card`.

    Returns:
        the proposals, and the number of recordings.

    Raises:
        InputError: `videos.csv`, a recording or the network cannot be read.
    """
    recordings = read_recordings(dataset)
    network, metadata = load_network(model)
    deck = max(recording.total_cards for recording in recordings)
    # Use the deck, card and camera of this data set instead of those of the training.
    network.fitter = BoxFitter(BoxModel(metadata["image_size"], focal, card, deck))
    folder = labelling_folder(dataset)
    with (
        atomic_output(folder / "frames") as frames,
        atomic_output(folder / "proposals.csv") as table,
    ):
        extract_frames(recordings, step, frames)
        index = read_own_table(frames / "index.csv", INDEX_COLUMNS)
        found = []
        with tqdm(total=len(index), desc="propose", unit="frame", disable=None) as bar:
            for recording in recordings:
                rows = index[index["recording"] == recording.name]
                thickness = recording.cards * card[2]
                found.append(
                    propose_recording(
                        network,
                        frames,
                        rows,
                        metadata["image_size"],
                        thickness,
                        focal,
                        card,
                        bar.update,
                    )
                )
        proposals = _concatenate(found)
        write_proposals(table, proposals)
    return proposals, len(recordings)


def propose_recording(
    network: CardPose,
    folder: Path,
    rows: pd.DataFrame,
    image_size: Sequence[int],
    thickness: float,
    focal: float,
    card: Sequence[float],
    progress: Callable[[int], object],
) -> Proposals:
    """Propose the corners of the frames of one recording.

    Args:
        folder: folder that `extract_frames` wrote.
        rows: the recording's rows of its index.csv.
        image_size: (width, height) of the network's picture.
        thickness: thickness of the packet in mm.
        focal, card: as in `params.yaml`.
        progress: called after each batch with its number of frames.
    """
    sizes = rows[["width", "height"]].to_numpy()
    pictures = (read_picture(folder / file) for file in rows["file"])
    view = view_recording(network, pictures, thickness, progress)
    evidence = weigh(view, sizes, image_size, thickness, focal, card)
    visible, confidence = evidence.judge()
    points = unit_to_fractions(evidence.points, sizes)
    # Visible corners lie in the picture, so move proposals outside to its edge.
    points = np.where(visible[..., None], points.clip(0, 1), points)
    points = points.clip(-_FURTHEST, 1 + _FURTHEST)
    return Proposals(rows["frame"].tolist(), points, visible, confidence)


def _concatenate(parts: list[Proposals]) -> Proposals:
    frames = [frame for part in parts for frame in part.frames]
    points, visible, confidence = (
        np.concatenate([part[field] for part in parts]) for field in (1, 2, 3)
    )
    return Proposals(frames, points, visible, confidence)
