"""Checkpoints: where an interrupted training goes on when it is run again, to the bit.

A folder beside the outputs holds one file for each part of a training, as it was after its last
whole epoch, and a fingerprint of all that decides what the training ends with. A run with another
fingerprint starts anew. DVC does not know the folder, so it neither removes nor keeps it.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import io
import json
import platform
import sys
import zipfile
from pathlib import Path

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from cardpose.common.files import atomic_output, remove
from cardpose.common.locks import locked

# What computes: another version may round differently.
_LIBRARIES = ("lightning", "numpy", "opencv-python-headless", "torch")


@contextlib.contextmanager
def resumable(folder, fingerprint):
    """Give the folder of the checkpoints of a run, a Path; it is emptied first where another
    run's are in there, and removed where the block ends without an error.

    Raises:
        InputError: another process uses the folder, which a second run would empty.
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


def fingerprint(params, names, files, rows, computing):
    """A text that is another one if a training could end with another network.

    It depends, too, on the package's code that is imported, on libraries, and on the number of
    threads, which decides in what order numbers are summed up.

    Args:
        params: a `Params`; names: those that count, with dots, as `dvc.yaml` lists them.
        files: of these and of all files in these folders, the content counts.
        rows: array that says which frames do what.
        computing: what `compute_settings` returned.
    """
    values = params.model_dump(by_alias=True)
    settings = {name: functools.reduce(dict.get, name.split("."), values) for name in names}
    code = [module.__file__ for name, module in sys.modules.items() if name.startswith("cardpose.")]
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


def read_checkpoint(path):
    """What `write` or `Save` wrote, or None where there is nothing whole. Runs no code in it."""
    try:
        # torch itself does not notice a flipped bit.
        with zipfile.ZipFile(path) as file:
            if file.testzip():
                return None
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except Exception:  # a damaged file can fail in any way, and is as good as none
        return None


def write_checkpoint(path, state):
    """Write tensors, numbers and text in dicts and lists: whole, or not at all."""
    buffer = io.BytesIO()  # to a file, torch says in many words that the disk is full
    torch.save(state, buffer)
    with atomic_output(path) as new:
        new.write_bytes(buffer.getvalue())


class AtomicCheckpoints(TorchCheckpointIO):
    """How Lightning writes checkpoints: as `write` does."""

    def save_checkpoint(self, checkpoint, path, storage_options=None):
        write_checkpoint(path, checkpoint)


def _digest(file):
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "blake2b").hexdigest()
