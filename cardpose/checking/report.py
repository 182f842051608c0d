"""What `cardpose check` found, for people: a table, a CSV file, a sheet of the worst labels."""

from pathlib import Path

import cv2
import numpy as np

from cardpose.checking.findings import INFO, WRONG
from cardpose.dataset.annotations import read_annotations
from cardpose.dataset.names import frame_name
from cardpose.dataset.recordings import read_recordings, sampled_pictures
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.pictures.drawing import captioned, draw_packet, sheet

MOST_DRAWN = 24  # frames at most
_BOX = (60, 60, 255)  # BGR, of the box's corners


def as_table(found):
    """Findings as lines for people; what is only worth knowing stands in brackets."""
    wrong = sum(one.level == WRONG for one in found)
    end = f"{wrong} thing{'s' * (wrong != 1)} look{'s' * (wrong == 1)} wrong"
    if not found:
        return "nothing looks wrong"
    rows = [("recording", "frame", "what", "how far")] + [
        (one.recording, "" if one.frame is None else str(one.frame), *_words(one)) for one in found
    ]
    widths = [max(len(row[k]) for row in rows) for k in range(3)]
    lines = [
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, (*widths, 0), strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, end])


def _words(one):
    """What a finding says, and how far off it is."""
    corner = one.corner.replace("_", " ")
    what = f"{corner}: {one.what}" if corner else one.what
    if one.level == INFO:
        what = f"({what})"
    if one.off is None:
        return what, ""
    return what, f"{one.off:.0f} {one.unit}"


def worst_pictures(dataset, found, most):
    """A sheet of the worst frames, as a BGR picture, or None where no frame is meant.

    Labels are drawn as circles and lines, the box's corners as red crosses, and a line from a
    label to where the box says that it belongs.
    """
    shown = {}
    for one in found:
        if one.frame is not None and one.level == WRONG:
            shown.setdefault((one.recording, one.frame), one)
    shown = dict(list(shown.items())[:most])
    recordings = {recording.name: recording for recording in read_recordings(dataset)}
    frames, points, visible, _ = read_annotations(Path(dataset) / "annotations.csv", outside=True)
    row = {frame: k for k, frame in enumerate(frames)}
    cells = {}
    for name in dict.fromkeys(name for name, _ in shown):
        wanted = {frame for recording, frame in shown if recording == name}
        if name not in recordings:
            continue
        # The step is larger than any frame, so that only those wanted come.
        for index, picture in sampled_pictures(recordings[name], 1 + max(wanted), wanted):
            if index in wanted:
                one, k = shown[name, index], row[frame_name(name, index)]
                cells[name, index] = _cell(picture, one, points[k], visible[k])
    cells = [cells[key] for key in shown if key in cells]
    return sheet(cells) if cells else None


def _cell(picture, one, points, visible):
    size = picture.shape[1::-1]
    draw_packet(picture, np.nan_to_num(points) * size, visible)
    if one.box is not None:
        unit = max(1, round(size[0] / 400))
        places = np.clip(np.nan_to_num(one.box) * size, -1e4, 1e4).astype(int)
        labels = np.clip(np.nan_to_num(points) * size, -1e4, 1e4).astype(int)
        for k, place in enumerate(places):
            cv2.drawMarker(
                picture, tuple(map(int, place)), _BOX, cv2.MARKER_TILTED_CROSS, 6 * unit, unit
            )
            if KEYPOINTS[k] in one.corner and visible[k]:
                cv2.line(picture, tuple(map(int, labels[k])), tuple(map(int, place)), _BOX, unit)
    what, far = _words(one)
    return captioned(picture, f"{one.name}: {what} {far}")
