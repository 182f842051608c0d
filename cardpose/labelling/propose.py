"""Where the corners of frames may be that nobody has labelled yet, and how likely that is right.

Three views of a corner err differently: where the network sees it close up; where a box would show
it that fits the corners of all frames of its recording; and where a box would that fits the edges
traced in this frame. The count is known, so is about how thick the boxes are. Proposed is the
median of the three. What a corner is called, and whether the box hides it, follow from the box.

Places are in pixels of a picture whose longer side has UNIT[0], its middle at UNIT / 2.
"""

import numpy as np
import pandas as pd
from tqdm import tqdm

from cardpose.common.files import atomic_output
from cardpose.common.tables import read_own_table
from cardpose.dataset.extraction import extract_frames
from cardpose.dataset.layout import INDEX_COLUMNS, labelling_folder
from cardpose.dataset.recordings import read_recordings
from cardpose.geometry.pose import Packet
from cardpose.labelling.evidence import weigh
from cardpose.labelling.proposals import Proposals, write_proposals
from cardpose.labelling.views import view_recording
from cardpose.network.weights import load_network
from cardpose.pictures.letterbox import unit_to_fractions
from cardpose.pictures.reading import read_picture

CLOSE = 5.0  # pixels: a proposal that near needs no correction
DOUBTFUL = 0.5  # confidence below which a corner surely needs a look
_FURTHEST = 1.0  # a place is proposed at most so many pictures outside of the picture


def start(dataset, model, step, focal, card):
    """Extract a data set's frames, and propose where the corners are, into its folder labelling/:
    `frames/`, `proposals.csv` and `seen.csv`, whose columns are `frame`, `cards`, how many the
    frame alone seems to show, and `apart`, see `Evidence`.

    Args:
        dataset: its folder.
        model: the network's file.
        step, focal, card: as `params.yaml` has them: `frame_step`, and below `geometry`.

    Returns:
        the `Proposals`, and the number of recordings.

    Raises:
        InputError: `videos.csv`, a recording or the network cannot be read.
    """
    recordings = read_recordings(dataset)
    network, about = load_network(model)
    deck = max(recording.total_cards for recording in recordings)
    # Of the deck and the camera that are before us, whatever the network has learnt from.
    network.packet = Packet(about["image_size"], focal, card, deck)
    folder = labelling_folder(dataset)
    with (
        atomic_output(folder / "frames") as frames,
        atomic_output(folder / "proposals.csv") as table,
        atomic_output(folder / "seen.csv") as seen,
    ):
        extract_frames(recordings, step, frames)
        index = read_own_table(frames / "index.csv", INDEX_COLUMNS)
        found = []
        with tqdm(total=len(index), desc="propose", unit="frame", disable=None) as bar:
            for recording in recordings:
                rows = index[index["recording"] == recording.name]
                pictures = (read_picture(frames / file) for file in rows["file"])
                thickness = recording.cards * card[2]
                sizes = rows[["width", "height"]].to_numpy()
                view = view_recording(network, pictures, len(rows), thickness, bar.update)
                weighed = weigh(view, sizes, about["image_size"], thickness, focal, card)
                visible, confidence = weighed.proposed()
                points = unit_to_fractions(weighed.points, sizes)
                inside = points.clip(0, 1)  # where a visible corner is, or nearly
                points = np.where(visible[..., None], inside, points)
                points = points.clip(-_FURTHEST, 1 + _FURTHEST)
                names = rows["frame"].tolist()
                found.append(
                    (names, points, visible, confidence, view.thickness / card[2], weighed.apart)
                )
        names, *arrays = zip(*found, strict=True)
        *arrays, cards, apart = (np.concatenate(array) for array in arrays)
        proposals = Proposals([name for some in names for name in some], *arrays)
        write_proposals(table, proposals)
        columns = {"frame": proposals.frames, "cards": cards, "apart": apart}
        pd.DataFrame(columns).round(2).to_csv(seen, index=False, lineterminator="\n")
    return proposals, len(recordings)
