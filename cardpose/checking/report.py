"""Report findings as a table of text and as a sheet of the worst frames."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from cardpose.checking.findings import INFO, WRONG, Finding
from cardpose.common.errors import printable, quantity
from cardpose.dataset.annotations import read_annotations
from cardpose.dataset.names import frame_name
from cardpose.dataset.recordings import read_recordings, sampled_pictures
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.pictures.drawing import captioned, draw_packet, sheet

MOST_DRAWN = 24  # largest number of frames on a sheet
_BOX = (60, 60, 255)  # BGR colour of the box's corners
_NOTHING = "nothing looks wrong"
_FAR = 1e4  # pixels; OpenCV cannot draw at places much farther away


def as_table(found: Sequence[Finding]) -> str:
    """Return findings as a table of text, with remarks in brackets."""
    wrong = sum(one.level == WRONG for one in found)
    end = f"{quantity(wrong, 'thing')} look{'s' * (wrong == 1)} wrong" if wrong else _NOTHING
    if not found:
        return end
    rows = [("recording", "frame", "what", "how far")] + [
        (printable(one.recording), "" if one.frame is None else str(one.frame), *_describe(one))
        for one in found
    ]
    widths = [max(len(row[k]) for row in rows) for k in range(3)]
    lines = [
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, (*widths, 0), strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, end])


def worst_pictures(
    dataset: str | Path, found: Sequence[Finding], most: int
) -> UInt8[np.ndarray, "h w 3"] | None:
    """Draw the frames of the first findings on one sheet.

    Draw labels as circles and lines, and corners of the box as red crosses. Join a wrong label to
    its corner of the box with a line.

    Args:
        most: largest number of frames.

    Returns:
        a BGR picture, or None if no finding is about a frame.
    """
    first: dict[tuple[str, int], Finding] = {}  # first finding of each frame
    for one in found:
        if one.frame is not None and one.level == WRONG:
            first.setdefault((one.recording, one.frame), one)
    first = dict(list(first.items())[:most])
    recordings = {recording.name: recording for recording in read_recordings(dataset)}
    labels = read_annotations(Path(dataset) / "annotations.csv", outside=True)
    row_of_frame = {frame: row for row, frame in enumerate(labels.frames)}
    cells = {}
    for name in dict.fromkeys(name for name, _ in first):
        wanted = {frame for recording, frame in first if recording == name}
        if name not in recordings:
            continue
        # Choose a step above every wanted index, which adds no frame but frame 0.
        for index, picture in sampled_pictures(recordings[name], 1 + max(wanted), wanted):
            if index in wanted:
                row = row_of_frame[frame_name(name, index)]
                cells[name, index] = _cell(
                    picture, first[name, index], labels.points[row], labels.visible[row]
                )
    drawn = [cells[key] for key in first if key in cells]
    return sheet(drawn) if drawn else None


def _describe(one: Finding) -> tuple[str, str]:
    """Return the text of a finding, and how far off it is."""
    corner = one.corner.replace("_", " ")
    what = f"{corner}: {one.what}" if corner else one.what
    if one.level == INFO:
        what = f"({what})"
    if one.off is None:
        return what, ""
    return what, f"{one.off:.0f} {one.unit}"


def _cell(
    picture: UInt8[np.ndarray, "h w 3"],
    one: Finding,
    points: Float[np.ndarray, "8 2"],
    visible: Bool[np.ndarray, "8"],
) -> UInt8[np.ndarray, "cell_h cell_w 3"]:
    """Draw the labels and the box into a picture, and write the finding below it."""
    size = picture.shape[1::-1]
    draw_packet(picture, np.nan_to_num(points) * size, visible)
    if one.box is not None:
        unit = max(1, round(size[0] / 400))
        corners, labels = (
            np.clip(np.nan_to_num(each) * size, -_FAR, _FAR).astype(int).tolist()
            for each in (one.box, points)
        )
        for k, name in enumerate(KEYPOINTS):
            cv2.drawMarker(picture, corners[k], _BOX, cv2.MARKER_TILTED_CROSS, 6 * unit, unit)
            if name in one.corner and visible[k]:
                cv2.line(picture, labels[k], corners[k], _BOX, unit)
    what, far = _describe(one)
    return captioned(picture, f"{one.name}: {what} {far}")
