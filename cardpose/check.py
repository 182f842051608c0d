"""What looks wrong in a data set, before anybody trains on it.

Labels are held against the box that all frames of their recording show (`misfit`), against the
rule for names (`keypoints.name_corners`) and against the picture; counts against the thickness of
that box; recordings against each other (`lookalikes`). Nothing is written, one recording is in
memory at a time.
"""

import math
from pathlib import Path

import cv2
import numpy as np
from scipy.stats import theilslopes

from cardpose.annotations import read_annotations
from cardpose.errors import InputError, some
from cardpose.judging import (
    INFO,
    WRONG,
    Finding,
    Labels,
    Recording,
    fit_labels,
    judge,
    usual_scatter,
)
from cardpose.keypoints import EDGES, FLIP
from cardpose.lookalikes import look, lookalikes
from cardpose.misfit import UNIT, Boxes
from cardpose.reading import read_picture
from cardpose.recordings import numbered_pictures, read_recordings, split_frame_name
from cardpose.videos import sampled_frames

# Standard deviations by which a count may contradict its box; a deck's cards are as thick as the
# other recordings say, or, where there are few, as `card` says to within a tenth.
_COUNT = 4.0
_DECKS = 0.1
_FEW = 6  # recordings
_SURE, _SEVERAL = 0.05, 3  # share of a packet's thickness, and recordings, to judge the deck by
_UNEVEN = 0.75  # cards, at least, by which packets of a count differ: cards bend, air lies between

_APART = 8.0  # pixels of 640, by which a flip has to move the labels to be seen
_ASIDE = 2.5  # pixels of 320 at both sides of an edge, between which its contrast is measured


def check(dataset, step, focal, card, complain, progress=iter):
    """What looks wrong in a data set.

    Args:
        dataset: its folder.
        step: as the pipeline does, takes every `step`-th frame of videos, and labelled ones.
        focal, card: as `params.yaml` has them below `geometry`.
        complain: is called with the InputError of a recording that cannot be read.
        progress: is called with the list of recordings, gives them one by one.

    Returns:
        a list of `Finding`, the worst first.

    Raises:
        InputError: `videos.csv` or `annotations.csv` cannot be read.
    """
    dataset = Path(dataset)
    recordings = read_recordings(dataset)
    labels, lost = _labels(dataset / "annotations.csv", recordings)
    boxes = Boxes(focal, card, max(recording.total_cards for recording in recordings))
    found, looks, seen = lost, {}, []
    for recording in progress(recordings):
        try:
            whole, more = _look(recording, labels[recording.name], step)
        except InputError as error:
            complain(error)
            continue
        found += more
        looks[recording.name] = whole.looks
        seen.append((recording, fit_labels(boxes, whole)))
    scatter = usual_scatter([part for _, part in seen])
    thick = []
    for recording, part in seen:
        more, part = judge(boxes, recording.name, part, scatter)
        found += more
        if part.box is not None:
            thick.append((recording, part.box.thickness, part.error))
    found += _counts(thick, card[2]) + _deck(thick, card[2])
    for name, other in lookalikes(looks, looks).items():
        found.append(Finding(name, None, f"nearly the same pictures as {other}", worse=20))
    return sorted(found, key=lambda f: (f.level != WRONG, -f.worse, f.recording, f.frame or 0))


def _labels(path, recordings):
    """{recording: its `Labels`}, and what is found without looking at pictures."""
    frames, points, visible, known = read_annotations(path, outside=True)
    rows = {recording.name: [] for recording in recordings}
    strangers = {}
    for row in np.flatnonzero(known.any(axis=1)):
        name, index = split_frame_name(frames[row])
        if name in rows:
            rows[name].append((index, row))
        else:
            strangers.setdefault(name, []).append(index)
    found = [
        Finding(name, min(indices), "label of a recording that videos.csv does not list", worse=30)
        for name, indices in strangers.items()
    ]
    labels = {}
    for name, pairs in rows.items():
        pairs = np.array(sorted(pairs), int).reshape(-1, 2)
        if not len(pairs):
            found.append(Finding(name, None, "no labels", worse=30))
        indices, of = pairs.T
        labels[name] = Labels(indices, points[of], visible[of], known[of])
    return labels, found


