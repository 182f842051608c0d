"""Apply a function to many items in several processes."""

import functools
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import joblib

from cardpose.common.errors import InputError

_WATCH = 0.5  # pause between looks at the parent process, in seconds
_Item = TypeVar("_Item")
_Output = TypeVar("_Output")


def map_parallel(
    function: Callable[[_Item], _Output], items: Iterable[_Item], jobs: int = -1
) -> Iterator[_Output]:
    """Yield `function(item)` for each item, in the order of the items.

    After an error no further call starts, and the error is raised once the running calls have
    ended. joblib itself would kill them and warn about leaked resources. If this process is killed,
    the others end within a second.

    Args:
        function: must be importable by name from a module.
        jobs: number of processes; -1 starts one per core.

    Raises:
        InputError, OSError: the first error of `function`.
    """
    failed, folder, parent = None, os.getcwd(), os.getpid()

    def calls():
        for item in items:
            if failed:
                return
            yield joblib.delayed(_call)(function, item, folder, parent)

    parallel = joblib.Parallel(jobs, return_as="generator", pre_dispatch="n_jobs")
    for output, error in parallel(calls()):
        failed = failed or error
        if not failed:
            yield output
    if failed:
        raise failed


def _call(
    function: Callable[[_Item], _Output], item: _Item, folder: str, parent: int
) -> tuple[_Output | None, InputError | OSError | None]:
    """Return (result, None) or (None, error) of one call, made in the caller's folder."""
    if os.getpid() != parent:
        _end_with(parent)
    if os.getcwd() != folder:  # joblib reuses worker processes of earlier calls
        os.chdir(folder)
    try:
        return function(item), None
    except (InputError, OSError) as error:
        return None, error


@functools.cache
def _end_with(parent: int) -> None:
    """Start a thread that ends this process soon after its parent. joblib alone takes minutes."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
