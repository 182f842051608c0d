"""COCO keypoints, which CVAT and most tools of pose estimation read and write.

Places are in pixels of the picture, and continuous: (0, 0) is the outer corner of the top-left
pixel, a pixel's centre is at +0.5. So are COCO's boxes and outlines (in pycocotools a polygon from
0, 0 to w, h covers the whole picture), and so does CVAT write keypoints, which draws them over the
picture and shifts nothing. (Who marked COCO's own set clicked on whole pixels, to which some
programs add a half; what comes from CVAT has none to add.)

A keypoint has v = 2 where it is visible; v = 1 where it is hidden, and its place a guess; v = 0
where it is hidden or unknown, and nobody says where. When read, 0 and 1 are both "not visible":
CVAT calls them outside and occluded. A picture without an annotation has no label; one with an
annotation is labelled in all its keypoints, and one whose v are all 0 is not labelled at all: its
`num_keypoints` is 0. A file that calls some annotations not labelled calls the others labelled. Any
other file cannot tell a proposal that somebody approved from one that nobody has looked at (see
`untouched`). Annotations that hold a proposal have its keypoints a second time, as `proposed`; most
tools drop that.
"""

from collections import Counter

import numpy as np

from cardpose.common.errors import InputError, join_names, short_repr
from cardpose.common.json_files import is_number
from cardpose.geometry.keypoints import EDGES, KEYPOINTS
from cardpose.labelling.untouched import Returned, step

CATEGORY = {
    "id": 1,
    "name": "packet",
    "supercategory": "",
    "keypoints": list(KEYPOINTS),
    "skeleton": [[a + 1, b + 1] for a, b in EDGES],  # counted from 1
}
_NOT_LABELLED = "not labelled: all their v are 0"


def coco_dataset(sheet):
    """A dict in COCO's format, of a `task_export.Sheet`; `score` is the mean confidence."""
    images, annotations = [], []
    for row, (file, (width, height)) in enumerate(
        zip(sheet.files, sheet.sizes.tolist(), strict=True)
    ):
        image = {"id": row + 1, "file_name": file, "width": width, "height": height}
        images.append(image)
        confidence = sheet.confidence[row]
        if np.isnan(confidence).all():
            continue
        places = sheet.points[row] * (width, height)
        with np.errstate(invalid="ignore"):
            inside = ((places >= 0) & (places <= (width, height))).all(axis=1)
        v = np.where(inside & ~np.isnan(confidence), 1 + sheet.visible[row], 0)
        if not v.any():  # which would say that somebody calls it not labelled
            continue
        places = np.where(v[:, None] > 0, places, 0).round(3)
        low, high = (limit(places[v > 0], axis=0) for limit in (np.min, np.max))
        sides = (high - low).round(3).tolist()
        keypoints = [
            value
            for (x, y), seen in zip(places.tolist(), v.tolist(), strict=True)
            for value in (x, y, seen)
        ]
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": row + 1,
                "category_id": 1,
                "keypoints": keypoints,
                "num_keypoints": int((v > 0).sum()),
                "bbox": [*low.tolist(), *sides],
                "area": round(sides[0] * sides[1], 3),
                "segmentation": [],
                "iscrowd": 0,
                "score": round(float(np.nanmean(confidence)), 4),
            }
            | ({} if sheet.mask[row].all() else {"proposed": keypoints})
        )
    return {"images": images, "annotations": annotations, "categories": [CATEGORY]}


