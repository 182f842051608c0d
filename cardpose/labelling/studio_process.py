"""The process of Label Studio, for one data set at a time.

Label Studio holds a lock on its log while it runs. If `cardpose label studio` is killed by
`kill -9`, Label Studio goes on, and the next start finds it by that lock.
"""

import fcntl
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

from pydantic import BaseModel, Field

from cardpose.common.errors import InputError
from cardpose.dataset.layout import labelling_folder

USER = "labeller@localhost"
_HOST = "127.0.0.1"
_DEAD_PROXY = f"http://{_HOST}:9"  # address where no proxy listens
_FIRST_LINE = "process {pid} listens at {address}\n"


class Access(BaseModel):
    """Credentials of Label Studio's user: printable ASCII without spaces."""

    password: Annotated[str, Field(pattern=r"^[!-~]{1,200}$")]
    token: Annotated[str, Field(pattern=r"^[!-~]{1,200}$")]


@contextmanager
def studio_process(
    program: str, dataset: Path, port: int, access: Access
) -> Iterator[tuple[subprocess.Popen, str]]:
    """Run Label Studio in a session that Ctrl-C does not reach; yield process and address.

    Raises:
        InputError: the port is taken, or Label Studio runs already for this data set.
    """
    with _locked_log(dataset) as log:
        port = _free_port(port)
        command = [program, "start", "--no-browser", "--internal-host", _HOST, "--port", str(port)]
        process = subprocess.Popen(
            [*command, "--data-dir", str(studio_folder(dataset).resolve())],
            env=_environment(dataset, access),
            stdin=subprocess.DEVNULL,
            stdout=log,  # shares the lock, which ends with the last process that has the file open
            stderr=log,
            start_new_session=True,
        )
        address = f"http://{_HOST}:{port}"
        log.write(_FIRST_LINE.format(pid=process.pid, address=address))
    try:
        yield process, address
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


@contextmanager
def stop_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGINT, SIGTERM and SIGHUP, so that Label Studio ends too."""
    before = {
        number: signal.signal(number, signal.default_int_handler)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def studio_folder(dataset: Path) -> Path:
    """Return the folder in which Label Studio keeps its users and labels."""
    return labelling_folder(dataset) / "label-studio"


def studio_log(dataset: Path) -> Path:
    """Return the file to which Label Studio writes its messages."""
    return studio_folder(dataset) / "server.log"


def _locked_log(dataset: Path) -> TextIO:
    """Open the log, empty and locked.

    Raises:
        InputError: a running Label Studio has the lock. The message says how to end it.
    """
    path = studio_log(dataset)
    log = open(path, "a", encoding="utf-8")  # noqa: SIM115
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.close()
        first = _FIRST_LINE.format(pid=r"(\d+)", address=r"(\S+)")
        with open(path, encoding="utf-8", errors="replace") as file:
            found = re.search(first, file.read(2**16))
        where = f", process {found[1]} at {found[2]}" if found else ""
        end = f", or with `kill -- -{found[1]}` if that has been killed" if found else ""
        raise InputError(
            f"{dataset}: Label Studio still runs for this data set{where}: import what is labelled,"
            f" and end it with Ctrl-C in its terminal{end}"
        ) from None
    log.truncate(0)
    return log


def _free_port(port: int) -> int:
    """Return `port` if it is free, or any free port for 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise InputError(f"--port {port}: {error.strerror}; name another") from None
        except OverflowError:
            raise InputError(f"--port {port}: there is no such port; name another") from None
        return probe.getsockname()[1]


def _environment(dataset: Path, access: Access) -> dict[str, str]:
    settings = {
        "LABEL_STUDIO_USERNAME": USER,
        "LABEL_STUDIO_PASSWORD": access.password,
        "LABEL_STUDIO_USER_TOKEN": access.token,
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(Path(dataset).resolve().parent),
        "ALLOWED_HOSTS": f"{_HOST},localhost",
        # No reports, no requests for newer versions, and no tips from GitHub: nothing answers at
        # this proxy, and Label Studio needs no other host.
        "HTTP_PROXY": _DEAD_PROXY,
        "HTTPS_PROXY": _DEAD_PROXY,
        "http_proxy": _DEAD_PROXY,
        "https_proxy": _DEAD_PROXY,
        "NO_PROXY": f"{_HOST},localhost",
        "no_proxy": f"{_HOST},localhost",
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
    }
    # Label Studio runs in a Python environment of its own.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | settings
