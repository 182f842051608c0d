"""Rules for the labels of a recording.

A rule is a function that takes a recording, or one labelled frame of it, and returns a list of
findings. RECORDING_RULES and FRAME_RULES list all rules.
"""

from collections.abc import Callable
from itertools import combinations

import cv2
import numpy as np
from jaxtyping import Bool, Float

from cardpose.checking.findings import INFO, WRONG, Finding
from cardpose.checking.frame import Frame, frame_of
from cardpose.checking.label_fit import LabelFit, LabelFitter
from cardpose.checking.labelled_recording import LabelledRecording
from cardpose.checking.recording_fit import OUTLIER, RecordingFit
from cardpose.common.errors import join_names
from cardpose.geometry.keypoints import BACK, KEYPOINTS
from cardpose.pictures.letterbox import UNIT

# Corners whose places differ by less than this many scatters may have either name.
_TIE = 3.0
# Labels are mirrored if their `mirror_contrast` exceeds this. In clean data sets it rarely
# reaches 1.
_MIRRORED = 1.2
# A corner of the face is wrongly marked visible if it lies inside the outline of the back by more
# than this many times the limit of an outlier. Smaller distances give a remark, because packets
# lean.
_CERTAIN = 3.0
_LEAST_FREEDOM = 4  # degrees of freedom needed to place an unlabelled corner


# Rules for a recording.


def labels_without_frame(recording: LabelledRecording) -> list[Finding]:
    """Find labels of frames that the recording does not have."""
    return [
        Finding(recording.name, index, "label without a frame", certainty=30.0)
        for index in recording.absent
    ]


def frames_without_label(recording: LabelledRecording) -> list[Finding]:
    """Count the sampled frames without a label."""
    if not recording.unlabelled:
        return []
    what = "frames without a label"
    return [
        Finding(recording.name, None, what, off=recording.unlabelled, unit="frames", level=INFO)
    ]


def several_sizes(recording: LabelledRecording) -> list[Finding]:
    """Find recordings whose pictures are not all of one size."""
    if len(recording.distinct_sizes) < 2:
        return []
    sizes = join_names(f"{width} x {height}" for width, height in recording.distinct_sizes)
    return [Finding(recording.name, None, f"pictures of several sizes: {sizes}", level=INFO)]


# Rules for a frame.


def outside_picture(frame: Frame) -> list[Finding]:
    """Find visible keypoints outside the picture."""
    excess = np.maximum(np.maximum(-frame.points, frame.points - 1), 0) * frame.size
    return [
        frame.finding(
            "outside the picture",
            corner=KEYPOINTS[k],
            off=np.hypot(*excess[k]),
            unit="px",
            certainty=20 + k / 100,
        )
        for k in np.flatnonzero(frame.visible)
        if np.hypot(*excess[k]) > 0
    ]


def misplaced_labels(frame: Frame) -> list[Finding]:
    """Find labels that do not fit the box, and the simplest change that makes them fit.

    A change moves one corner or swaps two.
    """
    if frame.box is None or frame.fit is None or frame.near is None or not frame.is_outlier:
        return []
    points, visible = frame.unit_points, frame.visible
    changes = _changes(points, visible)
    fits = frame.fitter.fit_cameras_beside(
        frame.box,
        np.stack([changed for _, changed, _ in changes]),
        np.stack([shown for *_, shown in changes]),
        frame.near,
        crossed=False,
    )
    # Swapping the other two corners of an edge fits as well, but breaks the naming rule.
    possible = (fits.worst <= OUTLIER * frame.scatter) & _has_short_ends(fits)
    spread = np.where(possible, fits.spread, np.inf)
    best = int(np.argmin(spread))
    certainty = frame.fit.worst[0] / frame.scatter
    if not np.isfinite(spread[best]):
        worst = KEYPOINTS[int(frame.fit.strain[0].argmax())]
        off = frame.in_pixels(frame.fit.spread[0])
        what = "fits no box; worst at"
        # Mirrored labels of a packet that leans do not fit the recording's box.
        return mirrored_picture(frame) or [
            frame.finding(what, corner=worst, off=off, unit="px", certainty=certainty)
        ]
    corners, *_ = changes[best]
    if len(corners) == 2:
        what, offset = "swapped", points[corners[0]] - points[corners[1]]
    else:
        what, offset = "off its place", points[corners[0]] - fits.points[best, corners[0]]
    return [
        frame.finding(
            what,
            fits.points[best],
            corner=" and ".join(KEYPOINTS[k] for k in corners),
            off=frame.in_pixels(np.hypot(*offset)),
            unit="px",
            certainty=certainty,
        )
    ]


def exchanged_names(frame: Frame) -> list[Finding]:
    """Find names that break the rule of `keypoints.name_corners` by more than labels scatter."""
    if frame.is_outlier:
        return []
    return _left_and_right(frame) or _upper_and_lower(frame)


def mirrored_picture(frame: Frame) -> list[Finding]:
    """Find labels that fit the edges in the picture better when they are mirrored."""
    if frame.mirror_contrast <= _MIRRORED:
        return []
    return [frame.finding("mirrored: flipped left-right, it would fit the picture", certainty=10.0)]


