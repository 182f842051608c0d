"""Where the corners of frames may be that nobody has labelled yet, and how likely that is right.

Three views of a corner err differently: where the network sees it close up; where a box would show
it that fits the corners of all frames of its recording; and where a box would that fits the edges
traced in this frame. The count is known, so is about how thick the boxes are. Proposed is the
median of the three. What a corner is called, and whether the box hides it, follow from the box.

Places are in pixels of a picture whose longer side has UNIT[0], its middle at UNIT / 2.
"""

from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
import torch
from scipy.special import expit
from tqdm import tqdm

from cardpose.box import fit_box
from cardpose.closeups import sample
from cardpose.extraction import extract_frames
from cardpose.files import replacing
from cardpose.findings import parameters
from cardpose.heatmaps import decode
from cardpose.keypoints import BACK, CORNER, name_corners
from cardpose.misfit import UNIT
from cardpose.model import CLEAR
from cardpose.pictures import DETAIL, fit, resize_to_fit, to_original
from cardpose.pose import Packet
from cardpose.prediction import load_network
from cardpose.proposals import Proposals, labelling, write_proposals
from cardpose.reading import read_picture
from cardpose.recordings import INDEX, read_recordings
from cardpose.tables import read_own_table

CLOSE = 5.0  # pixels: a proposal that near needs no correction
DOUBTFUL = 0.5  # confidence below which a corner surely needs a look

_BATCH = 8  # pictures
_TOGETHER = 50  # frames of a recording that one box is fitted to
_ASTRAY = 8.0  # pixels; a box further off most of what the network sees is of no use
_FURTHEST = 1.0  # a place is proposed at most so many pictures outside of the picture

# What confidence follows from, by logistic regression on rendered recordings that the network has
# not seen (`python -m benchmarks.proposals --calibrate 1001`): see `Evidence`.
_SHOWN = (0.919, 1.854, 1.387, 1.827), -1.052
_PLACED = (-1.258, 3.539), 0.424


class View(NamedTuple):
    """What a network sees in n frames, in pixels of its picture: `points` (n, 8, 2), `logits` of
    their visibility and `peaks` of their heatmaps (n, 8), by the names that it gives; `rotation`
    (n, 3, 3) and `numbers` (n, 8), see `pose.Pose`, of the box of known thickness that fits these
    in each frame alone, and `names` (n, 8), which point each of its keypoints is; `alone` and
    `traced` (n, 8, 2), where that box has its keypoints, and where a box that fits the edges
    too; `thickness` (n,) of that one in mm."""

    points: np.ndarray
    logits: np.ndarray
    peaks: np.ndarray
    rotation: np.ndarray
    numbers: np.ndarray
    names: np.ndarray
    alone: np.ndarray
    traced: np.ndarray
    thickness: np.ndarray

    @property
    def sure(self):
        """(n, 8) how much a point counts: a keypoint that is hardly found may be another's."""
        return (self.logits > 0) * (self.peaks / CLEAR).clip(0.05, 1)


class Evidence(NamedTuple):
    """What is known of each corner of n frames.

    `points` (n, 8, 2) is where it is proposed; `shown` (n, 8, 4) tells whether it is visible: what
    the network says (logit), how far it stands out of the box's outline, how far inside the
    picture, and whether it is one of the back, which no packet hides; `placed` (n, 8, 2) tells how
    good the place is: how far apart the three views are, and how high the heatmap's peak. `apart`
    (n,) is how far off the box is from most corners of the frame, in pixels.
    """

    points: np.ndarray
    shown: np.ndarray
    placed: np.ndarray
    apart: np.ndarray

    def proposed(self, shown=_SHOWN, placed=_PLACED):
        """(n, 8) bool whether each is visible, and (n, 8) the confidence, see `proposals`."""
        visible, place = (
            expit(values @ np.array(slopes) + start)
            for values, (slopes, start) in ((self.shown, shown), (self.placed, placed))
        )
        return visible > 0.5, np.where(visible > 0.5, visible * place, 1 - visible)


