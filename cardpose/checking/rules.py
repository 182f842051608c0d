"""The labels of one recording, held against its box: what is wrong with them.

The box is that which all frames of the recording show (`misfit`); names are held against the rule
for them (`keypoints.name_corners`).
"""

import math
from dataclasses import dataclass, replace
from itertools import combinations

import cv2
import numpy as np

from cardpose.checking.findings import INFO, WRONG, Finding
from cardpose.checking.label_fit import thickness_error
from cardpose.geometry.keypoints import BACK, KEYPOINTS
from cardpose.pictures.letterbox import UNIT, fractions_to_unit, unit_to_fractions

# Clicks scatter, and a packet is no perfect box: five times the usual is no scatter any more. Of
# 10 000 labels that scatter normally, that leaves less than one.
_STRAY = 5.0
_FINEST = 1.0  # pixels of 640; nobody means a corner more exactly, even where labels are computed
_TIE = 3.0  # usual scatters, below which left and right, or upper and lower, are a matter of taste
_FLIPPED = 1.2  # times as much contrast along flipped labels: in clean sets next to none reach 1
# How many times as sure it has to be that a corner of the face is hidden, or not, to call it wrong:
# people leave out corners that are hardly to be told from those above, and packets lean.
_PLAIN = 3.0
_FREE = 4  # numbers more than unknowns, at least, to say where a corner is that has no label


@dataclass(frozen=True)
class FrameLabels:
    """A recording's labels, by frame: `frames` (n,) indices, `points` (n, 8, 2) fractions of the
    picture, `visible` (n, 8), `mask` (n, 8) those of which anything is said."""

    frames: np.ndarray
    points: np.ndarray
    visible: np.ndarray
    mask: np.ndarray


@dataclass
class LabelledRecording:
    """What was seen of a recording: `labels` of those frames that it has, `sizes` (n, 2) of their
    pictures in pixels, `flipped` (n,) how many times the contrast along the flipped labels is that
    along the labels, `looks` of the sampled pictures."""

    labels: FrameLabels
    sizes: np.ndarray
    flipped: np.ndarray
    looks: np.ndarray


@dataclass(frozen=True)
class RecordingFit:
    """A recording's labels in pixels of UNIT, its box, and that box in its frames; `error` is how
    far off its thickness may be, in mm."""

    whole: LabelledRecording
    points: np.ndarray
    box: object = None
    fit: object = None
    error: float = math.nan


def fit_labels(boxes, whole):
    """Fit a recording's box twice: the second time without the frames that do not fit it."""
    labels = whole.labels
    points = fractions_to_unit(np.nan_to_num(labels.points), whole.sizes)
    part, use = RecordingFit(whole, points), np.ones(len(points), bool)
    if not len(points):
        return part
    alone = boxes.alone(points, labels.visible)
    for _ in range(2):
        box = boxes.box(points, labels.visible, alone, use)
        if box is None:
            return part
        fit = boxes.fit(box, points, labels.visible, alone)
        scatter = max(_FINEST, _median(fit.spread))
        strange = np.flatnonzero(fit.worst > _STRAY * scatter)
        for row in strange:
            near = _near(fit, row, ~np.isin(np.arange(len(points)), strange))
            if len(near):
                one = slice(row, row + 1)
                again = boxes.fit_beside(box, points[one], labels.visible[one], fit[near])
                for name in fit.__dataclass_fields__:
                    getattr(fit, name)[row] = getattr(again, name)[0]
        part = replace(part, box=box, fit=fit)
        use = fit.worst <= _STRAY * scatter
        if use.all() or not use.any():
            break
    return replace(part, error=thickness_error(fit[use] if use.any() else fit, scatter))


def _near(fit, row, good):
    """The last good frame before a row and the first after it."""
    rows = np.flatnonzero(good & (fit.freedom > 0))
    return np.concatenate([rows[rows < row][-1:], rows[rows > row][:1]])


def _median(values):
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else 0.0


def usual_scatter(parts):
    """Pixels of UNIT, how far off labels usually are in this data set."""
    spreads = [part.fit.spread for part in parts if part.fit is not None]
    return max(_FINEST, _median(np.concatenate(spreads)) if spreads else 0.0)


def judge(boxes, name, part, scatter):
    """What is wrong with the labels of one recording; and the `Part`."""
    found, whole = [], part.whole
    labels, fit = whole.labels, part.fit
    if fit is not None:
        scatter = max(scatter, _median(fit.spread))
    for row in range(len(labels.frames)):
        size = whole.sizes[row]
        points, visible = part.points[row], labels.visible[row]
        pixels = max(size) / UNIT[0]
        about = []
        about += _outside(labels.points[row], visible, size)
        strange = fit is not None and fit.worst[row] > _STRAY * scatter
        if strange:
            about.append(_explain(boxes, part, row, scatter, pixels))
        else:
            shown = None if fit is None else fit[row : row + 1]
            about += _names(points, visible, shown, scatter, pixels)
        if not about and whole.flipped[row] > _FLIPPED:
            about.append(
                Finding("", 0, "mirrored: flipped left-right, it would fit the picture", worse=10)
            )
        if not about and fit is not None and fit.freedom[row] >= _FREE:
            about += _hidden(fit[row : row + 1], visible, labels.mask[row], scatter)
        box = None if fit is None else unit_to_fractions(fit.points[row], size)
        found += [
            replace(
                one,
                recording=name,
                frame=int(labels.frames[row]),
                box=box if one.box is None else unit_to_fractions(one.box, size),
            )
            for one in about
        ]
    return found, part


