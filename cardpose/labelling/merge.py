"""Merge new labels into annotations.csv. All other rows stay the same, byte for byte.

A row whose labels differ from the new ones changes only on request. In other rows, unlabelled
keypoints get the new labels. A keypoint without a new label keeps its old one.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from cardpose.common.errors import join_names, quantity
from cardpose.common.files import atomic_output
from cardpose.common.locks import locked
from cardpose.dataset.annotations import LABEL_COLUMNS, label_fields, read_annotations
from cardpose.geometry.keypoints import rename
from cardpose.labelling.labels import Label, Labels

# Places closer than this many pixels count as equal, because file formats round.
SAME = 0.01
_WAIT = 60.0  # seconds that a second merge waits; a merge takes a second or two
_NO_LABEL = Label(np.full((8, 2), np.nan), np.zeros(8, bool), np.zeros(8, bool))


@dataclass
class Merged:
    """Result of a merge: frames by outcome, and how their labels changed.

    Attributes:
        added: frames that had no label.
        completed: frames with labels whose unlabelled keypoints got labels.
        changed: frames with a different label, which was replaced.
        kept: frames with a different label, which was kept.
        unchanged: frames with the same label.
        moved: pixels by which corners of changed frames moved, if visible before and after.
        appeared: number of corners of changed frames that became visible.
        disappeared: number of corners of changed frames that became hidden.
        misnamed: frames whose labels break the rule of `name_corners`.
    """

    added: list[str] = field(default_factory=list)
    completed: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    moved: list[float] = field(default_factory=list)
    appeared: int = 0
    disappeared: int = 0
    misnamed: list[str] = field(default_factory=list)


class _Difference(NamedTuple):
    """How a new label differs from an old one, in keypoints that both label."""

    moved: Float[np.ndarray, " k"]  # pixels, of the corners visible in both
    appeared: int
    disappeared: int

    @property
    def exists(self) -> bool:
        return bool(self.appeared or self.disappeared or (self.moved > SAME).any())


def merge_labels(
    path: str | Path, labels: Labels, sizes: Int[np.ndarray, "n 2"], overwrite: bool = False
) -> Merged:
    """Merge labels into the annotations.csv at `path`, which may be missing.

    A second process that merges into the same file waits, even if it opens the file through a link.

    Args:
        labels: labels of n different frames.
        sizes: width and height of their pictures in pixels.
        overwrite: whether to replace labels that differ. Otherwise, rows with such labels stay as
            they are.

    Raises:
        InputError: the file is faulty, or other processes keep writing it.
    """
    path = Path(path)
    with locked(path, _WAIT):  # no other process writes between reading and writing
        result, rows = _merge(_read(path), labels, sizes, overwrite)
        if rows:
            lines = _with_rows(path, rows)
            with atomic_output(path) as scratch:
                scratch.write_bytes("".join(lines).encode())
    return result


def merge_report(labels: Labels, merged: Merged, proposed: int, dataset: str) -> list[str]:
    """Describe an import in lines for the user.

    Args:
        labels: labels that were merged.
        merged: result of the merge.
        proposed: number of labels that are exactly as proposed.
        dataset: name of the data set, as the user gave it.
    """
    parts = [
        (merged.added, "added"),
        (merged.completed, "completed"),
        (merged.changed, "changed"),
        (merged.kept, "kept as they were"),
        (merged.unchanged, "the same as before"),
    ]
    counts = ", ".join(f"{len(frames)} {what}" for frames, what in parts if frames)
    number = len(labels.frames)
    lines = [f"{quantity(number, 'label')}: {counts}"]
    if merged.changed:
        moved = "no corner that stayed visible"
        if merged.moved:
            moved = (
                f"corners moved by {np.median(merged.moved):.2f} px at the median,"
                f" {max(merged.moved):.2f} px at most"
            )
        lines.append(
            f"changed: {moved}; {merged.appeared} became visible, {merged.disappeared} are hidden"
            " now"
        )
    if merged.kept:
        lines.append(
            f"kept: {join_names(merged.kept)}: labelled otherwise already;"
            " --overwrite takes the new ones"
        )
    lines += labels.notes
    lines += [f"left out: {count} {why}" for why, count in labels.left_out.items()]
    if proposed:
        lines.append(f"{proposed} of the {number} exactly as proposed")
    if merged.misnamed:
        lines.append(f"upper, lower, left or right may be exchanged: {join_names(merged.misnamed)}")
    return [*lines, f"see what looks wrong: cardpose check {dataset}"]


def _merge(
    before: dict[str, Label], labels: Labels, sizes: Int[np.ndarray, "n 2"], overwrite: bool
) -> tuple[Merged, dict[str, list[str]]]:
    """Return the outcome of each label, and the new values of the rows that change."""
    result, rows = Merged(), {}
    for row, frame in enumerate(labels.frames):
        new, old = labels.label(row), before.get(frame, _NO_LABEL)
        if not _follows_naming_rule(new.points, new.visible):
            result.misnamed.append(frame)
        difference = _compare(new, old, sizes[row])
        taken = new.mask if difference.exists else new.mask & ~old.mask
        if difference.exists and not overwrite:
            result.kept.append(frame)
            continue
        if not taken.any():
            result.unchanged.append(frame)
            continue
        if difference.exists:
            result.changed.append(frame)
            result.moved += difference.moved.tolist()
            result.appeared += difference.appeared
            result.disappeared += difference.disappeared
        elif old.mask.any():
            result.completed.append(frame)
        else:
            result.added.append(frame)
        rows[frame] = label_fields(
            np.where(taken[:, None], new.points, old.points),
            np.where(taken, new.visible, old.visible),
            taken | old.mask,
        )
    return result, rows


def _compare(new: Label, old: Label, size: Int[np.ndarray, "2"]) -> _Difference:
    both = old.mask & new.mask
    distance = np.linalg.norm((new.points - old.points) * size, axis=1)
    return _Difference(
        distance[both & old.visible & new.visible],
        int((both & new.visible & ~old.visible).sum()),
        int((both & old.visible & ~new.visible).sum()),
    )


def _follows_naming_rule(points: Float[np.ndarray, "8 2"], visible: Bool[np.ndarray, "8"]) -> bool:
    named, shows = rename(np.where(visible[:, None], points, 0), visible)
    return bool((shows == visible).all() and (named[visible] == points[visible]).all())


def _read(path: Path) -> dict[str, Label]:
    if not path.exists():
        return {}
    # Allow places outside the picture: a merge keeps the faults of rows that stay.
    frames, *values = read_annotations(path, outside=True)
    return dict(zip(frames, map(Label, *values), strict=True))


# The file, line by line.


def _with_rows(path: Path, rows: dict[str, list[str]]) -> list[str]:
    """Return the lines of the file at `path` with `rows` {frame: values of LABEL_COLUMNS} in it."""
    lines = [",".join(["frame", *LABEL_COLUMNS]) + "\n"]
    if path.exists():
        # Each row is one line, as `read_annotations` has checked. Keep the line endings.
        text = path.read_bytes().decode()
        lines = [line for line in re.split(r"(?<=\n)|(?<=\r)(?!\n)", text) if line]
    end = lines[0][len(lines[0].rstrip("\r\n")) :] or "\n"
    header = _split(lines[0].removeprefix("\ufeff"))
    rows = dict(rows)
    for number, line in enumerate(lines[1:], 1):
        values = _split(line)
        values += [""] * (len(header) - len(values))
        frame = values[header.index("frame")]
        if frame in rows:
            lines[number] = _join(header, values, rows.pop(frame)) + end
    if not lines[-1].endswith(("\r", "\n")):
        lines[-1] += end
    for frame, new in rows.items():
        values = [""] * len(header)
        values[header.index("frame")] = frame
        lines.append(_join(header, values, new) + end)
    return lines


def _split(line: str) -> list[str]:
    return [value.strip() for value in next(csv.reader([line], skipinitialspace=True), [])]


def _join(header: Sequence[str], values: Sequence[str], new: Sequence[str]) -> str:
    """Return a row as a line: `values`, with those of LABEL_COLUMNS replaced by `new`."""
    row = list(values)
    for name, value in zip(LABEL_COLUMNS, new, strict=True):
        row[header.index(name)] = value
    if "annotated" in header:
        row[header.index("annotated")] = "1"
    return ",".join(map(_quoted, row))


def _quoted(value: str) -> str:
    return f'"{value.replace(chr(34), 2 * chr(34))}"' if re.search(r'[",\r\n]', value) else value
