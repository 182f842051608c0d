"""Run Label Studio on this machine, to label the frames of a data set.

Label Studio listens on 127.0.0.1 only, serves nothing but the frames of the data set, and sends no
reports. It keeps its users and labels in the data set's folder labelling/label-studio.
"""

import json
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from cardpose.common.errors import InputError
from cardpose.common.files import atomic_output
from cardpose.dataset.layout import labelling_folder
from cardpose.labelling import studio_client
from cardpose.labelling.studio_address import normalised
from cardpose.labelling.studio_format import configuration, served_folder, studio_tasks
from cardpose.labelling.studio_process import (
    USER,
    Access,
    stop_signals,
    studio_folder,
    studio_log,
    studio_process,
)
from cardpose.labelling.tasks import Tasks

PROGRAM = Path(".venv-label-studio/bin/label-studio")
DONE = "label-studio-done.json"
HOW = (
    "drag the marks onto the packet's corners; delete the marks of hidden corners; put in those"
    " that are missing, keys 1 to 8; submit"
)
_PATIENCE = 600  # seconds that the first start may take, because it creates the database
_HEALTH = studio_client.Limits(seconds=10, size=2**16)  # for the answer to a health check
_PAUSE = 0.5  # seconds between two health checks
_LONGEST_TITLE = 50  # characters of a project's title; Label Studio allows no more


def serve_studio(dataset: Path, tasks: Tasks, port: int, say: Callable[[str], object]) -> None:
    """Run Label Studio with tasks until it is interrupted, then save its labels.

    Write the labels to the file DONE in the data set's folder labelling/.

    Args:
        port: port to listen on; 0 for any free port.
        say: called with each line of the instructions for the person who labels.

    Raises:
        InputError: Label Studio is not installed, runs already, does not start, or ends by itself.
        KeyboardInterrupt: the labels are saved.
    """
    program = shutil.which(PROGRAM) or shutil.which("label-studio")
    if program is None:
        raise InputError(f"{PROGRAM}: there is no such file: `make label-studio` installs it")
    access = _access(dataset)
    say("starting Label Studio; the first time takes a minute or two")
    with stop_signals(), studio_process(program, dataset, port, access) as (process, address):
        wait_until_healthy(process.poll, address, dataset)
        fill_studio(dataset, tasks, address)
        say(f"label at {address}, as {USER}, password {access.password}")
        say(f"there: {HOW}")
        say(f"take what is labelled: cardpose label import {dataset} {address}")
        say("or end Label Studio with Ctrl-C, which saves it first")
        try:
            process.wait()
        except KeyboardInterrupt:
            path = labelling_folder(dataset) / DONE
            with atomic_output(path) as new:
                new.write_bytes(export_studio(dataset, address))
            say(f"saved; to take it: cardpose label import {dataset} {path}")
            raise
    raise InputError(f"{studio_log(dataset)}: Label Studio has ended; the reason stands there")


def fill_studio(dataset: Path, tasks: Tasks, address: str) -> None:
    """Put tasks into the data set's project in Label Studio. Create the project if there is none.

    Keep tasks that have annotations or drafts. Replace all others.
    """
    client = _client(dataset, address)
    project = _project(dataset, client)
    if project is None:
        content = {
            "title": _title(dataset),
            "label_config": configuration(),
            "expert_instruction": HOW,
            "show_collab_predictions": True,
            "enable_empty_annotation": True,
            "sampling": "Sequential sampling",
        }
        made, _ = client.ask("/api/projects", content, kind=studio_client.Created)
        project = made.id
        frames = Path(dataset).resolve().parent / served_folder(dataset)
        client.ask("/api/storages/localfiles", {"project": project, "path": str(frames)})
    begun, rest = set(), []
    for task in _export_tasks(client, project)[0]:
        if task.annotations or task.drafts:
            begun.add(task.data.frame)
        else:
            rest.append(task.id)
    if rest:
        client.ask(
            f"/api/dm/actions?id=delete_tasks&project={project}",
            {"selectedItems": {"all": False, "included": rest}},
            long=True,
        )
    every = studio_tasks(tasks, served_folder(dataset))
    new = [task for task in every if task["data"]["frame"] not in begun]
    if new:
        client.ask(f"/api/projects/{project}/import", new, long=True)


def export_studio(dataset: Path, address: str) -> bytes:
    """Return Label Studio's JSON export of the data set's project.

    Raises:
        InputError: the address is wrong, the answer is not Label Studio's, or Label Studio has no
            such project.
    """
    address = normalised(address)
    client = _client(dataset, address)
    project = _project(dataset, client)
    if project is None:
        raise InputError(f"{address}: has no project named {_title(dataset)}")
    return _export_tasks(client, project)[1]


def _export_tasks(
    client: studio_client.Client, project: int
) -> tuple[list[studio_client.Task], bytes]:
    """Return the tasks of a project, checked, and the export as bytes."""
    path = f"/api/projects/{project}/export?exportType=JSON&download_all_tasks=true"
    return client.ask(path, kind=list[studio_client.Task], long=True)


def _project(dataset: Path, client: studio_client.Client) -> int | None:
    title = _title(dataset)
    return next((project.id for project in client.projects() if project.title == title), None)


def _title(dataset: Path) -> str:
    return f"cardpose {Path(dataset).resolve().name}"[:_LONGEST_TITLE]


def _access_file(dataset: Path) -> Path:
    return studio_folder(dataset) / "access.json"


def _access(dataset: Path) -> Access:
    """Return the credentials of the user. Create them at the first call.

    Raises:
        InputError: the file is damaged. The message does not reveal its contents.
    """
    path = _access_file(dataset)
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = {"password": secrets.token_urlsafe(9), "token": secrets.token_hex(20)}
        with atomic_output(path) as new:
            new.touch(mode=0o600)
            new.write_text(json.dumps(content))
    try:
        return Access.model_validate_json(path.read_bytes(), strict=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except ValidationError:
        raise InputError(
            f"{path}: should hold a password and a token as text without spaces: delete it, and"
            " `cardpose label studio` makes it again"
        ) from None


def _client(dataset: Path, address: str) -> studio_client.Client:
    return studio_client.Client(address, _access(dataset).token, _access_file(dataset))


def wait_until_healthy(poll: Callable[[], int | None], address: str, dataset: Path) -> None:
    """Wait until Label Studio answers a health check.

    Args:
        poll: returns the exit status of its process, or None while it runs.

    Raises:
        InputError: its process has ended, or it has not answered for ten minutes.
    """
    end = time.monotonic() + _PATIENCE
    while poll() is None and time.monotonic() < end:
        with suppress(InputError):  # no answer yet
            status, _, _ = studio_client.fetch(address, "/health", _HEALTH)
            if 200 <= status < 300:
                return
        time.sleep(_PAUSE)
    raise InputError(f"{studio_log(dataset)}: Label Studio does not start; the reason stands there")
