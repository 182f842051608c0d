"""Read and write COCO keypoints, a format of CVAT and most pose estimation tools.

**Places** are in continuous pixels of the picture: (0, 0) is the outer corner of the top-left
pixel, a pixel's centre is at +0.5. COCO's boxes and outlines use the same coordinates: in
pycocotools, a polygon from 0, 0 to w, h covers the whole picture. So do CVAT's keypoints. (The
keypoints of COCO's own data set are whole pixels, to which some programs add a half. Places from
CVAT need no such correction.)

**Visibility.** A keypoint has v = 2 where it is visible; v = 1 where it is hidden and its place is
a guess; v = 0 where it is hidden or unlabelled and has no place. When read, 0 and 1 both mean "not
visible"; CVAT calls them outside and occluded.

**Labelled or not.** A picture without an annotation has no label. An annotation labels all eight
keypoints, unless all its v are 0 (its `num_keypoints` is 0): such a picture is not labelled. In a
file with such annotations, all others count as labels. In any other file, approved and unchecked
proposals look the same; see `untouched`. An exported proposal repeats its keypoints in the field
`proposed`, which most tools drop.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from cardpose.common.errors import InputError, join_names, short_repr
from cardpose.common.json_files import is_number
from cardpose.geometry.keypoints import EDGES, KEYPOINTS
from cardpose.labelling.labels import Labels, Origin
from cardpose.labelling.tasks import Tasks

CATEGORY = {
    "id": 1,
    "name": "packet",
    "supercategory": "",
    "keypoints": list(KEYPOINTS),
    "skeleton": [[a + 1, b + 1] for a, b in EDGES],  # counted from 1
}
_NOT_LABELLED = "not labelled: all their v are 0"
_NEAR = 0.01  # pixels; places that are closer count as equal


def coco_dataset(tasks: Tasks) -> dict[str, list]:
    """Convert tasks to a data set in COCO's format; `score` is the mean confidence."""
    images: list[dict] = []
    annotations: list[dict] = []
    for row, (file, (width, height)) in enumerate(
        zip(tasks.files, tasks.sizes.tolist(), strict=True)
    ):
        images.append({"id": row + 1, "file_name": file, "width": width, "height": height})
        annotation = _annotation(tasks, row)
        if annotation:
            ids = {"id": len(annotations) + 1, "image_id": row + 1, "category_id": 1}
            annotations.append(ids | annotation)
    return {"images": images, "annotations": annotations, "categories": [CATEGORY]}


def _annotation(tasks: Tasks, row: int) -> dict[str, Any] | None:
    """Return the annotation of a task, or None where it has neither label nor proposal.

    Return None also where all v would be 0, because that would mark the frame as unlabelled.
    """
    confidence, size = tasks.confidence[row], tasks.sizes[row]
    places = tasks.points[row] * size
    with np.errstate(invalid="ignore"):
        inside = ((places >= 0) & (places <= size)).all(axis=1)
    v = np.where(inside & ~np.isnan(confidence), 1 + tasks.visible[row], 0)
    if not v.any():
        return None
    places = np.where(v[:, None] > 0, places, 0).round(3)
    low, high = (limit(places[v > 0], axis=0) for limit in (np.min, np.max))
    width, height = (high - low).round(3).tolist()
    keypoints = [
        value
        for (x, y), visibility in zip(places.tolist(), v.tolist(), strict=True)
        for value in (x, y, visibility)
    ]
    return {
        "keypoints": keypoints,
        "num_keypoints": int((v > 0).sum()),
        "bbox": [*low.tolist(), width, height],
        "area": round(width * height, 3),
        "segmentation": [],
        "iscrowd": 0,
        "score": round(float(np.nanmean(confidence)), 4),
    } | ({} if tasks.mask[row].all() else {"proposed": keypoints})


def coco_labels(
    path: object,
    content: dict[str, Any],
    frame_of: Callable[[str, list | None], str],
) -> Labels:
    """Read the labels in a data set of COCO's format.

    Args:
        path: name of the file in error messages.
        frame_of: called with a picture's name and [width, height]; returns its frame's name.

    Raises:
        InputError: something is missing, given twice, or not a number.
    """
    categories = _by_id(path, content, "categories", {"id"})
    images = _by_id(path, content, "images", {"id", "file_name", "width", "height"})
    left_out: Counter[str] = Counter()
    annotated = set()
    found: dict[str, tuple] = {}
    for number, annotation in enumerate(_dicts(path, content, "annotations"), 1):
        where = f"{path}: annotation {short_repr(annotation.get('id', number))}"
        if "keypoints" not in annotation:
            left_out["without keypoints"] += 1
            continue
        image = _referred(where, annotation, "image_id", images)
        category = _referred(where, annotation, "category_id", categories)
        annotated.add(image["id"])
        size = _size(path, image)
        frame = frame_of(image["file_name"], size)
        order = _keypoint_order(path, category)
        marks = _marks(f"{path}: {frame}", annotation["keypoints"])
        if not marks[:, 2].any():
            left_out[_NOT_LABELLED] += 1
            continue
        if frame in found:
            raise InputError(f"{path}: {frame}: should have one packet (got two annotations)")
        found[frame] = marks[order], size, _is_as_proposed(annotation)
    bare = len(images) - len(annotated)
    if bare:
        left_out["without an annotation"] += bare
    columns = zip(*found.values(), strict=True) if found else ((), (), ())
    rows, sizes, proposed = (list(column) for column in columns)
    return _labels(
        list(found),
        np.array(rows).reshape(-1, 8, 3),
        np.array(sizes, float).reshape(-1, 1, 2),
        np.array(proposed, bool),
        dict(left_out),
    )


