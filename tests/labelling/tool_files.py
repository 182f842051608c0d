"""Files of labelling tools: what comes back once somebody has worked on an export."""

import copy

import numpy as np

from cardpose.dataset.annotations import read_annotations

NEAR = 0.01  # pixels
FRAMES = [f"50% & more_frame_{i}" for i in (0, 2, 11)] + ["phone_frame_0", "phone_frame_1"]
SIZES = np.array(3 * [(640, 480)] + 2 * [(1080, 1920)])
HIDDEN = {0: [0], 1: [0, 4], 3: [1, 5, 7]}  # keypoints, by row


def submitted(tasks):
    """What Label Studio exports once somebody has submitted all proposals as they are."""
    done = []
    for number, task in enumerate(copy.deepcopy(tasks), 1):
        result = task["predictions"][0]["result"]
        annotation = {
            "id": number,
            "was_cancelled": False,
            "created_at": "2026-03-01T10:00:00.000000Z",
            "updated_at": "2026-03-01T10:00:00.000000Z",
            "result": [mark | {"origin": "prediction"} for mark in result],
        }
        done.append(task | {"id": 100 + number, "annotations": [annotation], "drafts": []})
    return done


def from_cvat(dataset):
    """What CVAT exports of such a set: places in two decimals, names without their folder."""
    dataset = copy.deepcopy(dataset)
    for image in dataset["images"]:
        image["file_name"] = image["file_name"].rpartition("/")[2]
    for annotation in dataset["annotations"]:
        annotation["keypoints"] = [round(value, 2) for value in annotation["keypoints"]]
        annotation["attributes"] = {"occluded": False}
    return dataset


def approved(text):
    """The CSV file, all its rows looked at."""
    header, *lines = text.splitlines()
    assert header.startswith("frame,annotated,")
    lines = [line.replace(",0,", ",1,", 1) for line in lines]
    return "\n".join([header, *lines]) + "\n"


BACK_AGAIN = {"label-studio": submitted, "coco": from_cvat, "csv": approved}


def off(mine, points, visible):
    """Pixels by which annotations.csv is off; visibility has to be the same, and known."""
    frames, places, shows, known = read_annotations(mine / "annotations.csv")
    assert frames == FRAMES
    assert known.all()
    np.testing.assert_array_equal(shows, visible)
    return np.linalg.norm((places - points) * SIZES[:, None], axis=2)[visible].max()


def mark(tasks, k=0):
    return tasks[4]["annotations"][0]["result"][k]
