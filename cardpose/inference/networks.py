"""Find the network to use if the user names none."""

from collections.abc import Collection
from importlib.resources import files
from pathlib import Path

from cardpose.common.errors import InputError

ONNX_NETWORK = Path("models/cardpose.onnx")  # what `make repro` leaves in the current folder
TORCH_NETWORKS = Path("models/cardpose.safetensors"), Path("models/pretrained.safetensors")
# The page as `make wheel` builds it, with the network in it. A clone of the repository has none.
PACKAGED_PAGE = Path(str(files("cardpose"))) / "page"
PACKAGED_NETWORK = PACKAGED_PAGE / "cardpose.onnx"
MOST_THREADS = 1024  # for one network


def default_network(suffixes: Collection[str] = (".onnx", ".safetensors")) -> Path:
    """Return the first network that exists: the current folder's, or the package's.

    Args:
        suffixes: of the files to look for.

    Raises:
        InputError: there is none.
    """
    candidates = [
        path
        for path in (ONNX_NETWORK, PACKAGED_NETWORK, *TORCH_NETWORKS)
        if path.suffix in suffixes
    ]
    for path in candidates:
        if path.is_file():
            return path
    raise InputError(f"{candidates[0]}: there is no such file: `make repro` makes it")


def network_name(path: Path) -> str:
    """Return the path of a network, or words for the one that comes with cardpose."""
    return "the one that comes with cardpose" if path == PACKAGED_NETWORK else str(path)
