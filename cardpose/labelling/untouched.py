"""Recognize labels that come back from a tool exactly as they were proposed.

COCO, and CSV without the column `annotated`, do not tell whether a person has checked a proposal.
In such a file, a frame counts as labelled if one of its corners moved, appeared or disappeared.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

from cardpose.labelling.labels import Label, Labels, no_labels
from cardpose.labelling.merge import SAME
from cardpose.labelling.tasks import labels_by_frame, proposals_by_frame, sampled_frames_index

ACCEPTED = "exactly as proposed: taken, as annotations.csv holds such labels of this file already"
UNTOUCHED = "exactly as proposed, so perhaps not checked; --accept-proposals takes them"


def without_untouched(path: object, dataset: str | Path, labels: Labels) -> Labels:
    """Drop untouched proposals, where the file does not tell whether a person has checked them.

    Keep all labels if annotations.csv already holds one of these untouched proposals: the user has
    accepted the proposals of this file before.

    Raises:
        InputError: no label is left.
    """
    before, index = labels_by_frame(dataset), sampled_frames_index(dataset)
    origin = labels.origin
    untouched = origin.untouched | (origin.unconfirmed & as_proposed(dataset, labels, before))
    accepted = np.zeros_like(untouched)
    for row in np.flatnonzero(untouched):
        frame = labels.frames[row]
        if frame in before:
            size = np.array(index[frame][1])
            whole = before[frame].mask[labels.mask[row]].all()
            accepted[row] = whole and _is_unchanged(labels, row, before[frame], size)
    dropped = untouched & ~accepted
    if not dropped.any():
        return labels
    if accepted.any():
        return labels._replace(notes=(*labels.notes, f"{dropped.sum()} {ACCEPTED}"))
    left_out = labels.left_out | {UNTOUCHED: int(dropped.sum())}
    if dropped.all():
        raise no_labels(path, left_out)
    return labels.take(np.flatnonzero(~dropped))._replace(left_out=left_out)


def as_proposed(
    dataset: str | Path, labels: Labels, before: dict[str, Label] | None = None
) -> Bool[np.ndarray, " n"]:
    """Return whether each label equals its proposal, be it approved or unchecked.

    Args:
        before: labels in annotations.csv. Frames in it were exported with their labels, and with
            proposals of the unlabelled keypoints.
    """
    proposals = proposals_by_frame(dataset, optional=True)
    index, result = sampled_frames_index(dataset), np.zeros(len(labels.frames), bool)
    for row, frame in enumerate(labels.frames):
        if frame not in proposals:
            continue
        points, visible, _ = proposals[frame]
        exported = [Label(points, visible, np.ones(8, bool))]
        if before and frame in before:
            old = before[frame]
            points = np.where(old.mask[:, None], old.points, points)
            exported.append(
                Label(points, np.where(old.mask, old.visible, visible), np.ones(8, bool))
            )
        size = np.array(index[frame][1])
        result[row] = any(_is_unchanged(labels, row, each, size) for each in exported)
    return result


def _is_unchanged(
    labels: Labels, row: int | np.integer, exported: Label, size: Int[np.ndarray, "2"]
) -> bool:
    """Return whether a label equals what was exported, up to the tool's rounding.

    Args:
        exported: exported label or proposal. Labelled keypoints are compared if both have places.
        size: width and height of the frame's picture in pixels.
    """
    mask = labels.mask[row]
    if (labels.visible[row] != exported.visible)[mask].any():
        return False
    # Visible proposals outside the picture were exported at its edge.
    inside = np.clip(exported.points, 0, 1)
    points = np.where(exported.visible[:, None], inside, exported.points)
    moved = (labels.origin.places[row] - points) * size
    moved = moved[mask & np.isfinite(moved).all(axis=1)]
    unit = labels.origin.rounding[row] * size
    rounded = np.abs(moved) <= unit / 2 + SAME
    truncated = (moved <= SAME) & (moved >= -unit - SAME)  # as int() does
    return bool(rounded.all() or truncated.all())
