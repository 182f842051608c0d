"""Work for a Dask cluster, and what can be wrong with one, said in a line.

joblib's own Dask backend waits for ever where workers die, so futures are used as they are.
"""

import contextlib
import hashlib
import logging
import sys
import time
import warnings
from pathlib import Path

import cv2
from tqdm import tqdm

from cardpose.common.dask_scheduler import ANSWER, check_scheduler
from cardpose.common.errors import InputError, one_line

_CHECK = 60  # seconds in which all workers have to say what code they have
_PATIENCE = 20  # seconds without any worker, or anybody at work, before the work is given up
_LONGEST = 6 * 3600  # seconds that a recording may take


def on_cluster(address, function, recordings, folder, certificates=None, accept=None):
    """Yield `function(recording)` of each of the recordings, in their order.

    Where a worker dies, another one calls the function again, so a second call has to do no harm.
    After an error, calls that have begun go on for a while.

    Dask exchanges pickles, so the scheduler and its workers can run commands on this computer.

    Args:
        address: of the Dask scheduler, like tcp://10.0.0.5:8786.
        function: of a module of this package.
        folder: that all workers have to share, an absolute path.
        certificates: see `check_scheduler`; None leaves the connection open to others.
        accept: `accept(recording, result)` raises a ValueError for what `function` cannot return.

    Raises:
        InputError: Dask is not installed, no scheduler answers, there are no workers, or they have
            other code or do not see the folder; a worker dies four times over one recording;
            nobody answers or works any more; or whatever `function` raises.
    """
    try:
        import distributed
    except ImportError:
        raise InputError(
            "params.yaml: machine.dask: Dask is not installed; run pip install -e '.[cluster]'"
        ) from None
    # Its log and its warnings repeat at length what the errors below say.
    for name in ("distributed", "distributed.client", "tornado.application", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module="distributed")
    address, here = check_scheduler(address, certificates)
    where = f"params.yaml: machine.dask: {address}"
    if not here and not certificates:
        # No error: on a network of one's own it is in order, and the address is the user's.
        tqdm.write(
            f"warning: {where}: the connection is not encrypted; whoever can reach into this"
            " network can run commands on this computer, unless machine.dask_tls is set",
            file=sys.stderr,
        )
    client = None
    try:
        client = distributed.Client(
            address, timeout=ANSWER, security=_security(certificates), set_as_default=False
        )
        _check_workers(client, where, folder)
        futures = client.map(function, recordings, pure=False)
        for recording, future in zip(recordings, futures, strict=True):
            result = _result(client, where, future)
            try:
                if accept:
                    accept(recording, result)
            except ValueError:
                raise InputError(f"{where}: a worker returned what is no result") from None
            yield result
    except InputError:
        raise
    except (distributed.CancelledError, distributed.comm.CommClosedError):
        raise InputError(f"{where}: the scheduler went away") from None
    except TimeoutError:
        raise InputError(f"{where}: the scheduler does not answer any more") from None
    except Exception as error:  # a stranger may answer anything
        raise InputError(f"{where}: the scheduler cannot go on{_reason(error)}") from None
    finally:
        if client:
            with contextlib.suppress(Exception):
                client.close(timeout=ANSWER)


def _security(certificates):
    import distributed

    if not certificates:
        return False
    return distributed.Security(
        tls_ca_file=certificates.ca,
        tls_client_cert=certificates.certificate,
        tls_client_key=certificates.key,
        require_encryption=True,
    )


def state(folder):
    """What has to be the same on all workers: code and OpenCV, and that they see a folder."""
    code = hashlib.sha256(cv2.__version__.encode())
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        code.update(file.read_bytes())
    return code.hexdigest(), Path(folder).is_dir()


def _ask(client, function, *args, seconds, **options):
    """Call a method of the client, which by itself would wait for ever; may time out."""
    return client.sync(function, *args, callback_timeout=seconds, **options)


def _check_workers(client, where, folder):
    try:
        seconds = _PATIENCE + ANSWER
        _ask(client, client.wait_for_workers, 1, timeout=_PATIENCE, seconds=seconds)
    except TimeoutError:
        raise InputError(f"{where}: the scheduler has no workers; start some") from None
    try:
        states = _ask(client, client.run, state, str(folder), seconds=_CHECK)
    except TimeoutError:
        raise InputError(f"{where}: its workers do not answer in {_CHECK} seconds") from None
    except (ImportError, AttributeError):
        raise InputError(f"{where}: its workers have no cardpose, or another version") from None
    for worker, (code, sees_folder) in states.items():
        worker = one_line(worker)[:100]
        if sees_folder is not True:
            raise InputError(f"{where}: worker {worker} does not see {folder}, it should share it")
        if code != state(folder)[0]:
            raise InputError(f"{where}: worker {worker} has another version of cardpose or OpenCV")


def _result(client, where, future):
    """Return a future's result; raise an InputError when there will be none."""
    from distributed import KilledWorker

    error = _error(client, where, future)
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


def _error(client, where, future):
    """Wait until a future is done, and return the error it ended with, or None."""
    begun = alive = busy = time.monotonic()
    while True:
        with contextlib.suppress(TimeoutError):
            return future.exception(timeout=1)
        # The keys of the tasks that each worker has.
        tasks = _ask(client, client.processing, seconds=ANSWER)
        now = time.monotonic()
        if tasks:
            alive = now
        if any(tasks.values()) or future.done():
            busy = now
        if now > alive + _PATIENCE:
            raise InputError(f"{where}: all workers are gone; start some")
        if now > busy + 3 * _PATIENCE:  # longer, as workers short of memory pause
            raise InputError(f"{where}: no worker works any more; restart the cluster")
        if now > begun + _LONGEST:
            raise InputError(f"{where}: no recording was done in {_LONGEST // 3600} hours")


def _reason(error):
    words = one_line(" ".join(str(error).split()))[:200]
    return f" ({words})" if words else ""