def _outside(points, visible, size):
    off = np.maximum(np.maximum(-points, points - 1), 0) * size
    return [
        Finding(
            "", 0, "outside the picture", KEYPOINTS[k], np.hypot(*off[k]), "px", worse=20 + k / 100
        )
        for k in np.flatnonzero(visible)
        if np.hypot(*off[k]) > 0
    ]


def _explain(boxes, part, row, scatter, pixels):
    """Of labels that fit no box, the simplest change that makes them fit: one corner elsewhere, or
    two corners swapped."""
    points, visible = part.points[row], part.whole.labels.visible[row]
    shown = np.flatnonzero(visible)
    tries = []  # corners meant, points, visible
    if 2 * len(shown) - 8 > 0:
        for k in shown:
            tries.append(((k,), points, visible & (np.arange(8) != k)))
    for a, b in combinations(shown, 2):
        swapped = points.copy()
        swapped[[a, b]] = points[[b, a]]
        tries.append(((a, b), swapped, visible))
    fit = part.fit
    near = fit[_near(fit, row, fit.worst <= _STRAY * scatter)]
    again = boxes.fit_beside(
        part.box,
        np.stack([points for _, points, _ in tries]),
        np.stack([visible for *_, visible in tries]),
        near,
        crossed=False,
    )
    worse = fit.worst[row] / scatter
    # With the other two swapped as well, two swapped corners fit too, but under wrong names.
    fits = (again.worst <= _STRAY * scatter) & _short_ends(again)
    fits = np.where(fits, again.spread, np.inf)
    best = int(np.argmin(fits))
    if not np.isfinite(fits[best]):
        corner = KEYPOINTS[int(fit.strain[row].argmax())]
        off = fit.spread[row] * pixels
        return Finding("", 0, "fits no box; worst at", corner, off, "px", worse=worse)
    corners, *_ = tries[best]
    corner = " and ".join(KEYPOINTS[k] for k in corners)
    if len(corners) == 2:
        off = np.hypot(*(points[corners[0]] - points[corners[1]])) * pixels
        what = "swapped"
    else:
        off = np.hypot(*(points[corners[0]] - again.points[best, corners[0]])) * pixels
        what = "off its place"
    return Finding("", 0, what, corner, off, "px", worse=worse, box=again.points[best])


def _short_ends(fit):
    """(n,) whether what is called upper, or lower, are the box's short edges."""
    upper = np.sort(fit.names[:, 2:4], axis=1)
    return (upper == [2, 3]).all(axis=1) | (upper == [6, 7]).all(axis=1)


def _names(points, visible, fit, scatter, pixels):
    """Names that break the rule of `keypoints.name_corners`, by more than labels scatter."""
    tie = _TIE * scatter
    pairs = [(k, k + 1) for k in range(0, 8, 2) if visible[k] and visible[k + 1]]
    wrong = [pair for pair in pairs if points[pair[0], 0] - points[pair[1], 0] > tie]
    far = max((points[a, 0] - points[b, 0] for a, b in wrong), default=0.0)
    worse = 10 + far / tie
    right = [pair for pair in pairs if points[pair[1], 0] - points[pair[0], 0] > tie]
    if len(wrong) > 1 and not right:
        what = "mirrored: left and right exchanged"
        return [Finding("", 0, what, off=far * pixels, unit="px", worse=worse)]
    if wrong:
        corner = " and ".join(KEYPOINTS[k] for pair in wrong for k in pair)
        what = "left and right exchanged"
        return [Finding("", 0, what, corner, far * pixels, "px", worse=worse)]
    known = points
    if fit is not None and fit.freedom[0] > 0:
        known = np.where(visible[:, None], points, fit.points[0])
        if not _short_ends(fit)[0]:
            return [Finding("", 0, "a long edge is called upper or lower", worse=worse)]
    elif not visible[BACK].all():
        return []
    off = known[2:4, 1].mean() - known[6:8, 1].mean()
    if off > tie:
        what = "upper and lower exchanged"
        return [Finding("", 0, what, off=off * pixels, unit="px", worse=10 + off / tie)]
    return []


def _hidden(fit, visible, mask, scatter):
    """Corners that are marked visible though the packet surely hides them, or the other way.

    The packet hides a corner of the face that the box shows inside the outline of its back.
    """
    sure, found, points = _STRAY * scatter, [], fit.points[0]
    outline = cv2.convexHull(points[BACK].astype(np.float32))
    edge = (np.array(UNIT) / 2 - abs(points - np.array(UNIT) / 2)).min(axis=1)
    for k, name in enumerate(KEYPOINTS):
        inside = cv2.pointPolygonTest(outline, points[k].tolist(), True) / sure
        if visible[k] and not BACK[k] and inside > 1:
            found.append(("marked visible, but hidden", name, inside))
        if mask[k] and not visible[k] and edge[k] > sure and (BACK[k] or inside < -1):
            found.append(("not marked visible", name, _PLAIN + 1 if BACK[k] else -inside))
    return [
        Finding("", 0, what, name, worse=by, level=WRONG if by > _PLAIN else INFO)
        for what, name, by in found
    ]
