"""Checkpoints: resume an interrupted training after its last complete epoch.

A resumed training gives the same weights, bit for bit, as an uninterrupted one.

A folder beside the outputs holds one checkpoint per part of a training and a fingerprint. Each
checkpoint is overwritten after every epoch. The fingerprint is a hash of everything that determines
the trained weights. A run with another fingerprint starts from the beginning. DVC does not track
the folder.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import io
import json
import operator
import platform
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from lightning.pytorch.plugins.io import TorchCheckpointIO

from cardpose.common.files import atomic_output, remove
from cardpose.common.locks import locked
from cardpose.params import Params

# Other versions of these libraries may round differently.
_LIBRARIES = ("lightning", "numpy", "opencv-python-headless", "torch")


@contextlib.contextmanager
def resumable(folder: str | Path, fingerprint: str) -> Iterator[Path]:
    """Yield the folder of a run's checkpoints. Delete it on exit unless an error occurred.

    Delete checkpoints of a run with another fingerprint first.

    Raises:
        InputError: another process uses the folder.
    """
    folder = Path(folder)
    mark = folder / "fingerprint"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        if not (mark.is_file() and mark.read_text(errors="replace") == fingerprint):
            remove(folder)
            folder.mkdir(parents=True)
            mark.write_text(fingerprint)
        try:
            yield folder
        except KeyboardInterrupt as interrupt:
            raise type(interrupt)("run it again to go on after the last whole epoch") from None
        remove(folder)


def fingerprint(
    params: Params,
    names: Iterable[str],
    files: Iterable[str | Path],
    rows: Shaped[np.ndarray, "..."],
    computing: Iterable[str | int],
) -> str:
    """Return a hash of everything that determines the trained weights.

    The hash covers the arguments, the package's imported modules, the versions of Python and of
    libraries, the GPU, the processor's instruction set, and the number of threads. The number of
    threads determines the order of sums.

    Args:
        params: all parameters.
        names: names of the parameters to hash, with dots, as dvc.yaml lists them.
        files: files and folders whose contents are hashed.
        rows: frames to train on, or the role of each frame.
        computing: see `compute_settings`.
    """
    values = params.model_dump(by_alias=True)
    settings = {name: functools.reduce(operator.getitem, name.split("."), values) for name in names}
    modules = [module for name, module in sys.modules.items() if name.startswith("cardpose.")]
    code = [module.__file__ for module in modules if module.__file__]
    every = [file for path in map(Path, files) for file in (sorted(path.rglob("*")) or [path])]
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    decides = {
        "settings": settings,
        "rows": rows.tolist(),
        "files": [_digest(file) for file in every if file.is_file()],
        "code": sorted(_digest(file) for file in code),
        "libraries": [importlib.metadata.version(name) for name in _LIBRARIES],
        "python": platform.python_version(),
        "computes": [
            *computing,
            gpu,
            torch.backends.cpu.get_cpu_capability(),
            torch.get_num_threads(),
        ],
    }
    return hashlib.blake2b(json.dumps(decides).encode()).hexdigest() + "\n"


def read_checkpoint(path: Path) -> dict[str, Any] | None:
    """Read a checkpoint without running code in it. Return None if it is missing or damaged."""
    try:
        # torch does not notice a flipped bit.
        with zipfile.ZipFile(path) as file:
            if file.testzip():
                return None
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except Exception:  # a damaged file can fail in any way
        return None


def write_checkpoint(path: str | Path, state: dict[str, Any]) -> None:
    """Write a dict of tensors, numbers and text atomically."""
    buffer = io.BytesIO()  # keeps torch from reporting a full disk in several lines
    torch.save(state, buffer)
    with atomic_output(path) as new:
        new.write_bytes(buffer.getvalue())


class AtomicCheckpoints(TorchCheckpointIO):
    """Write Lightning's checkpoints with `write_checkpoint`."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        write_checkpoint(path, checkpoint)


def _digest(file: str | Path) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "blake2b").hexdigest()
