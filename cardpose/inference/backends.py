"""Load a network for PyTorch or ONNX Runtime.

Both loaders take the path of a file and the number of processor cores to use; None leaves the
number to the library. They return a function and the network's metadata. The function maps RGB
pictures of one size, and boxes as in `EndToEnd.forward`, to OUTPUTS.
"""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8

from cardpose.common.errors import InputError, user_message
from cardpose.common.onnx_runtime import import_onnxruntime
from cardpose.common.time_limit import call_within
from cardpose.inference.metadata import read_metadata
from cardpose.inference.onnx_file import MOST_BYTES, check_onnx


class Output(NamedTuple):
    """Possible values of one output, for one picture.

    Attributes:
        shape: without the axis of the pictures.
        least, most: limits, far beyond those of a trained network.
        unit: of the limits: "deck", the cards of a deck; "side", the longer side of the picture in
            pixels; or "".
        is_whole: whether the values are integers.
        may_be_nan: whether the values may be missing.
    """

    shape: tuple[int, ...]
    least: float
    most: float
    unit: str = ""
    is_whole: bool = False
    may_be_nan: bool = False


_LARGEST = 1e30  # of a number without a limit
OUTPUTS = {  # those of `end_to_end.Outputs`
    "keypoints": Output((8, 2), -10, 10, "side"),
    "visibility": Output((8,), 0, 1),
    "cards": Output((), -10, 10, "deck"),
    "low": Output((), -10, 10, "deck", may_be_nan=True),
    "high": Output((), -10, 10, "deck", may_be_nan=True),
    "confidence": Output((), 0, 1),
    "rotation": Output((3, 3), -1.01, 1.01),
    "box": Output((8,), -_LARGEST, _LARGEST),
    "corners": Output((8,), 0, 7, is_whole=True),
    "information": Output((4, 4), -_LARGEST, _LARGEST),
    "vector": Output((4,), -_LARGEST, _LARGEST),
}
_COUNT = "both"  # way of counting for .safetensors files, which store none
_SECONDS = 60  # longest time to load a network, and to run it once
_MEMORY = 2**31  # most bytes for the tensors of all ONNX networks of a process
_CONSTANTS = 2**20  # most bytes of a constant that is computed while a network is loaded
_FATAL = 4  # lowest severity that ONNX Runtime logs; errors are reported here
_NO_MEMORY = ("bfc_arena", "bad_alloc")  # in messages of ONNX Runtime

Run = Callable[
    [UInt8[np.ndarray, "n height width 3"], Float32[np.ndarray, "n 4"]], list[np.ndarray]
]
INPUTS = ("pictures", "boxes")


def load_torch(path: Path, threads: int | None) -> tuple[Run, dict[str, Any]]:
    """Load a .safetensors file with PyTorch."""
    try:
        import torch

        from cardpose.inference.end_to_end import EndToEnd
        from cardpose.network.weights import load_network
    except ModuleNotFoundError as error:
        raise InputError(f"{path}: {user_message(error) or error}") from None

    if threads:
        torch.set_num_threads(threads)
    network, metadata = load_network(path)
    end_to_end = EndToEnd(network, metadata, _COUNT).eval()

    def run(pictures, boxes):
        inputs = torch.from_numpy(pictures), torch.from_numpy(boxes)
        with torch.inference_mode():
            outputs = [output.numpy() for output in end_to_end(*inputs)]
        return check_outputs(path, outputs, pictures.shape, metadata["deck"])

    return run, {**metadata, "count": _COUNT}


def load_onnx(path: Path, threads: int | None) -> tuple[Run, dict[str, Any]]:
    """Load an .onnx file with ONNX Runtime.

    Time and memory have limits, because a stranger may have made the file.
    """
    content = read_onnx(path)
    try:
        metadata = read_metadata(check_onnx(content))
    except ValueError as error:
        raise _not_ours(path, error) from None
    session = _make_session(path, content, threads)
    try:
        names = {end.name for end in (*session.get_inputs(), *session.get_outputs())}
    except UnicodeDecodeError:
        raise _not_ours(path, "its inputs have names that are no text") from None
    lacking = {*INPUTS, *OUTPUTS} - names
    if lacking:
        raise _not_ours(path, f"it lacks {', '.join(sorted(lacking))}; export it again")

    def run(pictures, boxes):
        inputs = dict(zip(INPUTS, (pictures, boxes), strict=True))
        options = _onnxruntime().RunOptions()
        options.log_severity_level = _FATAL
        try:
            outputs = call_within(
                _SECONDS,
                lambda: session.run([*OUTPUTS], inputs, options),
                lambda: setattr(options, "terminate", True),
            )
        except Exception as error:  # ONNX Runtime has many error types without a narrower base
            height, width = pictures.shape[1:3]
            raise _explain(path, error, f" for a picture of {width} x {height} pixels") from None
        return check_outputs(path, outputs, pictures.shape, metadata["deck"])

    return run, metadata


