"""What looks wrong in a data set, before anybody trains on it.

Labels are held against the box that all frames of their recording show (`misfit`), against the
rule for names (`keypoints.name_corners`) and against the picture; counts against the thickness of
that box; recordings against each other (`lookalikes`). Nothing is written, one recording is in
memory at a time.
"""

from pathlib import Path

import numpy as np

from cardpose.checking.counts import count_findings, deck_findings
from cardpose.checking.findings import INFO, WRONG, Finding
from cardpose.checking.label_fit import LabelFitter
from cardpose.checking.mirror import mirror_contrast
from cardpose.checking.rules import FrameLabels, LabelledRecording, fit_labels, judge, usual_scatter
from cardpose.common.errors import InputError, join_names
from cardpose.dataset.annotations import read_annotations
from cardpose.dataset.names import split_frame_name
from cardpose.dataset.recordings import read_recordings, sampled_pictures
from cardpose.pictures.duplicates import difference_hash, near_duplicates


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
    boxes = LabelFitter(focal, card, max(recording.total_cards for recording in recordings))
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
    found += count_findings(thick, card[2]) + deck_findings(thick, card[2])
    for name, other in near_duplicates(looks, looks).items():
        found.append(Finding(name, None, f"nearly the same pictures as {other}", worse=20))
    return sorted(found, key=lambda f: (f.level != WRONG, -f.worse, f.recording, f.frame or 0))


def _labels(path, recordings):
    """{recording: its `Labels`}, and what is found without looking at pictures."""
    frames, points, visible, mask = read_annotations(path, outside=True)
    rows = {recording.name: [] for recording in recordings}
    strangers = {}
    for row in np.flatnonzero(mask.any(axis=1)):
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
        labels[name] = FrameLabels(indices, points[of], visible[of], mask[of])
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
            looks.append(difference_hash(picture))
            unlabelled += index not in wanted
        if index in wanted:
            row = wanted[index]
            flipped[index] = mirror_contrast(picture, labels.points[row], labels.visible[row])
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
        several = join_names(f"{width} x {height}" for width, height in kinds)
        found.append(
            Finding(recording.name, None, f"pictures of several sizes: {several}", level=INFO)
        )
    there = np.array([index in sizes for index in labels.frames.tolist()], bool)
    every = labels.frames, labels.points, labels.visible, labels.mask
    kept = FrameLabels(*(each[there] for each in every))
    frames = kept.frames.tolist()
    return (
        LabelledRecording(
            kept,
            np.array([sizes[index] for index in frames]).reshape(-1, 2),
            np.array([flipped[index] for index in frames]),
            np.array(looks, np.uint8),
        ),
        found,
    )
