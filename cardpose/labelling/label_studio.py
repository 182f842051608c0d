"""Label Studio's labelling configuration, tasks and labels.

Places are in percent of the picture's width and height, and continuous: 0 is its outer edge, so
what is a fraction here, times 100, is a percentage there.

A visible keypoint has a mark, a hidden one has none. Proposals are predictions: they become labels
by being submitted. Of a task with several submitted annotations the latest counts; skipped tasks
and drafts are no labels. An annotation that Label Studio made from a prediction, and that nobody
has submitted, is a label only if it differs from the proposal.
"""

from collections import Counter
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.etree import ElementTree

import numpy as np

from cardpose.common.errors import InputError, short_repr
from cardpose.common.json_files import is_number
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.labelling.untouched import as_labels

# Greens for the back and yellows for the face, as drawing.py has them, but each one's own.
COLOURS = {
    "upper_left_face": "#ffbe00",
    "upper_right_face": "#ff6a00",
    "upper_left_back": "#50dc50",
    "upper_right_back": "#00b8a0",
    "lower_left_face": "#e6d800",
    "lower_right_face": "#a35f00",
    "lower_left_back": "#b4f000",
    "lower_right_back": "#0f7d32",
}
_MARKS, _PICTURE = "corner", "picture"
_WIDTH = 0.5  # of a mark, in percent of the picture's width: small enough to see what it is put on


def configuration():
    """The labelling configuration, as XML; keys 1 to 8 choose the keypoints, in their order."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(
        view,
        "Image",
        name=_PICTURE,
        value="$image",
        zoom="true",
        zoomControl="true",
        rotateControl="false",
    )
    marks = ElementTree.SubElement(
        view, "KeyPointLabels", name=_MARKS, toName=_PICTURE, strokeWidth=f"{_WIDTH}", opacity="0.7"
    )
    for key, name in enumerate(KEYPOINTS, 1):
        ElementTree.SubElement(
            marks,
            "Label",
            value=name,
            background=COLOURS[name],
            hotkey=str(key),
            maxUsages="1",
        )
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def studio_tasks(sheet, root):
    """Tasks for Label Studio, a list of dicts, of an `task_export.Sheet`.

    Args:
        root: where the pictures lie, relative to the folder that Label Studio serves
            (LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT).
    """
    result = []
    for row, (frame, file) in enumerate(zip(sheet.frames, sheet.files, strict=True)):
        image = f"/data/local-files/?d={quote(f'{root}/{file}')}"
        task = {"data": {"image": image, "frame": frame}}
        if not np.isnan(sheet.confidence[row]).all():
            task["predictions"] = [_prediction(sheet, row)]
        result.append(task)
    return result


def _prediction(sheet, row):
    width, height = sheet.sizes[row].tolist()
    marks = []
    for k in np.flatnonzero(sheet.visible[row]):
        x, y = (100 * sheet.points[row, k]).round(6).tolist()
        marks.append(
            {
                "id": KEYPOINTS[k],
                "type": "keypointlabels",
                "from_name": _MARKS,
                "to_name": _PICTURE,
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
                "value": {"x": x, "y": y, "width": _WIDTH, "keypointlabels": [KEYPOINTS[k]]},
                "score": round(float(sheet.confidence[row, k]), 4),
            }
        )
    return {
        "model_version": "annotations.csv" if sheet.labelled[row] else "cardpose",
        "score": round(float(np.nanmean(sheet.confidence[row])), 4),
        "result": marks,
    }


def studio_labels(path, found, frame_of):
    """The labels in what Label Studio exports as JSON, a list of tasks.

    Args:
        path: what messages call it.
        frame_of: is called with a picture's name and (width, height) or None, gives its frame's
            name.

    Returns:
        what `label_import.Labels` holds: frames, points, visible, mask, left_out, notes, returned.

    Raises:
        InputError: it is no such list, or a mark is wrong.
    """
    submitted, left_out = {}, Counter()
    for number, task in enumerate(found, 1):
        name = task.get("id", number) if isinstance(task, dict) else number
        where = f"{path}: task {short_repr(name)}"
        if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
            raise InputError(
                f"{where}: should be as Label Studio exports it as JSON (not JSON-MIN)"
            )
        frame = frame_of(_picture(where, task["data"]), None)
        count, why = _submitted(where, task)
        if count:
            submitted.setdefault(frame, []).extend(count)
        else:
            left_out[why] += 1
    latest = {frame: max(annotations, key=_rank) for frame, annotations in submitted.items()}
    rows = [
        _marks(f"{path}: {frame}", annotation["result"], frame, frame_of)
        for frame, annotation in latest.items()
    ]
    points = np.array(rows, float).reshape(-1, 8, 2)
    visible = ~np.isnan(points[..., 0])
    several = sum(len(annotations) > 1 for annotations in submitted.values())
    notes = (f"{several} labelled several times: the latest counts",) if several else ()
    returned = as_labels(points, [_by_no_person(each) for each in latest.values()])
    frames, mask = list(latest), np.ones_like(visible)
    return frames, points, visible, mask, dict(left_out), notes, returned


def _picture(where, data):
    """The name of a task's frame, or the path of its picture."""
    if isinstance(data.get("frame"), str):
        return data["frame"]
    if not isinstance(data.get("image"), str):
        raise InputError(f"{where}: data should have `frame` or `image` (got {short_repr(data)})")
    try:
        address = urlsplit(data["image"])
        served = parse_qs(address.query).get("d")
    except ValueError:
        raise InputError(
            f"{where}: data: `image` should be an address (got {short_repr(data['image'])})"
        ) from None
    return served[0] if served else unquote(address.path)


