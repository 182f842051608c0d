"""What DVC costs a file, beside what extracting it costs: how many frames a folder bears.

    python -m benchmarks.files            # folders of 1000 and 10 000 files
    python -m benchmarks.files 100000     # or of so many

Makes folders of files in a scratch repository, of 20 kB to spare the disk where `--size` says
nothing (a frame has about 100), and times `dvc add`, `dvc status` when nothing has changed, `dvc
push` to a folder, and `dvc checkout` of the whole folder. A process with nothing to do is timed and
taken off.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import rmtree
from time import perf_counter

import numpy as np

_A_FOLDER = 250  # frames a recording


def main():
    parser = argparse.ArgumentParser(description="DVC's cost a file")
    parser.add_argument("counts", nargs="*", type=int, default=[1000, 10_000])
    parser.add_argument("--size", type=int, default=20, help="kB a file")
    parser.add_argument("--folder", help="where there is room; a temporary one otherwise")
    given = parser.parse_args()
    print(f"files of {given.size} kB; milliseconds a file by the clock (load {load():.1f})")
    print(f"{'files':>8}{'add':>9}{'status':>9}{'push':>9}{'checkout':>10}{'none, s':>9}")
    for count in given.counts:
        with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
            spent, nothing = measure(Path(scratch), count, given.size)
        each = [1000 * (seconds - nothing) / count for seconds in spent]
        print(f"{count:8}" + "".join(f"{ms:9.2f}" for ms in each) + f"{nothing:10.1f}", flush=True)


def measure(folder, count, size):
    """Seconds of `dvc add`, `status`, `push` and `checkout`, and of a process without work."""
    rng = np.random.default_rng(0)
    for number in range(count):
        file = folder / "repo/frames" / str(number // _A_FOLDER) / f"frame_{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(rng.bytes(1000 * size))
    repo = folder / "repo"
    dvc(repo, "init", "--no-scm")
    dvc(repo, "remote", "add", "--default", "there", str(folder / "remote"))
    nothing = dvc(repo, "status")
    spent = [dvc(repo, *command) for command in (["add", "frames"], ["status"], ["push"])]
    rmtree(repo / "frames")
    spent.append(dvc(repo, "checkout"))
    assert sum(1 for _ in (repo / "frames").rglob("*.jpg")) == count
    return spent, nothing


def dvc(repo, *command):
    """Run DVC; returns the seconds it took."""
    start = perf_counter()
    subprocess.run(
        [sys.executable, "-m", "dvc", *command, "--quiet"],
        cwd=repo,
        check=True,
        env={
            **os.environ,
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(repo.parent / "site"),
        },
    )
    return perf_counter() - start


def load():
    return os.getloadavg()[0]


if __name__ == "__main__":
    main()
