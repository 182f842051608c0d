"""Load a network for PyTorch or ONNX Runtime."""

import contextlib

from cardpose.common.errors import InputError
from cardpose.common.onnx_runtime import import_onnxruntime

OUTPUTS = (
    *("keypoints", "visibility", "cards", "low", "high", "confidence"),
    *("rotation", "box", "corners"),
)
_KNOWN = {"count", "image_size", "deck", "focal", "card"}  # what a file has to say of its network
_COUNT = "both"  # the way of counting, where a file does not say


def load_torch(path, threads):
    import torch

    from cardpose.inference.end_to_end import EndToEnd
    from cardpose.network.weights import load_network

    if threads:
        torch.set_num_threads(threads)
    network, about = load_network(path)
    counter = EndToEnd(network, about, _COUNT).eval()

    def run(pictures):
        with torch.inference_mode():
            return [output.numpy() for output in counter(torch.from_numpy(pictures))]

    return run, {**about, "count": _COUNT}


def load_onnx(path, threads):
    import json

    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    try:
        with contextlib.redirect_stdout(None):  # where it would complain at length
            session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        about = json.loads(session.get_modelmeta().custom_metadata_map["cardpose"])
        if not about.keys() >= _KNOWN:
            raise KeyError
    except Exception:  # ONNX Runtime has a dozen kinds, with only this base
        raise InputError(f"{path}: should be a network that cardpose exported") from None

    def run(pictures):
        return session.run(OUTPUTS, {"pictures": pictures})

    return run, about


LOADERS = {".onnx": load_onnx, ".safetensors": load_torch}