def _submitted(where, task):
    """A task's annotations that count, and why there are none."""
    annotations = task.get("annotations", [])
    if not isinstance(annotations, list) or not all(
        isinstance(each, dict) and isinstance(each.get("result"), list) for each in annotations
    ):
        raise InputError(f"{where}: annotations should be a list of objects that have a `result`")
    submitted = [each for each in annotations if not each.get("was_cancelled")]
    return submitted, "skipped" if annotations else "not submitted"


def _by_no_person(annotation):
    """Whether an annotation was made from a prediction and shows no sign that it was submitted.

    "Create Annotations From Predictions" does so for all tasks at once. Who submits in the browser
    leaves the time that it took.
    """
    action = annotation.get("last_action")
    if isinstance(action, str) and action:
        return action in ("prediction", "propagated_annotation", "imported")
    made = annotation.get("parent_prediction") is not None
    return made and annotation.get("lead_time") is None


def _rank(annotation):
    """Sort annotations by when they were submitted, after those that nobody has submitted; times
    are all in UTC."""
    return not _by_no_person(annotation), *_age(annotation)


def _age(annotation):
    when = annotation.get("updated_at") or annotation.get("created_at") or ""
    number = annotation.get("id")
    return str(when), number if isinstance(number, int) else 0


def _marks(where, result, frame, frame_of):
    """(8, 2) fractions of the picture, NaN where there is no mark."""
    marks = np.full((8, 2), np.nan)
    for region in result:
        if not isinstance(region, dict) or region.get("type") != "keypointlabels":
            continue  # something else, like a choice or a relation, that somebody added
        value = region.get("value")
        value = value if isinstance(value, dict) else {}
        names = value.get("keypointlabels")
        if not isinstance(names, list) or len(names) != 1 or names[0] not in KEYPOINTS:
            raise InputError(
                f"{where}: a mark should be named as one of the eight corners"
                f" (got {short_repr(names)})"
            )
        k = KEYPOINTS.index(names[0])
        place = [value.get("x"), value.get("y")]
        if not all(map(is_number, place)):
            raise InputError(
                f"{where}: {names[0]}: x and y should be numbers (got {short_repr(place)})"
            )
        if region.get("image_rotation"):
            raise InputError(f"{where}: {names[0]}: was marked in a turned picture: turn it back")
        if not np.isnan(marks[k, 0]):
            raise InputError(f"{where}: {names[0]}: should be marked once (got two marks)")
        size = [region.get("original_width"), region.get("original_height")]
        if all(map(is_number, size)) and min(size) > 0:
            frame_of(frame, size)
        marks[k] = np.array(place) / 100
    return marks