def start(dataset, model):
    """Extract a data set's frames, and propose where the corners are, into its folder labelling/:
    `frames/`, `proposals.csv` and `seen.csv`, whose columns are `frame`, `cards`, how many the
    frame alone seems to show, and `apart`, see `Evidence`.

    Args:
        dataset: its folder.
        model: the network's file.

    Returns:
        the `Proposals`, and the number of recordings.

    Raises:
        InputError: `videos.csv`, a recording or the network cannot be read.
    """
    recordings = read_recordings(dataset)
    step, focal, card = parameters()
    network, about = load_network(model)
    deck = max(recording.total_cards for recording in recordings)
    # Of the deck and the camera that are before us, whatever the network has learnt from.
    network.packet = Packet(about["image_size"], focal, card, deck)
    folder = labelling(dataset)
    with (
        replacing(folder / "frames") as frames,
        replacing(folder / "proposals.csv") as table,
        replacing(folder / "seen.csv") as seen,
    ):
        extract_frames(recordings, step, frames)
        index = read_own_table(frames / "index.csv", INDEX)
        found = []
        with tqdm(total=len(index), desc="propose", unit="frame", disable=None) as bar:
            for recording in recordings:
                rows = index[index["recording"] == recording.name]
                pictures = (read_picture(frames / file) for file in rows["file"])
                thickness = recording.cards * card[2]
                sizes = rows[["width", "height"]].to_numpy()
                view = look(network, pictures, len(rows), thickness, bar.update)
                weighed = weigh(view, sizes, about["image_size"], thickness, focal, card)
                visible, confidence = weighed.proposed()
                points = to_fractions(weighed.points, sizes)
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


def look(network, pictures, n, thickness, done=lambda n: None):
    """What a network sees in the pictures of a recording: a `View`.

    Args:
        network: a `CardPose`, ready to predict.
        pictures: yields n of them, (height, width, 3) uint8 BGR; some are in memory at a time.
        thickness: of the packet in mm, about.
        done: is called with the number of pictures that were looked at.
    """
    columns, packet, size = [], network.packet, network.image_size
    pictures = iter(pictures)
    for start in range(0, n, _BATCH):
        some = [next(pictures)[..., ::-1] for _ in range(min(_BATCH, n - start))]
        whole, details = (
            torch.from_numpy(np.stack([resize_to_fit(p, size, times) for p in some]))
            for times in (1, DETAIL)
        )
        longer = torch.tensor([float(max(fit(p.shape[1::-1], size)[0])) for p in some])
        with torch.inference_mode():
            heatmaps, _, logits = network(whole.permute(0, 3, 1, 2))
            details = details.permute(0, 3, 1, 2).float()
            points, peaks = decode(heatmaps.float(), network.stride, network.sigma)
            points = points + network.closer(sample(details, points)) / DETAIL
            sure = (logits > 0) * (peaks / CLEAR).clamp(0.05, 1)
            focal, known = packet.focal_of(longer), torch.full((len(some),), thickness)
            pose, names = packet.fit(points, sure, known, focal)
            named = points.gather(1, names[..., None].expand(-1, -1, 2))
            edges = network.trace(details, pose)
            traced = packet.refine(pose, named, sure.gather(1, names), edges, focal)
            places = packet.keypoints(pose), packet.keypoints(traced)
        columns.append((points, logits, peaks, *pose, names, *places, traced.numbers[:, 3]))
        done(len(some))
    return View(*(torch.cat(column).numpy() for column in zip(*columns, strict=True)))