def coco_labels(path, found, frame_of):
    """The labels in a dict of COCO's format.

    Args:
        path: what messages call it.
        frame_of: is called with a picture's name and (width, height), gives its frame's name.

    Returns:
        what `label_import.Labels` holds: frames, points, visible, mask, left_out, notes, returned.

    Raises:
        InputError: something is missing, there twice, or no number.
    """
    categories = _by_id(path, found, "categories", {"id"})
    images = _by_id(path, found, "images", {"id", "file_name", "width", "height"})
    marks, scale, proposed, seen, left_out = {}, [], [], set(), Counter()
    for number, annotation in enumerate(_dicts(path, found, "annotations"), 1):
        where = f"{path}: annotation {annotation.get('id', number)}"
        if "keypoints" not in annotation:
            left_out["without keypoints"] += 1
            continue
        for name, known in (("image_id", images), ("category_id", categories)):
            value = annotation.get(name)
            if not isinstance(value, int) or value not in known:
                raise InputError(f"{where}: {name}: there is none such (got {short_repr(value)})")
        image = images[annotation["image_id"]]
        seen.add(image["id"])
        size = [image["width"], image["height"]]
        if not all(is_number(side) and side > 0 for side in size):
            raise InputError(
                f"{path}: image {image['id']}: width and height should be numbers above 0"
                f" (got {short_repr(size)})"
            )
        if not isinstance(image["file_name"], str):
            raise InputError(f"{path}: image {image['id']}: file_name should be text")
        frame = frame_of(image["file_name"], size)
        order = _order(path, categories[annotation["category_id"]])
        read = _marks(f"{path}: {frame}", annotation["keypoints"])
        if not read[:, 2].any():
            left_out[_NOT_LABELLED] += 1
            continue
        if frame in marks:
            raise InputError(f"{path}: {frame}: should have one packet (got two annotations)")
        marks[frame] = read[order]
        scale.append(size)
        proposed.append(_as_sent(annotation))
    bare = len(images) - len(seen)
    if bare:
        left_out["without an annotation"] += bare
    marks_of = np.array(list(marks.values())).reshape(-1, 8, 3)
    scale = np.array(scale, float).reshape(-1, 1, 2)
    said = marks_of[..., 2] > 0
    # Many tools write 0, 0 where nothing was marked.
    said &= (marks_of[..., 2] == 2) | marks_of[..., :2].any(axis=2)
    places = np.where(said[..., None], marks_of[..., :2], np.nan)
    visible = marks_of[..., 2] == 2
    unsure = np.full(len(marks), _NOT_LABELLED not in left_out)
    untouched = np.array(proposed, bool) & unsure
    returned = Returned(unsure, untouched, places / scale, step(places) / scale)
    points = np.where(visible[..., None], places / scale, np.nan)
    return list(marks), points, visible, np.ones_like(visible), dict(left_out), (), returned


def _as_sent(annotation):
    """Whether the keypoints are still those that were proposed, as far as the file tells."""
    sent = annotation.get("proposed")
    if not isinstance(sent, list) or len(sent) != 24 or not all(map(is_number, sent)):
        return False
    off = np.array(annotation["keypoints"], float) - np.array(sent, float)
    return bool((np.abs(off) <= 0.01).all())


def _dicts(path, found, name):
    if not isinstance(found[name], list) or not all(isinstance(one, dict) for one in found[name]):
        raise InputError(f"{path}: {name}: should be a list of objects, as COCO has them")
    return found[name]


def _by_id(path, found, name, needed):
    result = {}
    for number, one in enumerate(_dicts(path, found, name), 1):
        missing = sorted(needed - one.keys())
        if missing:
            raise InputError(f"{path}: {name}: the {number}. has no {join_names(missing)}")
        if not isinstance(one["id"], int) or one["id"] in result:
            raise InputError(
                f"{path}: {name}: id should be a whole number of its own"
                f" (got {short_repr(one['id'])})"
            )
        result[one["id"]] = one
    return result


def _order(path, category):
    """Where in a category's list of keypoints those of KEYPOINTS stand."""
    listed = category.get("keypoints")
    if not isinstance(listed, list) or sorted(map(str, listed)) != sorted(KEYPOINTS):
        raise InputError(
            f"{path}: category {category['id']}: keypoints should be the eight that"
            f" cardpose/geometry/keypoints.py names (got {short_repr(listed)})"
        )
    return [listed.index(name) for name in KEYPOINTS]


def _marks(where, values):
    """(8, 3) of x, y and v, all 0 where the list is empty."""
    if values == []:
        return np.zeros((8, 3))
    if not isinstance(values, list) or len(values) != 24 or not all(map(is_number, values)):
        raise InputError(f"{where}: keypoints should be 24 numbers (got {short_repr(values)})")
    marks = np.array(values, float).reshape(8, 3)
    strange = ~np.isin(marks[:, 2], (0, 1, 2))
    if strange.any():
        raise InputError(f"{where}: v should be 0, 1 or 2 (got {marks[strange][0, 2]:g})")
    return marks
