"""Frames out to labelling tools, with what is known or proposed of them, and labels back in.

Formats are Label Studio's JSON (`label_studio`), COCO keypoints (`coco`), and CSV: an
annotations.csv whose column `annotated` is 0 in rows that are proposals, until somebody who has
looked at them writes 1. What is read is told apart by its content. Where a format cannot tell,
what comes back exactly as proposed is no label (see `untouched`).
"""

import csv
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cardpose.common.errors import InputError, short_repr
from cardpose.dataset.annotations import read_annotations
from cardpose.dataset.layout import labelling_folder
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.labelling import coco, label_studio, untouched
from cardpose.labelling.task_export import (
    labels_by_frame,
    picture_sizes,
    proposals_by_frame,
    sampled_frames_index,
)

ACCEPTED = "exactly as proposed: taken, as annotations.csv holds such labels of this file already"
UNTOUCHED = "exactly as proposed: nobody has corrected them; --accept-proposals takes them"


class Labels(NamedTuple):
    """Of n frames, as `annotations.read_annotations` has them; `left_out` says {why: how many} more
    the file has that are no labels; `notes` are lines on what else was decided; `returned` tells
    which labels may be proposals that nobody has touched."""

    frames: list
    points: np.ndarray
    visible: np.ndarray
    mask: np.ndarray
    left_out: dict
    notes: tuple = ()
    returned: untouched.Returned | None = None


def read_labels(path, index):
    """Read labels from a file of any of FORMATS: `Labels`, in the order of the frames.

    Args:
        index: the data set's frames, see `sampled`.

    Raises:
        InputError: it cannot be read, is of no such format, names a frame that the data set does
            not have, says nothing at all, or has a fault; the message names the frame.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if content.startswith(b"PK"):
        raise InputError(f"{path}: is a ZIP archive: unpack it, and import the JSON file in it")
    if content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"[", b"{"):
        return read_labels_json(path, content, index)
    return _checked(path, _read_csv(path), index)


def read_labels_json(path, content, index):
    """Labels from the JSON of Label Studio or COCO, as `read` gives them; `path` is what messages
    call it."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no valid JSON: {short_repr(str(error))}") from None

    cleaned = defaultdict(list)
    for frame in index:
        cleaned[_cleaned(frame)].append(frame)

    def frame_of(name, size):
        frames = _frames_of(name, index, cleaned)
        if not frames:
            raise _stranger(path, name)
        if len(frames) > 1:
            raise InputError(
                f"{path}: {short_repr(name)}: may be {' or '.join(map(short_repr, frames[:3]))}:"
                " give their recordings names that differ in more than spaces and punctuation"
            )
        (frame,) = frames
        width, height = index[frame][1]
        # Rounded to whole pixels, a smaller copy has not quite the same shape.
        if size is not None and not (abs(size[0] * height - size[1] * width) <= width + height):
            raise InputError(
                f"{path}: {frame}: should be of a picture shaped like {width} x {height}"
                f" (got {size[0]:g} x {size[1]:g})"
            )
        return frame

    if isinstance(found, list):
        return _checked(path, Labels(*label_studio.studio_labels(path, found, frame_of)), index)
    if {"images", "annotations", "categories"} <= found.keys():
        return _checked(path, Labels(*coco.coco_labels(path, found, frame_of)), index)
    raise InputError(
        f"{path}: should be what Label Studio exports as JSON, COCO keypoints, or a CSV file"
    )


def _checked(path, labels, index):
    """The labels in the order of the frames, inside their pictures.

    Raises:
        InputError: there are none, a frame is unknown, or a corner lies outside its picture.
    """
    strange = [frame for frame in labels.frames if frame not in index]
    if strange:
        raise _stranger(path, strange[0])
    if not labels.frames:
        raise _empty(path, labels.left_out)
    place = {frame: number for number, frame in enumerate(index)}
    order = np.argsort([place[frame] for frame in labels.frames])
    frames = [labels.frames[row] for row in order]
    labels = labels._replace(
        frames=frames,
        points=labels.points[order],
        visible=labels.visible[order],
        mask=labels.mask[order],
        returned=untouched.Returned(*(each[order] for each in labels.returned)),
    )
    return labels._replace(points=_inside(path, labels, picture_sizes(frames, index)))


