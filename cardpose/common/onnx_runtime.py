"""Import ONNX Runtime with its telemetry off. No other module imports it."""

import importlib
import os
from types import ModuleType


def import_onnxruntime(name: str = "onnxruntime") -> ModuleType:
    """Import ONNX Runtime, or one of its modules, with telemetry switched off.

    Otherwise ONNX Runtime 1.31 stores a device ID and a database in the user's cache folder and
    sends events to mobile.events.data.microsoft.com, unless a variable of a CI service is set. It
    reads ORT_DISABLE_TELEMETRY once, during the import. This function overrides the user's value,
    so telemetry is always off.

    Args:
        name: "onnxruntime" or the full name of a module inside it.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    return importlib.import_module(name)
