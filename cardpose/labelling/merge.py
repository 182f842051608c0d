"""New labels into annotations.csv: other rows stay as they are, to the byte.

What is known of a keypoint is not overwritten unless that is asked for, nor lost where the new
label leaves the keypoint open; what is not known is filled in.
"""

import csv
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cardpose.common.errors import join_names
from cardpose.common.files import atomic_output
from cardpose.common.locks import locked
from cardpose.dataset.annotations import LABEL_COLUMNS, label_fields, read_annotations
from cardpose.geometry.keypoints import rename

# Pixels within which two labels are the same: formats round, and no hand is as exact.
SAME = 0.01
_WAIT = 60.0  # seconds for which a second merge waits; each takes a second or two


@dataclass
class Merged:
    """What became of the frames of an import, by name; `completed` had a label that left keypoints
    open. `moved` has how many pixels each corner of a changed frame went that was visible and still
    is; `shown` and `hidden` count corners that are visible now and were not, and the other way;
    `odd` are frames whose labels do not follow the rule for names."""

    added: list = field(default_factory=list)
    completed: list = field(default_factory=list)
    changed: list = field(default_factory=list)
    kept: list = field(default_factory=list)
    unchanged: list = field(default_factory=list)
    moved: list = field(default_factory=list)
    shown: int = 0
    hidden: int = 0
    odd: list = field(default_factory=list)


def merge_labels(path, labels, sizes, overwrite=False):
    """Merge labels into the annotations.csv at `path`, which may be missing.

    A second process that merges into the same file, be it through a link, waits for its turn.

    Args:
        labels: of n frames, no two alike, as `annotations.read_annotations` has them: `frames`,
            `points`, `visible`, `mask`.
        sizes: (n, 2) of their pictures in pixels.
        overwrite: whether labels replace others; otherwise a row that differs from its label stays
            as it is.

    Returns:
        a `Merged`.

    Raises:
        InputError: the file is wrong, or other processes write it all the time.
    """
    path = Path(path)
    with locked(path, _WAIT):  # what is read stays true until it is written
        return _merge(path, labels, sizes, overwrite)


def _merge(path, labels, sizes, overwrite):
    result, rows = Merged(), {}
    before = _read(path)
    for row, frame in enumerate(labels.frames):
        new = tuple(each[row] for each in (labels.points, labels.visible, labels.mask))
        if not _named_well(*new[:2]):
            result.odd.append(frame)
        old = before.get(frame, (np.full((8, 2), np.nan), *np.zeros((2, 8), bool)))
        moved = np.linalg.norm((new[0] - old[0]) * sizes[row], axis=1)
        both = old[2] & new[2]
        stayed = both & old[1] & new[1]
        differ = (both & (old[1] != new[1])).any() or (moved[stayed] > SAME).any()
        fresh = new[2] & ~old[2]
        if differ and not overwrite:
            result.kept.append(frame)
            continue
        if differ:
            result.changed.append(frame)
            result.moved += moved[stayed].tolist()
            result.shown += int((both & new[1] & ~old[1]).sum())
            result.hidden += int((both & old[1] & ~new[1]).sum())
        elif not fresh.any():
            result.unchanged.append(frame)
            continue
        else:
            (result.completed if old[2].any() else result.added).append(frame)
        taken = new[2] if differ else fresh
        rows[frame] = label_fields(
            np.where(taken[:, None], new[0], old[0]),
            np.where(taken, new[1], old[1]),
            taken | old[2],
        )
    if rows:
        lines = _merged(path, rows)
        with atomic_output(path) as scratch:
            scratch.write_bytes("".join(lines).encode())
    return result


def merge_report(labels, merged, proposed, dataset):
    """What an import did, as lines for people.

    Args:
        labels: the `label_import.Labels` that were merged, `merged` what `merge` returned.
        proposed: how many of them are just what was proposed.
    """
    parts = [
        (merged.added, "added"),
        (merged.completed, "completed"),
        (merged.changed, "changed"),
        (merged.kept, "kept as they were"),
        (merged.unchanged, "the same as before"),
    ]
    said = ", ".join(f"{len(frames)} {what}" for frames, what in parts if frames)
    lines = [f"{len(labels.frames)} labels: {said}"]
    if merged.changed:
        moved = "no corner that stayed visible"
        if merged.moved:
            moved = (
                f"corners moved by {np.median(merged.moved):.2f} px at the median,"
                f" {max(merged.moved):.2f} px at most"
            )
        lines.append(
            f"changed: {moved}; {merged.shown} became visible, {merged.hidden} are hidden now"
        )
    if merged.kept:
        lines.append(
            f"kept: {join_names(merged.kept)}: labelled otherwise already;"
            " --overwrite takes the new ones"
        )
    lines += labels.notes
    lines += [f"left out: {count} {why}" for why, count in labels.left_out.items()]
    if proposed:
        lines.append(f"{proposed} of the {len(labels.frames)} exactly as proposed")
    if merged.odd:
        lines.append(f"upper, lower, left or right may be exchanged: {join_names(merged.odd)}")
    return [*lines, f"see what looks wrong: cardpose check {dataset}"]


def _read(path):
    if not path.exists():
        return {}
    # Labels that were wrong before are none of this command's business, but for what it replaces.
    frames, *values = read_annotations(path, outside=True)
    return dict(zip(frames, zip(*values, strict=True), strict=True))


def _named_well(points, visible):
    renamed, shows = rename(np.where(visible[:, None], points, 0), visible)
    return (shows == visible).all() and (renamed[visible] == points[visible]).all()


def _merged(path, rows):
    """The lines of the file at `path`, with `rows` {frame: values of COLUMNS} in it."""
    lines = [",".join(["frame", *LABEL_COLUMNS]) + "\n"]
    if path.exists():
        # Each row is one line, as `read_annotations` has seen; keep how lines end.
        text = path.read_bytes().decode()
        lines = [line for line in re.split(r"(?<=\n)|(?<=\r)(?!\n)", text) if line]
    end = re.search(r"[\r\n]*$", lines[0]).group() or "\n"
    header = _values(lines[0].removeprefix("\ufeff"))
    rows = dict(rows)
    for number, line in enumerate(lines[1:], 1):
        values = _values(line)
        values += [""] * (len(header) - len(values))
        frame = values[header.index("frame")]
        if frame in rows:
            lines[number] = _line(header, values, rows.pop(frame)) + end
    if not lines[-1].endswith(("\r", "\n")):
        lines[-1] += end
    for frame, new in rows.items():
        values = [""] * len(header)
        values[header.index("frame")] = frame
        lines.append(_line(header, values, new) + end)
    return lines


def _values(line):
    return [value.strip() for value in next(csv.reader([line], skipinitialspace=True), [])]


def _line(header, values, new):
    values = list(values)
    for name, value in zip(LABEL_COLUMNS, new, strict=True):
        values[header.index(name)] = value
    if "annotated" in header:
        values[header.index("annotated")] = "1"
    return ",".join(map(_quoted, values))


def _quoted(value):
    return f'"{value.replace(chr(34), 2 * chr(34))}"' if re.search(r'[",\r\n]', value) else value