def read_onnx(path: Path) -> bytes:
    """Return the content of an .onnx file.

    Raises:
        InputError: it is larger than any network of this project.
    """
    if path.stat().st_size > MOST_BYTES:
        raise _not_ours(path, f"it has more than {MOST_BYTES >> 20} MB")
    return path.read_bytes()


def _make_session(path: Path, content: bytes, threads: int | None) -> Any:
    """Return a session of ONNX Runtime, with one thread if the system allows no more."""
    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = _FATAL
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry(
        "optimization.constant_folding_max_output_size_in_bytes", str(_CONSTANTS)
    )
    try:
        return call_within(
            _SECONDS,
            lambda: onnxruntime.InferenceSession(
                content, options, ["CPUExecutionProvider"], enable_fallback=False
            ),
            lambda: options.set_load_cancellation_flag(True),
        )
    except Exception as error:  # ONNX Runtime has many error types without a narrower base
        if threads != 1 and "pthread_create" in str(error):
            return _make_session(path, content, 1)
        raise _explain(path, error, "") from None


@cache
def _onnxruntime() -> ModuleType:
    """Import ONNX Runtime, with a limit for the memory of all sessions together."""
    onnxruntime = import_onnxruntime()
    onnxruntime.set_default_logger_severity(_FATAL)
    onnxruntime.create_and_register_allocator(
        onnxruntime.OrtMemoryInfo(
            "Cpu",
            onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR,
            0,
            onnxruntime.OrtMemType.DEFAULT,
        ),
        onnxruntime.OrtArenaCfg(_MEMORY, -1, -1, -1),  # -1 keeps a default
    )
    return onnxruntime


def _explain(path: Path, error: Exception, when: str) -> InputError:
    """Return an error for one of ONNX Runtime."""
    if isinstance(error, TimeoutError):
        return InputError(f"{path}: takes more than {_SECONDS} s{when}; take a smaller one")
    if isinstance(error, MemoryError) or any(sign in str(error) for sign in _NO_MEMORY):
        return InputError(
            f"{path}: needs more memory{when} than there is, or than {_MEMORY >> 30} GB"
        )
    return _not_ours(path, "ONNX Runtime cannot run it")


def _not_ours(path: Path, reason: object) -> InputError:
    return InputError(f"{path}: should be a network that cardpose exported, but {reason}")


def check_outputs(
    path: Path, outputs: Sequence[Any], shape: tuple[int, ...], deck: int
) -> list[np.ndarray]:
    """Return the values of OUTPUTS, with all counts within the deck.

    Args:
        path: of the network, for the error message.
        outputs: what the network returned.
        shape: of the pictures, (n, height, width, 3).
        deck: number of cards in a whole deck.

    Raises:
        InputError: an output has another shape or type, or a value outside its limits.
    """
    units = {"": 1, "deck": deck, "side": max(shape[1:3])}
    checked = []
    for (name, possible), values in zip(OUTPUTS.items(), outputs, strict=True):
        values = np.asarray(values)
        has_form = values.shape == (shape[0], *possible.shape)
        if not has_form or values.dtype.kind != ("i" if possible.is_whole else "f"):
            raise _not_ours(path, f"its {name} have the shape {values.shape} of {values.dtype}")
        least, most = (units[possible.unit] * limit for limit in (possible.least, possible.most))
        inside = (least <= values) & (values <= most)
        if possible.may_be_nan:
            inside |= np.isnan(values)
        if not inside.all():
            raise _not_ours(path, f"it returns impossible {name}")
        checked.append(values.clip(0, deck) if possible.unit == "deck" else values)
    return checked


LOADERS = {".onnx": load_onnx, ".safetensors": load_torch}