def wrong_visibility(frame: Frame) -> list[Finding]:
    """Find hidden corners marked visible, and visible corners that are not marked.

    The packet hides a corner of the face that lies inside the outline of its back. A corner outside
    may be hidden, too, by cards between that stick out, or be left out as hard to tell from those
    above. So it gives a remark.
    """
    if frame.fit is None or frame.fit.freedom[0] < _LEAST_FREEDOM:
        return []
    limit, points = OUTLIER * frame.scatter, frame.fit.points[0]
    outline = cv2.convexHull(points[BACK].astype(np.float32))
    from_border = (np.array(UNIT) / 2 - abs(points - np.array(UNIT) / 2)).min(axis=1)
    found = []
    for k, name in enumerate(KEYPOINTS):
        inside = cv2.pointPolygonTest(outline, points[k].tolist(), True) / limit
        if frame.visible[k] and not BACK[k] and inside > 1:
            found.append(("marked visible, but hidden", name, inside))
        unmarked = frame.mask[k] and not frame.visible[k] and from_border[k] > limit
        if unmarked and (BACK[k] or inside < -1):
            found.append(("not marked visible", name, _CERTAIN + BACK[k]))
    return [
        frame.finding(
            what, corner=name, certainty=certainty, level=WRONG if certainty > _CERTAIN else INFO
        )
        for what, name, certainty in found
    ]


RECORDING_RULES: list[Callable[[LabelledRecording], list[Finding]]] = [
    labels_without_frame,
    frames_without_label,
    several_sizes,
]
# Rules of a later group apply only where no earlier group finds anything, because misplaced and
# exchanged labels break them, too.
FRAME_RULES: list[list[Callable[[Frame], list[Finding]]]] = [
    [outside_picture, misplaced_labels, exchanged_names],
    [mirrored_picture],
    [wrong_visibility],
]


def judge_recording(recording: LabelledRecording) -> list[Finding]:
    """Apply RECORDING_RULES."""
    return [finding for rule in RECORDING_RULES for finding in rule(recording)]


def judge_frames(
    fitter: LabelFitter, recording: LabelledRecording, fitted: RecordingFit, scatter: float
) -> list[Finding]:
    """Apply FRAME_RULES to all labelled frames of a recording.

    Args:
        scatter: usual error of a label in the data set, in unit pixels.
    """
    return [
        finding
        for row in range(len(recording.labels))
        for finding in _judge(frame_of(fitter, recording, fitted, scatter, row))
    ]


def _judge(frame: Frame) -> list[Finding]:
    for group in FRAME_RULES:
        found = [finding for rule in group for finding in rule(frame)]
        if found:
            return found
    return []


def _changes(
    points: Float[np.ndarray, "8 2"], visible: Bool[np.ndarray, "8"]
) -> list[tuple[tuple[int, ...], Float[np.ndarray, "8 2"], Bool[np.ndarray, "8"]]]:
    """Return the simplest changes to labels: (corners concerned, points, visibility) of each."""
    shown = np.flatnonzero(visible).tolist()
    changes: list[tuple[tuple[int, ...], np.ndarray, np.ndarray]] = []
    if len(shown) > 4:  # any box fits three corners
        changes += [((k,), points, visible & (np.arange(8) != k)) for k in shown]
    for a, b in combinations(shown, 2):
        swapped = points.copy()
        swapped[[a, b]] = points[[b, a]]
        changes.append(((a, b), swapped, visible))
    return changes


def _has_short_ends(fit: LabelFit) -> Bool[np.ndarray, " n"]:
    """Return whether the edges named upper, or those named lower, are short edges of the box."""
    upper = np.sort(fit.names[:, 2:4], axis=1)
    return (upper == [2, 3]).all(axis=1) | (upper == [6, 7]).all(axis=1)


def _left_and_right(frame: Frame) -> list[Finding]:
    """Find pairs whose left corner lies to the right of the right one."""
    tie, x = _TIE * frame.scatter, frame.unit_points[:, 0]
    pairs = [(k, k + 1) for k in range(0, 8, 2) if frame.visible[k] and frame.visible[k + 1]]
    wrong = [(left, right) for left, right in pairs if x[left] - x[right] > tie]
    if not wrong:
        return []
    far = max(x[left] - x[right] for left, right in wrong)
    what = "left and right exchanged"
    corner = " and ".join(KEYPOINTS[k] for pair in wrong for k in pair)
    if len(wrong) > 1 and not any(x[right] - x[left] > tie for left, right in pairs):
        what, corner = "mirrored: left and right exchanged", ""
    off = frame.in_pixels(far)
    return [frame.finding(what, corner=corner, off=off, unit="px", certainty=10 + far / tie)]


def _upper_and_lower(frame: Frame) -> list[Finding]:
    """Find frames whose upper edge lies below the lower one, or is a long edge of the box."""
    tie, points = _TIE * frame.scatter, frame.unit_points
    if frame.fit is not None and frame.fit.freedom[0] > 0:
        points = np.where(frame.visible[:, None], points, frame.fit.points[0])
        if not _has_short_ends(frame.fit)[0]:
            return [frame.finding("a long edge is called upper or lower", certainty=10.0)]
    elif not frame.visible[BACK].all():
        return []
    far = points[2:4, 1].mean() - points[6:8, 1].mean()
    if far <= tie:
        return []
    off = frame.in_pixels(far)
    what = "upper and lower exchanged"
    return [frame.finding(what, off=off, unit="px", certainty=10 + far / tie)]
