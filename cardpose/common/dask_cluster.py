"""Run a function on the workers of a Dask cluster, and report failures in one line.

joblib's Dask backend waits forever when workers die, so this module uses Dask's futures.
"""

import contextlib
import gc
import hashlib
import logging
import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import cv2

from cardpose.common.dask_scheduler import ANSWER, check_scheduler
from cardpose.common.errors import InputError, one_line, print_line
from cardpose.common.tls import CertificatePaths

_CHECK = 60  # longest wait for all workers to report their code, in seconds
_PATIENCE = 20  # longest time without any worker, in seconds
_LONGEST = 6 * 3600  # longest time for one recording, in seconds
# Loggers that repeat the errors of this module at length.
_LOGGERS = ("distributed", "distributed.client", "tornado.application", "asyncio")

_Recording = TypeVar("_Recording")
_Output = TypeVar("_Output")


def map_on_cluster(
    address: str,
    function: Callable[[_Recording], _Output],
    recordings: Collection[_Recording],
    folder: str | Path,
    certificates: CertificatePaths | None = None,
    accept: Callable[[_Recording, _Output], object] | None = None,
) -> Iterator[_Output]:
    """Yield `function(recording)` for each recording, in their order, computed by the workers.

    If a worker dies, another one repeats the call, so a second call must do no harm. After an
    error, running calls continue for a while.

    Dask exchanges pickles, so the scheduler and its workers can run commands on this computer.

    Args:
        address: address of the Dask scheduler, like tcp://10.0.0.5:8786.
        function: function defined in a module of this package.
        folder: absolute path of a folder that all workers share.
        certificates: files that encrypt the connection; None leaves it unencrypted.
        accept: function that raises a ValueError for a result that `function` cannot have returned.

    Raises:
        InputError: Dask is not installed; no scheduler answers; there are no workers; they run
            other code or do not see the folder; four workers die on one recording; workers stop
            answering or working; or `function` raises an error.
    """
    distributed = _import_dask()
    address, local = check_scheduler(address, certificates)
    where = f"params.yaml: machine.dask: {address}"
    if not local and not certificates:
        # Not an error: the network may be private, and the user chose the address.
        print_line(
            f"warning: {where}: the connection is not encrypted; whoever can reach into this"
            " network can run commands on this computer, unless machine.dask_tls is set",
            sys.stderr,
        )
    # The finalizer of an earlier client that did not close waits for a lock that a new client holds
    # while it starts. So collect it before.
    gc.collect()
    client = None
    try:
        client = distributed.Client(
            address, timeout=ANSWER, security=_security(certificates), set_as_default=False
        )
        _check_workers(client, where, folder)
        futures = client.map(function, recordings, pure=False)
        for recording, future in zip(recordings, futures, strict=True):
            output = _wait_for_output(client, where, future)
            try:
                if accept:
                    accept(recording, output)
            except ValueError:
                raise InputError(f"{where}: a worker returned what is no result") from None
            yield output
    except InputError:
        raise
    except (distributed.CancelledError, distributed.comm.CommClosedError):
        raise InputError(f"{where}: the scheduler went away") from None
    except TimeoutError:
        raise InputError(f"{where}: the scheduler does not answer any more") from None
    except Exception as error:  # an unknown program may answer anything
        raise InputError(f"{where}: the scheduler cannot go on{_reason(error)}") from None
    finally:
        if client:
            with contextlib.suppress(Exception):
                client.close(timeout=ANSWER)


def worker_state(folder: str | Path) -> tuple[str, bool]:
    """Return a hash of this process's code and OpenCV version, and whether it sees a folder.

    The hash must be the same on all workers, and all must see the folder.
    """
    code = hashlib.sha256(cv2.__version__.encode())
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        code.update(file.read_bytes())
    return code.hexdigest(), Path(folder).is_dir()


def _import_dask() -> ModuleType:
    try:
        import distributed
    except ImportError:
        raise InputError(
            "params.yaml: machine.dask: Dask is not installed; run pip install -e '.[cluster]'"
        ) from None
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module="distributed")
    return distributed


def _security(certificates: CertificatePaths | None) -> Any:
    import distributed

    if not certificates:
        return False
    return distributed.Security(
        tls_ca_file=certificates.ca,
        tls_client_cert=certificates.certificate,
        tls_client_key=certificates.key,
        require_encryption=True,
    )


def _call(
    client: Any, method: Callable[..., Any], *args: Any, seconds: int | float, **options: Any
):
    """Call a method of the client; raise a TimeoutError after `seconds`."""
    return client.sync(method, *args, callback_timeout=seconds, **options)


def _check_workers(client: Any, where: str, folder: str | Path) -> None:
    try:
        seconds = _PATIENCE + ANSWER
        _call(client, client.wait_for_workers, 1, timeout=_PATIENCE, seconds=seconds)
    except TimeoutError:
        raise InputError(f"{where}: the scheduler has no workers; start some") from None
    try:
        states = _call(client, client.run, worker_state, str(folder), seconds=_CHECK)
    except TimeoutError:
        raise InputError(f"{where}: its workers do not answer in {_CHECK} seconds") from None
    except (ImportError, AttributeError):
        raise InputError(f"{where}: its workers have no cardpose, or another version") from None
    for worker, (code, sees_folder) in states.items():
        worker = one_line(worker)[:100]
        if sees_folder is not True:
            raise InputError(f"{where}: worker {worker} does not see {folder}, it should share it")
        if code != worker_state(folder)[0]:
            raise InputError(f"{where}: worker {worker} has another version of cardpose or OpenCV")


def _wait_for_output(client: Any, where: str, future: Any) -> Any:
    """Return a future's result, or raise an InputError with the reason for its failure."""
    from distributed import KilledWorker

    error = _wait_for_error(client, where, future)
    if isinstance(error, InputError):
        raise error
    if isinstance(error, KilledWorker):
        raise InputError(
            f"{where}: four workers died over the same recording; is their memory full?"
        )
    if isinstance(error, OSError):
        raise InputError(f"{where}: a worker cannot go on{_reason(error)}")
    if error is not None:
        raise InputError(
            f"{where}: a worker failed: {type(error).__name__}{_reason(error)}; without"
            " machine.dask, more is said of it"
        )
    return future.result(timeout=_CHECK)


def _wait_for_error(client: Any, where: str, future: Any) -> BaseException | None:
    """Wait until a future is done; return its error, or None if it has a result."""
    begun = alive = busy = time.monotonic()
    while True:
        with contextlib.suppress(TimeoutError):
            return future.exception(timeout=1)
        tasks = _call(client, client.processing, seconds=ANSWER)  # {worker: keys of its tasks}
        now = time.monotonic()
        if tasks:
            alive = now
        if any(tasks.values()) or future.done():
            busy = now
        if now > alive + _PATIENCE:
            raise InputError(f"{where}: all workers are gone; start some")
        if now > busy + 3 * _PATIENCE:  # longer, because workers short of memory pause
            raise InputError(f"{where}: no worker works any more; restart the cluster")
        if now > begun + _LONGEST:
            raise InputError(f"{where}: no recording was done in {_LONGEST // 3600} hours")


def _reason(error: BaseException) -> str:
    """Return the error's message in parentheses, or "" if it has none."""
    words = one_line(" ".join(str(error).split()))[:200]
    return f" ({words})" if words else ""