def weigh(view, sizes, image_size, thickness, focal, card):
    """Hold what a network sees in a recording's frames against a box: `Evidence`.

    Args:
        view: a `View` of n frames, in the order they were taken.
        sizes: (n, 2) width and height of their pictures.
        image_size: (width, height) of the network's picture.
        thickness: of the packet in mm, about.
        focal, card: as `params.yaml` has them below `geometry`.
    """
    given, alone, traced = (
        _to_unit(places, sizes, image_size) for places in (view.points, view.alone, view.traced)
    )
    box = _in_all_frames(view, given, alone, thickness, focal, card)
    order = np.array([_named(places) for places in box])
    rows = np.arange(len(order))[:, None]
    names = view.names[rows, order]
    seen, box, traced = given[rows, names], box[rows, order], traced[rows, order]
    visible = view.logits[rows, names] > 0
    off = np.where(visible, np.linalg.norm(seen - box, axis=2), np.nan)
    some = visible.any(axis=1)
    apart = np.full(len(off), 2.0 * UNIT[0])
    apart[some] = np.nanmedian(off[some], axis=1)
    astray = apart >= _ASTRAY
    # Without a box, what the network says, by the names that it says.
    names = np.where(astray[:, None], np.arange(8), names)
    views = np.stack([seen, box, traced])
    middle = np.median(views, axis=0)
    spread = np.linalg.norm(views - middle, axis=3).mean(axis=0)
    points = np.where(astray[:, None, None], given, middle)
    holds = ~astray[:, None]
    half = sizes * (UNIT[0] / 2 / sizes.max(axis=1, keepdims=True))
    inside = (half[:, None] - abs(box - np.array(UNIT) / 2)).min(axis=2)
    shown = [
        view.logits[rows, names].clip(-6, 6),
        holds * ~BACK * np.tanh(np.array([_stands_out(places) for places in box]) / 4),
        holds * np.tanh(inside / 6),
        np.broadcast_to(BACK, off.shape),
    ]
    placed = [np.log1p(spread), view.peaks[rows, names].clip(0, 1)]
    return Evidence(points, np.stack(shown, axis=-1), np.stack(placed, axis=-1), apart)


def to_fractions(points, sizes):
    """Places (n, 8, 2) as fractions of pictures of `sizes` (n, 2)."""
    return (points - np.array(UNIT) / 2) / _unit(sizes) + 0.5


def _to_unit(points, sizes, image_size):
    places = to_original(np.asarray(points, float), sizes, image_size) / sizes[:, None]
    return (places - 0.5) * _unit(sizes) + np.array(UNIT) / 2


def _unit(sizes):
    """(n, 1, 2) pixels that pictures have once their longer sides have UNIT[0]."""
    return (sizes * (UNIT[0] / sizes.max(axis=1, keepdims=True)))[:, None]


def _in_all_frames(view, points, alone, thickness, focal, card):
    """(n, 8, 2) where the box of all frames together has its keypoints, `alone` where it cannot
    tell. Long recordings give several boxes, of frames between each other."""
    n, box = len(points), alone.copy()
    every = -(-n // _TOGETHER)
    for first in range(every):
        rows = np.arange(first, n, every)
        names, poses = view.names[rows], (view.rotation[rows], view.numbers[rows])
        fitted = fit_box(
            points[rows], view.sure[rows], poses, names, UNIT, focal, card, known=thickness
        )
        if fitted is not None:
            at = fitted.points[np.arange(len(rows))[:, None], names]
            box[rows] = np.where(np.isfinite(at), at, alone[rows])
    return box


def _named(box):
    """(8,) which of a box's keypoints (8, 2) is which by the rule of `keypoints.name_corners`."""
    layers = [np.flatnonzero(layer)[np.argsort(CORNER[layer])] for layer in (~BACK, BACK)]
    return np.concatenate(layers)[name_corners(*(box[layer] for layer in layers))]


def _stands_out(box):
    """(8,) pixels, how far each keypoint (8, 2) of a box lies outside the outline of the others:
    one of the face that lies inside is hidden."""
    box = box.astype(np.float32)
    return np.array(
        [
            -cv2.pointPolygonTest(cv2.convexHull(np.delete(box, k, axis=0)), box[k].tolist(), True)
            for k in range(len(box))
        ]
    )
