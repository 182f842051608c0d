"""Load a network for PyTorch or ONNX Runtime.

Both loaders take the path of a file and the number of processor cores to use; None leaves the
number to the library. They return a function and the network's metadata. The function maps RGB
pictures of one size to OUTPUTS.
"""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from cardpose.common.errors import InputError, user_message
from cardpose.common.onnx_runtime import import_onnxruntime

OUTPUTS = (
    *("keypoints", "visibility", "cards", "low", "high", "confidence"),
    *("rotation", "box", "corners", "information", "vector"),
)
_METADATA = {"count", "image_size", "deck", "focal", "card"}  # required in an ONNX file
_COUNT = "both"  # way of counting for .safetensors files, which store none

Run = Callable[[UInt8[np.ndarray, "n height width 3"]], list[np.ndarray]]


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

    def run(pictures):
        with torch.inference_mode():
            return [output.numpy() for output in end_to_end(torch.from_numpy(pictures))]

    return run, {**metadata, "count": _COUNT}


def load_onnx(path: Path, threads: int | None) -> tuple[Run, dict[str, Any]]:
    """Load an .onnx file with ONNX Runtime."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    try:
        with contextlib.redirect_stdout(None):  # ONNX Runtime prints long error messages
            session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        metadata = json.loads(session.get_modelmeta().custom_metadata_map["cardpose"])
        if not metadata.keys() >= _METADATA:
            raise KeyError
    except Exception:  # ONNX Runtime has many error types without a narrower base
        raise InputError(f"{path}: should be a network that cardpose exported") from None

    def run(pictures):
        return session.run(OUTPUTS, {"pictures": pictures})

    return run, metadata


LOADERS = {".onnx": load_onnx, ".safetensors": load_torch}