def _labels(
    frames: list[str],
    marks: Float[np.ndarray, "n 8 3"],
    sizes: Float[np.ndarray, "n 1 2"],
    proposed: np.ndarray,
    left_out: dict[str, int],
) -> Labels:
    v = marks[..., 2]
    visible = v == 2
    # Many tools write 0, 0 for an unmarked keypoint.
    placed = visible | ((v > 0) & marks[..., :2].any(axis=2))
    places = np.where(placed[..., None], marks[..., :2], np.nan)
    unconfirmed = np.full(len(frames), _NOT_LABELLED not in left_out)
    origin = Origin(unconfirmed, proposed & unconfirmed, places / sizes, _rounding(places) / sizes)
    points = np.where(visible[..., None], places / sizes, np.nan)
    return Labels(frames, points, visible, np.ones_like(visible), origin, left_out)


def _rounding(places: Float[np.ndarray, "n 8 2"]) -> float:
    """Return the unit in pixels to which a tool has rounded places: 1, 0.1, or 0 if finer."""
    values = places[np.abs(places) < 1e9]  # neither missing nor absurd
    for unit in (1.0, 0.1):
        # With few corners, all may lie on whole pixels by chance.
        if len(values) >= 8 and np.allclose(values / unit, np.round(values / unit), atol=1e-6):
            return unit
    return 0.0


def _is_as_proposed(annotation: dict[str, Any]) -> bool:
    """Return whether the keypoints still equal the field `proposed`."""
    sent = annotation.get("proposed")
    if not isinstance(sent, list) or len(sent) != 24 or not all(map(is_number, sent)):
        return False
    difference = np.array(annotation["keypoints"], float) - np.array(sent, float)
    return bool((np.abs(difference) <= _NEAR).all())


# Checks of the file.


def _dicts(path: object, content: dict[str, Any], name: str) -> list[dict]:
    values = content[name]
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise InputError(f"{path}: {name}: should be a list of objects, as COCO has them")
    return values


def _by_id(path: object, content: dict[str, Any], name: str, needed: set[str]) -> dict[int, dict]:
    result: dict[int, dict] = {}
    for number, value in enumerate(_dicts(path, content, name), 1):
        missing = sorted(needed - value.keys())
        if missing:
            raise InputError(f"{path}: {name}: the {number}. has no {join_names(missing)}")
        if not isinstance(value["id"], int) or value["id"] in result:
            raise InputError(
                f"{path}: {name}: id should be a whole number of its own"
                f" (got {short_repr(value['id'])})"
            )
        result[value["id"]] = value
    return result


def _referred(where: str, annotation: dict, name: str, values: dict[int, dict]) -> dict:
    """Return the image or the category that an annotation belongs to."""
    key = annotation.get(name)
    if not isinstance(key, int) or key not in values:
        raise InputError(f"{where}: {name}: there is none such (got {short_repr(key)})")
    return values[key]


def _size(path: object, image: dict[str, Any]) -> list:
    size = [image["width"], image["height"]]
    if not all(is_number(side) and side > 0 for side in size):
        raise InputError(
            f"{path}: image {short_repr(image['id'])}: width and height should be numbers above 0"
            f" (got {short_repr(size)})"
        )
    if not isinstance(image["file_name"], str):
        raise InputError(f"{path}: image {short_repr(image['id'])}: file_name should be text")
    return size


def _keypoint_order(path: object, category: dict[str, Any]) -> list[int]:
    """Return the index of each of KEYPOINTS in a category's list of keypoints."""
    listed = category.get("keypoints")
    if not isinstance(listed, list) or sorted(map(str, listed)) != sorted(KEYPOINTS):
        raise InputError(
            f"{path}: category {short_repr(category['id'])}: keypoints should be the eight that"
            f" cardpose/geometry/keypoints.py names (got {short_repr(listed)})"
        )
    return [listed.index(name) for name in KEYPOINTS]


def _marks(where: str, values: object) -> Float[np.ndarray, "8 3"]:
    """Return x, y and v of each keypoint, all 0 where the list is empty."""
    if values == []:
        return np.zeros((8, 3))
    if not isinstance(values, list) or len(values) != 24 or not all(map(is_number, values)):
        raise InputError(f"{where}: keypoints should be 24 numbers (got {short_repr(values)})")
    marks = np.array(values, float).reshape(8, 3)
    strange = ~np.isin(marks[:, 2], (0, 1, 2))
    if strange.any():
        raise InputError(f"{where}: v should be 0, 1 or 2 (got {marks[strange][0, 2]:g})")
    return marks
