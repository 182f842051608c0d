"""Write frames and their proposals for a labelling tool."""

import json
from pathlib import Path

from cardpose.common.files import atomic_output
from cardpose.labelling import coco_format, csv_format, studio_format
from cardpose.labelling.tasks import Tasks

FORMATS = {"label-studio": "label-studio.json", "coco": "coco.json", "csv": "labels.csv"}
CONFIGURATION = "label-studio.xml"


def write_tasks(tasks: Tasks, kind: str, path: Path, root: str) -> None:
    """Write tasks to `path`. For Label Studio, write its configuration beside them.

    Args:
        kind: one of FORMATS.
        root: folder of the pictures, relative to the folder that Label Studio serves.
    """
    if kind == "csv":
        with atomic_output(path) as new:
            csv_format.write_csv(tasks, new)
        return
    content: object
    if kind == "coco":
        content = coco_format.coco_dataset(tasks)
    else:
        content = studio_format.studio_tasks(tasks, root)
        with atomic_output(path.parent / CONFIGURATION) as new:
            new.write_text(studio_format.configuration(), encoding="utf-8")
    with atomic_output(path) as new:
        new.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
