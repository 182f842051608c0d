"""ONNX Runtime with its telemetry off; the only module that imports it."""

import importlib
import os


def import_onnxruntime(name="onnxruntime"):
    """Import ONNX Runtime, or a module of it, so that it reports to nobody.

    Without this, ONNX Runtime 1.31 writes a device ID and a database into the user's cache and
    sends events to mobile.events.data.microsoft.com, unless it finds a variable of a CI service.
    It reads ORT_DISABLE_TELEMETRY once, while it is imported. Whatever the user's environment
    says, this package never turns telemetry on.

    Args:
        name: of the module, "onnxruntime" or one inside it.

    Returns:
        the module.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    return importlib.import_module(name)
