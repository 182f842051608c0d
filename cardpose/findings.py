"""What `cardpose check` found, for people: a table, a CSV file, a sheet of the worst labels."""

import csv
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from cardpose.annotations import read_annotations
from cardpose.check import check, sampled_pictures
from cardpose.drawing import captioned, draw_packet, sheet
from cardpose.files import replacing
from cardpose.geometry import CARD, FOCAL
from cardpose.judging import COLUMNS, INFO, WRONG
from cardpose.keypoints import KEYPOINTS
from cardpose.ours import marked_png
from cardpose.params import load_params
from cardpose.recordings import frame_name, read_recordings

_STEP = 20  # where there is no params.yaml
_DRAWN = 24  # frames at most
_BOX = (60, 60, 255)  # BGR, of the box's corners


def report(dataset, table, drawn, complain, text_file):
    """Check a data set with the parameters of ./params.yaml, or with the usual ones where there
    are none, and say what was found.

    Args:
        dataset: its folder.
        table: CSV file to be written, "-" for stdout, None for none.
        drawn: PNG file to be written, with the worst frames, or None.
        complain: as for `check`, prints.
        text_file: opens `table`.

    Returns:
        0 where nothing looks wrong, 1 where something does, 2 where not all could be checked.
    """
    unread = []

    def cannot(error):
        complain(error)
        unread.append(error)

    def progress(recordings):
        return tqdm(recordings, "check", unit="recording", leave=False, disable=None)

    found = check(dataset, *parameters(), cannot, progress)
    if table:
        with text_file(table) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([COLUMNS, *(one.row() for one in found)])
    if table != "-":
        print(as_table(found))
    if drawn:
        picture = worst_pictures(dataset, found, _DRAWN)
        if picture is None:
            print(f"{drawn}: not written, as no label looks wrong")
        else:
            with replacing(drawn) as scratch:
                scratch.write_bytes(marked_png(cv2.imencode(".png", picture)[1].tobytes()))
    return 2 if unread else int(any(one.level == WRONG for one in found))


def parameters():
    """frame_step, focal and card of ./params.yaml, or the usual ones."""
    if not Path("params.yaml").exists():
        return _STEP, FOCAL, CARD
    params = load_params()
    return params.frame_step, params.geometry.focal, tuple(params.geometry.card)


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
