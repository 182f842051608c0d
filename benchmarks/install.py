"""What the base install costs: its size, and the time and memory until it has counted a picture.

    make wheel
    python -m benchmarks.install [dist/cardpose-*.whl]

Installs the wheel into two bare environments in a temporary folder: the first time pip's cache is
empty, so everything is downloaded. Times of short commands are the shortest of several runs.
"""

import argparse
import os
import subprocess
import tempfile
import time
import venv
from importlib.metadata import distributions
from pathlib import Path

import cv2

from cardpose.rendering.renderer import Renderer
from cardpose.rendering.scenes import random_scene

_OF_VENV = {"pip", "setuptools"}  # packages of every environment
_NOWHERE = subprocess.DEVNULL
_RUNS = 7  # of a command whose start-up is timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path, nargs="?", help="default: the one in dist/")
    wheel = parser.parse_args().wheel or next(Path("dist").glob("*.whl"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cv2.imwrite(str(folder / "packet.png"), Renderer(random_scene(1, 30, 8)).frame(2))
        cold, _ = first_count(wheel.resolve(), folder, "cold")
        warm, programs = first_count(wheel.resolve(), folder, "warm")
        site = next((folder / "warm").glob("lib/python*/site-packages"))
        found = [each for each in distributions(path=[str(site)]) if each.name not in _OF_VENV]
        paths = {Path(str(file.locate())) for each in found for file in each.files or ()}
        size = sum(path.stat().st_size for path in paths if path.exists())
        version = shortest([programs / "cardpose", "--version"], folder)
        imported = shortest([programs / "python", "-c", "import cardpose"], folder)
        predict = [programs / "cardpose", "predict", "packet.png"]
        rows = {
            "wheel": f"{wheel.stat().st_size / 1e6:.1f} MB",
            "installed": f"{size / 1e6:.0f} MB in {len(found)} packages",
            "nothing to first count, pip's cache empty": f"{cold:.0f} s",
            "nothing to first count, pip's cache full": f"{warm:.0f} s",
            "cardpose --version": f"{version:.2f} s",
            "import cardpose": f"{imported:.2f} s",
            "cardpose predict, one picture": f"{shortest(predict, folder):.2f} s",
            "its peak memory": f"{peak_memory(predict, folder) / 1e6:.0f} MB",
        }
    for what, value in rows.items():
        print(f"{what:44}{value}")


def first_count(wheel: Path, folder: Path, name: str) -> tuple[float, Path]:
    """Install into a new environment and count a picture; return the seconds and its programs."""
    start = time.perf_counter()
    venv.create(folder / name, with_pip=True)
    programs = folder / name / "bin"
    run([programs / "pip", "install", "--quiet", "--cache-dir", folder / "cache", wheel], folder)
    run([programs / "cardpose", "predict", "packet.png"], folder)
    return time.perf_counter() - start, programs


def bare() -> dict[str, str]:
    """Return the environment without the repository's package."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def run(command: list, folder: Path) -> None:
    subprocess.run(command, cwd=folder, env=bare(), capture_output=True, check=True)


def shortest(command: list, folder: Path) -> float:
    """Return the shortest of several times that a command takes, in seconds."""
    times = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        run(command, folder)
        times.append(time.perf_counter() - start)
    return min(times)


def peak_memory(command: list, folder: Path) -> int:
    """Return the largest resident memory of a command, in bytes."""
    started = subprocess.Popen(command, cwd=folder, env=bare(), stdout=_NOWHERE, stderr=_NOWHERE)
    _, _, usage = os.wait4(started.pid, 0)
    started.returncode = 0
    return usage.ru_maxrss * 1024  # Linux counts in KiB


if __name__ == "__main__":
    main()