def _look(recording, labels, step):
    """Look through a recording's pictures: a `Recording`, and what is found."""
    found, wanted = [], {int(index): row for row, index in enumerate(labels.frames)}
    sizes, flipped, looks = {}, {}, []
    unlabelled = 0
    for index, picture in sampled_pictures(recording, step, wanted):
        height, width = picture.shape[:2]
        sizes[index] = width, height
        if recording.is_folder or index % step == 0:
            looks.append(look(picture))
            unlabelled += index not in wanted
        if index in wanted:
            row = wanted[index]
            flipped[index] = _flipped(picture, labels.points[row], labels.visible[row])
    lost = [index for index in wanted if index not in sizes]
    for index in lost:
        found.append(Finding(recording.name, index, "label without a frame", worse=30))
    if unlabelled:
        found.append(
            Finding(
                recording.name,
                None,
                "frames without a label",
                off=unlabelled,
                unit="frames",
                level=INFO,
            )
        )
    kinds = sorted(set(sizes.values()))
    if len(kinds) > 1:
        several = some(f"{width} x {height}" for width, height in kinds)
        found.append(
            Finding(recording.name, None, f"pictures of several sizes: {several}", level=INFO)
        )
    there = np.array([index in sizes for index in labels.frames.tolist()], bool)
    every = labels.frames, labels.points, labels.visible, labels.known
    kept = Labels(*(each[there] for each in every))
    frames = kept.frames.tolist()
    return (
        Recording(
            kept,
            np.array([sizes[index] for index in frames]).reshape(-1, 2),
            np.array([flipped[index] for index in frames]),
            np.array(looks, np.uint8),
        ),
        found,
    )


def sampled_pictures(recording, step, wanted):
    """Yield (index, picture) of the frames that are sampled or wanted."""
    if recording.is_folder:
        for index, path in numbered_pictures(recording.path).items():
            yield index, read_picture(path)
        return
    every = math.gcd(step, *wanted)
    for index, picture in sampled_frames(recording.path, every):
        if picture is not None and (index % step == 0 or index in wanted):
            yield index, picture


def _flipped(picture, points, visible):
    """How many times the contrast along the labelled edges is that along their mirror image; 0
    where there are no edges, or the flip moves the labels too little to tell."""
    edges = [edge for edge in EDGES[:8] if visible[list(edge)].all()]
    size = np.array(picture.shape[1::-1]) * (UNIT[0] / 2 / max(picture.shape[:2]))
    places = np.stack([points, points * [-1, 1] + [1, 0]]) * size
    both = visible & visible[list(FLIP)]
    apart = np.linalg.norm(places[1][list(FLIP)] - places[0], axis=1)[both].max(initial=0)
    if not edges or (both.any() and 2 * apart < _APART):
        return 0.0
    small = cv2.resize(picture, size.round().astype(int), interpolation=cv2.INTER_AREA)
    small = cv2.blur(small, (3, 3)).astype(np.float32)
    a, b = places[:, [a for a, _ in edges]], places[:, [b for _, b in edges]]
    along = b - a
    across = np.stack([-along[..., 1], along[..., 0]], axis=-1)
    across /= np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-6)
    share = (np.arange(48) + 0.5)[:, None, None, None] / 48
    at = a + share * along
    sides = [(at + side * across - 0.5).reshape(-1, 1, 2) for side in (-_ASIDE, _ASIDE)]
    here, there = (
        cv2.remap(
            small, s.astype(np.float32), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        for s in sides
    )
    contrast = abs(here - there).sum(axis=(1, 2)).reshape(48, 2, -1).mean(axis=(0, 2))
    return float(contrast[1] / max(contrast[0], 1e-6))


def _counts(thick, card):
    """Counts that the thickness of their recordings' boxes contradicts.

    Args:
        thick: list of (recording, thickness in mm, how far off that may be in mm).
        card: the usual thickness of a card in mm.
    """
    if not thick:
        return []
    count = np.array([recording.cards for recording, *_ in thick], float)
    thickness, error = (np.array([row[k] for row in thick]) for k in (1, 2))
    each, none, uneven = card, 0.0, None
    if len(thick) >= _FEW and np.ptp(count):
        slope, start, *_ = theilslopes(thickness, count)
        if 0.5 < slope / card < 2:
            each, none = slope, start
            off = (thickness - none) / each - count
            uneven = max(_UNEVEN, 1.4826 * np.median(abs(off - np.median(off))))
    cards = (thickness - none) / each
    if uneven is None:
        uneven = np.hypot(_UNEVEN, _DECKS * cards)
    far = abs(cards - count) / np.hypot(uneven, error / each)
    return [
        Finding(
            recording.name,
            None,
            f"looks like {max(seen, 0):.0f} cards, videos.csv says {recording.cards}",
            off=abs(seen - recording.cards),
            unit="cards",
            worse=10 + by,
        )
        for (recording, *_), seen, by in zip(thick, cards, far, strict=True)
        if by > _COUNT
    ]


def _deck(thick, card):
    """Whether the cards are as thick as `card` says in mm; `thick` is as in `_counts`."""
    plain = [
        thickness / recording.cards
        for recording, thickness, error in thick
        if error < _SURE * card * recording.cards
    ]
    seen = np.median(plain) if plain else card
    if len(plain) < _SEVERAL or abs(seen / card - 1) <= _DECKS:
        return []
    what = f"cards look {seen:.2f} mm thick, geometry.card in params.yaml says {card:.2f}"
    return [Finding("", None, what, level=INFO)]
