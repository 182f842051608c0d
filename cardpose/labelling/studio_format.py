"""Convert tasks and labels to and from Label Studio's formats.

Label Studio's places are percentages of the picture's width and height, 100 times the fractions in
annotations.csv. 0 is the outer edge of the picture.

A visible keypoint has a mark, a hidden one has none. Proposals are predictions in Label Studio and
become labels when a person submits them. If a task has several submitted annotations, the latest
counts. Skipped tasks and drafts are not labels. Label Studio can make annotations from predictions.
Until a person submits such an annotation, it is a label only if it differs from the proposal.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float

from cardpose.common.errors import InputError, short_repr
from cardpose.common.json_files import is_number
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.labelling.labels import Labels, plain_origin
from cardpose.labelling.tasks import Tasks

# Greens for the back and yellows for the face, as in drawing.py; a different one per corner.
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
_WIDTH = 0.5  # width of a mark in percent of the picture's width; too small to hide the corner


def configuration() -> str:
    """Return the labelling configuration as XML. Keys 1 to 8 choose the keypoints in order."""
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


def served_folder(dataset: str | Path) -> str:
    """Return the folder of a data set's frames, relative to the folder that Label Studio serves.

    Label Studio serves the folder that the data set lies in.
    """
    return f"{Path(dataset).resolve().name}/labelling/frames"


def studio_tasks(tasks: Tasks, root: str) -> list[dict[str, Any]]:
    """Convert tasks to Label Studio's JSON.

    Args:
        root: folder of the pictures, relative to the folder that Label Studio serves
            (LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT).
    """
    result = []
    for row, (frame, file) in enumerate(zip(tasks.frames, tasks.files, strict=True)):
        image = f"/data/local-files/?d={quote(f'{root}/{file}')}"
        task: dict[str, Any] = {"data": {"image": image, "frame": frame}}
        if not np.isnan(tasks.confidence[row]).all():
            task["predictions"] = [_prediction(tasks, row)]
        result.append(task)
    return result


def _prediction(tasks: Tasks, row: int) -> dict[str, Any]:
    width, height = tasks.sizes[row].tolist()
    marks = []
    for k in np.flatnonzero(tasks.visible[row]):
        x, y = (100 * tasks.points[row, k]).round(6).tolist()
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
                "score": round(float(tasks.confidence[row, k]), 4),
            }
        )
    return {
        "model_version": "annotations.csv" if tasks.labelled[row] else "cardpose",
        "score": round(float(np.nanmean(tasks.confidence[row])), 4),
        "result": marks,
    }


def studio_labels(
    path: object, content: list, frame_of: Callable[[str, list | None], str]
) -> Labels:
    """Read the labels in Label Studio's JSON export, a list of tasks.

    Args:
        path: name of the file in error messages.
        frame_of: called with a picture's name, and its [width, height] or None; returns its
            frame's name.

    Raises:
        InputError: the content is not a list of tasks, or a mark is faulty.
    """
    submitted: dict[str, list[dict]] = {}
    left_out: Counter[str] = Counter()
    for number, task in enumerate(content, 1):
        name = task.get("id", number) if isinstance(task, dict) else number
        where = f"{path}: task {short_repr(name)}"
        if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
            raise InputError(
                f"{where}: should be as Label Studio exports it as JSON (not JSON-MIN)"
            )
        frame = frame_of(_picture_name(where, task["data"]), None)
        annotations = _annotations(where, task)
        counting = [each for each in annotations if not each.get("was_cancelled")]
        if counting:
            submitted.setdefault(frame, []).extend(counting)
        else:
            left_out["skipped" if annotations else "not submitted"] += 1
    latest = {frame: max(annotations, key=_rank) for frame, annotations in submitted.items()}
    rows = [
        _marks(f"{path}: {frame}", annotation["result"], frame, frame_of)
        for frame, annotation in latest.items()
    ]
    points = np.array(rows, float).reshape(-1, 8, 2)
    visible = ~np.isnan(points[..., 0])
    origin = plain_origin(points, [not _is_submitted(each) for each in latest.values()])
    several = sum(len(annotations) > 1 for annotations in submitted.values())
    notes = (f"{several} labelled several times: the latest counts",) if several else ()
    mask = np.ones_like(visible)
    return Labels(list(latest), points, visible, mask, origin, dict(left_out), notes)


def _picture_name(where: str, data: dict[str, Any]) -> str:
    """Return the name of a task's frame, or the path of its picture."""
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


def _annotations(where: str, task: dict[str, Any]) -> list[dict]:
    annotations = task.get("annotations", [])
    if not isinstance(annotations, list) or not all(
        isinstance(each, dict) and isinstance(each.get("result"), list) for each in annotations
    ):
        raise InputError(f"{where}: annotations should be a list of objects that have a `result`")
    return annotations


def _is_submitted(annotation: dict[str, Any]) -> bool:
    """Return whether a person has submitted an annotation.

    A submission in the browser has a `lead_time`, the time that the person took. Annotations that
    "Create Annotations From Predictions" makes have none until a person submits them.
    """
    action = annotation.get("last_action")
    if isinstance(action, str) and action:
        return action not in ("prediction", "propagated_annotation", "imported")
    from_prediction = annotation.get("parent_prediction") is not None
    return not from_prediction or annotation.get("lead_time") is not None


def _rank(annotation: dict[str, Any]) -> tuple[bool, str, int]:
    """Return a key that sorts annotations: submitted ones last, then by time. All times are UTC."""
    when = annotation.get("updated_at") or annotation.get("created_at") or ""
    number = annotation.get("id")
    return _is_submitted(annotation), str(when), number if isinstance(number, int) else 0


def _marks(
    where: str, result: list, frame: str, frame_of: Callable[[str, list | None], str]
) -> Float[np.ndarray, "8 2"]:
    """Return the marks as fractions of the picture, NaN where there is none."""
    marks = np.full((8, 2), np.nan)
    for region in result:
        if not isinstance(region, dict) or region.get("type") != "keypointlabels":
            continue  # for example a choice or a relation
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
        size: list[Any] = [region.get("original_width"), region.get("original_height")]
        if all(is_number(side) and side > 0 for side in size):
            frame_of(frame, size)  # checks the size
        marks[k] = np.array(place) / 100
    return marks