def as_proposed(dataset, labels, before=None):
    """Which of the labels are just what was proposed, (n,) bool: well proposed, or not looked at.

    Args:
        before: labels that are there already, see `_labels`. What they leave open was proposed.
    """
    proposals = proposals_by_frame(labelling_folder(dataset) / "proposals.csv", labelled=True)
    index, result = sampled_frames_index(dataset), np.zeros(len(labels.frames), bool)
    for row, frame in enumerate(labels.frames):
        if frame not in proposals:
            continue
        places, shows, _ = proposals[frame]
        sent = [(places, shows)]
        if frame in (before or {}):
            place, seen, said = before[frame]
            sent.append((np.where(said[:, None], place, places), np.where(said, seen, shows)))
        label = labels.mask[row], labels.visible[row]
        result[row] = any(
            untouched.is_as(labels.returned, row, *label, each, index[frame][1]) for each in sent
        )
    return result


def without_untouched(path, dataset, labels):
    """The labels without those that are exactly as proposed, where the file leaves open whether
    somebody has looked at them. Labels that are in annotations.csv already stay; where these are
    exactly as proposed, too, proposals of this file were accepted before, and the others count.

    Raises:
        InputError: no label is left.
    """
    before, index, returned = (
        labels_by_frame(dataset),
        sampled_frames_index(dataset),
        labels.returned,
    )
    proposed = returned.untouched | (returned.unsure & as_proposed(dataset, labels, before))
    out = proposed.copy()
    for row in np.flatnonzero(out):
        frame, mask = labels.frames[row], labels.mask[row]
        if frame in before:
            places, shows, said = before[frame]
            label = returned, row, mask, labels.visible[row], (places, shows), index[frame][1]
            out[row] = not (said[mask].all() and untouched.is_as(*label))
    if not out.any():
        return labels
    if (proposed & ~out).any():
        return labels._replace(notes=(*labels.notes, f"{out.sum()} {ACCEPTED}"))
    left_out = labels.left_out | {UNTOUCHED: int(out.sum())}
    kept = np.flatnonzero(~out)
    if not len(kept):
        raise _empty(path, left_out)
    points, visible, mask = (each[kept] for each in labels[1:4])
    frames = [labels.frames[row] for row in kept]
    rest = untouched.Returned(*(each[kept] for each in returned))
    return Labels(frames, points, visible, mask, left_out, labels.notes, rest)


def _empty(path, left_out):
    why = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
    return InputError(f"{path}: holds no label" + (f": {why}" if why else ""))


def _stranger(path, name):
    return InputError(
        f"{path}: {short_repr(name)}: the data set has no such frame in labelling/frames"
    )


def _frames_of(name, index, cleaned):
    """The frames that a picture's path or address may belong to.

    Files are named after their frames. Label Studio puts eight digits before the names of those
    that were uploaded and cleans them.

    Args:
        cleaned: the frames by their cleaned names.
    """
    stem = re.sub(r"\.[A-Za-z]+$", "", re.split(r"[/\\]", name)[-1])
    stems = stem, re.sub(r"^[0-9a-f]{8}-", "", stem)
    exact = next((frame for frame in stems if frame in index), None)
    if exact is not None:
        return [exact]
    return next((cleaned[each] for each in stems if each in cleaned), [])


def _cleaned(name):
    """A file's name as Label Studio, that is Django's get_valid_filename, makes it valid."""
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_"))


def _read_csv(path):
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        header = file.readline()
    if f"{KEYPOINTS[0]}_confidence" in header:
        raise InputError(
            f"{path}: holds proposals, which nobody has looked at: `cardpose label export` them,"
            " and import what comes back"
        )
    frames, points, visible, mask = read_annotations(path, outside=True)
    rows = np.flatnonzero(mask.any(axis=1))
    left_out = {}
    if len(rows) < len(frames):
        left_out["whose `annotated` is not 1, or that are empty"] = len(frames) - len(rows)
    kept, points = [frames[row] for row in rows], points[rows]
    returned = untouched.as_labels(points, "annotated" not in _names(header))
    return Labels(kept, points, visible[rows], mask[rows], left_out, (), returned)


def _names(header):
    return [name.strip() for name in next(csv.reader([header], skipinitialspace=True), [])]


def _inside(path, labels, sizes):
    """The points, those less than a pixel outside the picture put onto its edge.

    Raises:
        InputError: a visible one lies farther out.
    """
    points = labels.points
    with np.errstate(invalid="ignore"):
        out = np.maximum(-points, points - 1) * sizes[:, None]
        wrong = labels.visible & ~(out < 1).all(axis=2)
    if wrong.any():
        row, keypoint = np.argwhere(wrong)[0]
        x, y = points[row, keypoint] * sizes[row]
        width, height = sizes[row]
        raise InputError(
            f"{path}: {labels.frames[row]}: {KEYPOINTS[keypoint]}: should lie in the picture,"
            f" {width} x {height} pixels (got {x:.1f}, {y:.1f})"
        )
    return np.where(labels.visible[..., None], np.clip(points, 0, 1), np.nan)
