"""Call functions of libraries that cannot be interrupted, with a time limit."""

import threading
from collections.abc import Callable
from typing import TypeVar

_Output = TypeVar("_Output")
_PATIENCE = 5  # longest wait for the end of a stopped call, in seconds


def call_within(
    seconds: int | float, function: Callable[[], _Output], stop: Callable[[], object]
) -> _Output:
    """Return `function()`, called in a thread. Ctrl-C ends the wait for it at once.

    If the system allows no more threads, it is called here, without a time limit.

    Args:
        stop: called at the end of the time, or after Ctrl-C, to make `function` end soon.

    Raises:
        TimeoutError: `function` takes longer than `seconds`.
    """
    outputs: list[_Output] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            outputs.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=call, daemon=True)  # cannot keep the process from ending
    try:
        thread.start()
    except RuntimeError:
        return function()
    try:
        thread.join(seconds)
    finally:
        in_time = not thread.is_alive()
        if not in_time:
            stop()
            thread.join(_PATIENCE)
    if not in_time:
        raise TimeoutError
    if errors:
        raise errors[0]
    return outputs[0]
