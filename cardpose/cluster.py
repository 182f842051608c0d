"""Work for a Dask cluster, and what can be wrong with one, said in a line.

joblib's own Dask backend waits for ever where workers die, so futures are used as they are.
"""

import asyncio
import hashlib
import logging
import time
from pathlib import Path

import cv2

from cardpose.errors import InputError

_ANSWER = 5  # seconds in which a scheduler has to answer
_PATIENCE = 20  # seconds without any worker before the work is given up


def on_cluster(address, function, recordings, folder):
    """Yield `function(recording)` of each of the recordings, in their order.

    Where a worker dies, another one calls the function again, so a second call has to do no harm.
    After an error, calls that have begun go on for a while.

    Args:
        address: of the Dask scheduler, like tcp://10.0.0.5:8786.
        function: of a module of this package.
        folder: that all workers have to share, an absolute path.

    Raises:
        InputError: Dask is not installed, no scheduler answers, there are no workers, or they have
            other code or do not see the folder; a worker dies four times over one recording; or
            whatever `function` raises.
    """
    try:
        import distributed
    except ImportError:
        raise InputError(
            "params.yaml: machine.dask: Dask is not installed; run pip install -e '.[cluster]'"
        ) from None
    where = f"params.yaml: machine.dask: {address}"
    # Its log repeats at length what the errors below say.
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        # Before a client is made, which would go on trying.
        asyncio.run(_answer(distributed.core.connect, address))
    except Exception as error:  # whatever listens there may say anything
        reason = _reason(error) if isinstance(error, ValueError) else ""
        raise InputError(
            f"{where}: no Dask scheduler answers there{reason}; should be like tcp://10.0.0.5:8786"
        ) from None
    with distributed.Client(address, timeout=_ANSWER) as client:
        try:
            _check_workers(client, where, folder)
            for future in client.map(function, recordings, pure=False):
                _wait(client, where, future)
                yield future.result()
        except distributed.KilledWorker:
            raise InputError(
                f"{where}: four workers died over the same recording; is their memory full?"
            ) from None
        except (distributed.CancelledError, distributed.comm.CommClosedError):
            raise InputError(f"{where}: the scheduler went away") from None
        except OSError as error:
            raise InputError(f"{where}: a worker cannot go on{_reason(error)}") from None


async def _answer(connect, address):
    comm = await asyncio.wait_for(connect(address, timeout=_ANSWER), _ANSWER)
    comm.abort()


def state(folder):
    """What has to be the same on all workers: code and OpenCV, and that they see a folder."""
    code = hashlib.sha256(cv2.__version__.encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        code.update(file.read_bytes())
    return code.hexdigest(), Path(folder).is_dir()


def _check_workers(client, where, folder):
    try:
        client.wait_for_workers(1, timeout=_PATIENCE)
    except TimeoutError:
        raise InputError(f"{where}: the scheduler has no workers; start some") from None
    try:
        states = client.run(state, str(folder))
    except (ImportError, AttributeError):
        raise InputError(f"{where}: its workers have no cardpose, or another version") from None
    for worker, (code, sees_folder) in states.items():
        if not sees_folder:
            raise InputError(f"{where}: worker {worker} does not see {folder}, it should share it")
        if code != state(folder)[0]:
            raise InputError(f"{where}: worker {worker} has another version of cardpose or OpenCV")


def _wait(client, where, future):
    """Return when a future is done; raise an InputError when nobody is left to work on it."""
    from distributed import wait

    seen = time.monotonic()
    while True:
        try:
            wait(future, timeout=1)
            return
        except TimeoutError:
            if client.ncores():
                seen = time.monotonic()
            elif time.monotonic() > seen + _PATIENCE:
                raise InputError(f"{where}: all workers are gone; start some") from None


def _reason(error):
    words = " ".join(str(error).split())
    return f" ({words})" if words else ""
