"""Read labels from a labelling tool's file.

Formats are Label Studio's JSON (`studio_format`), COCO keypoints (`coco_format`) and CSV
(`csv_format`). The format is detected from the content of the file.
"""

import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from cardpose.common.errors import InputError, short_repr
from cardpose.common.regular_files import read_file
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.labelling.coco_format import coco_labels
from cardpose.labelling.csv_format import csv_labels
from cardpose.labelling.labels import Labels, no_labels
from cardpose.labelling.studio_format import studio_labels
from cardpose.labelling.tasks import FrameIndex, picture_sizes

_MAX_BYTES = 2**26  # of a label file; thousands of frames take some MB


def read_label_file(path: str | Path, index: FrameIndex) -> Labels:
    """Read the labels in a file of any format, in the order of the data set's frames.

    Args:
        index: the data set's frames.

    Raises:
        InputError: the file cannot be read, has an unsupported format, holds no label, names a
            frame that the data set does not have, or has a fault. The message names the frame.
    """
    path = Path(path)
    if path.exists() and not path.is_file():  # a pipe or a device may have no end
        raise InputError(f"{path}: should be a file from a labelling tool")
    content = read_file(path, _MAX_BYTES)
    if content.startswith(b"PK"):
        raise InputError(f"{path}: is a ZIP archive: unpack it, and import the JSON file in it")
    if content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"[", b"{"):
        return read_labels_json(path, content, index)
    labels = csv_labels(path)
    frame_of = _frame_finder(path, index)
    frames = [frame_of(frame, None) for frame in labels.frames]
    repeated = next((frame for frame, count in Counter(frames).items() if count > 1), None)
    if repeated is not None:
        raise InputError(f"{path}: {short_repr(repeated)}: is there twice, in two spellings")
    return _check(path, labels._replace(frames=frames), index)


def read_labels_json(path: str | Path, content: bytes | str, index: FrameIndex) -> Labels:
    """Read labels from the JSON of Label Studio or COCO, like `read_label_file`.

    Args:
        path: name of the file in error messages.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no valid JSON: {short_repr(str(error))}") from None
    frame_of = _frame_finder(path, index)
    if isinstance(found, list):
        return _check(path, studio_labels(path, found, frame_of), index)
    if {"images", "annotations", "categories"} <= found.keys():
        return _check(path, coco_labels(path, found, frame_of), index)
    raise InputError(
        f"{path}: should be what Label Studio exports as JSON, COCO keypoints, or a CSV file"
    )


# Frames and their names.


def _frame_finder(path: object, index: FrameIndex) -> Callable[[str, list | None], str]:
    """Return a function that finds the frame of a picture by its name, and checks its size.

    The function raises an InputError where no frame fits, several do, or the shape differs.
    """
    by_spelling = defaultdict(list)
    for frame in index:
        for spelling in set(_spellings(frame)):
            by_spelling[spelling].append(frame)

    def frame_of(name: str, size: list | None) -> str:
        frames = _frames_named(name, index, by_spelling)
        if not frames:
            raise _no_such_frame(path, name)
        if len(frames) > 1:
            raise InputError(
                f"{path}: {short_repr(name)}: may be {' or '.join(map(short_repr, frames[:3]))}:"
                " give their recordings names that differ in more than spaces and punctuation"
            )
        (frame,) = frames
        width, height = index[frame][1]
        # Allow for a smaller copy, whose sides are rounded to whole pixels.
        if size is not None and not (abs(size[0] * height - size[1] * width) <= width + height):
            raise InputError(
                f"{path}: {frame}: should be of a picture shaped like {width} x {height}"
                f" (got {size[0]:g} x {size[1]:g})"
            )
        return frame

    return frame_of


def _frames_named(name: str, index: FrameIndex, by_spelling: dict[str, list[str]]) -> list[str]:
    """Return the frames that a picture's path or address may belong to.

    Files are named after their frames. Label Studio cleans the names of uploaded files and puts
    eight hexadecimal digits and a hyphen before them.
    """
    stem = re.sub(r"\.[A-Za-z]+$", "", re.split(r"[/\\]", name)[-1])
    stems = stem, re.sub(r"^[0-9a-f]{8}-", "", stem)
    exact = next((frame for frame in stems if frame in index), None)
    if exact is not None:
        return [exact]
    spellings = [spelling for each in stems for spelling in _spellings(each)]
    return next((by_spelling[each] for each in spellings if each in by_spelling), [])


def _spellings(name: str) -> list[str]:
    """Return the spellings of a name that tools write, the most specific first.

    Unicode has two for letters with accents, composed and decomposed. macOS and some tools change
    one into the other. Cleaning removes the accents of decomposed letters.
    """
    forms = [unicodedata.normalize(form, name) for form in ("NFC", "NFD")]
    return [*forms, *map(_cleaned, forms)]


def _cleaned(name: str) -> str:
    """Return a file's name as Label Studio cleans it, by Django's get_valid_filename."""
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_"))


def _no_such_frame(path: object, name: str) -> InputError:
    return InputError(
        f"{path}: {short_repr(name)}: the data set has no such frame in labelling/frames"
    )


# Checks of the labels.


def _check(path: object, labels: Labels, index: FrameIndex) -> Labels:
    """Sort labels in the order of the frames, and move visible corners into their pictures.

    Raises:
        InputError: there are no labels, a frame does not exist, or a corner lies outside its
            picture.
    """
    strange = [frame for frame in labels.frames if frame not in index]
    if strange:
        raise _no_such_frame(path, strange[0])
    if not labels.frames:
        raise no_labels(path, labels.left_out)
    place = {frame: number for number, frame in enumerate(index)}
    labels = labels.take(np.argsort([place[frame] for frame in labels.frames]))
    sizes = picture_sizes(labels.frames, index)
    return labels._replace(points=_move_inside(path, labels, sizes))


def _move_inside(
    path: object, labels: Labels, sizes: Int[np.ndarray, "n 2"]
) -> Float[np.ndarray, "n 8 2"]:
    """Move visible points that lie less than a pixel outside the picture to its edge.

    Raises:
        InputError: a visible point lies further outside.
    """
    points = labels.points
    with np.errstate(invalid="ignore"):
        outside = np.maximum(-points, points - 1) * sizes[:, None]
        wrong = labels.visible & ~(outside < 1).all(axis=2)
    if wrong.any():
        row, keypoint = np.argwhere(wrong)[0]
        x, y = points[row, keypoint] * sizes[row]
        width, height = sizes[row]
        raise InputError(
            f"{path}: {labels.frames[row]}: {KEYPOINTS[keypoint]}: should lie in the picture,"
            f" {width} x {height} pixels (got {x:.6g}, {y:.6g})"
        )
    return np.where(labels.visible[..., None], np.clip(points, 0, 1), np.nan)
