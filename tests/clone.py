"""The repository as a stranger would clone it, on a setting small enough for a minute."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from dvc.utils.serialize import dumps_yaml, loads_yaml
from filelock import FileLock

ROOT = Path(__file__).parents[1]
SMALL = {
    "image_size": [96, 72],
    "split": {"by": "video", "folds": 3, "fold": 0, "test_videos": [], "validation": 0.2},
    "model": {"encoder": "plain", "widths": [8, 8, 8, 8], "hidden": 8},
    "synthetic": {"videos": 9, "frames": 41},
}
# Who commits; and no interpreter for `make` to make another .venv with. Another number of threads
# would sum up in another order: Lightning leaves one in the environment of a test that trains.
IDENTITY = {
    "GIT_AUTHOR_NAME": "T",
    "GIT_AUTHOR_EMAIL": "t@example.org",
    "GIT_COMMITTER_NAME": "T",
    "GIT_COMMITTER_EMAIL": "t@example.org",
    "PYTHON": "false",
    "OMP_NUM_THREADS": "1",
}
STAGES = ("extract_frames", "make_heatmaps", "pretrain", "train", "evaluate", "export")


class Clone:
    """A copy of the repository as a stranger would clone it, in an empty folder.

    Args:
        folder: to be filled.
        changes: {section: {parameter: value}} beside what makes the setting small.
    """

    def __init__(self, folder, changes=None):
        self.folder = folder
        listed = self("git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", cwd=ROOT)
        for name in listed.stdout.splitlines():
            if (ROOT / name).is_file() and not name.startswith(("metrics/", "models/", "dvc.lock")):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        (folder / "data/synthetic/dvc.lock").unlink(missing_ok=True)
        params = self.params()
        params.update(SMALL)
        params["train"].update(epochs=2, closeup_epochs=1, edge_epochs=1, batch_size=4)
        params["pretrain"].update(
            pictures=24, half_size_epochs=1, epochs=1, closeup_epochs=1, edge_epochs=1
        )
        params["geometry"].update(steps=100)
        for section, values in (changes or {}).items():
            params[section].update(values)
        self.write_params(params)
        self._link_environment()
        self("git", "init", "-q", "-b", "main")
        self.commit()

    @classmethod
    def at(cls, folder):
        """Return the clone that was made in a folder, or a copy of one."""
        clone = cls.__new__(cls)
        clone.folder = folder
        return clone

    def _link_environment(self):
        """Let .venv be the environment of the tests, so that `make` does not install anything."""
        (self.folder / ".venv").mkdir()
        for path in Path(sys.prefix).iterdir():
            (self.folder / ".venv" / path.name).symlink_to(path)
        installed = self.folder / ".venv/.installed"
        installed.unlink(missing_ok=True)
        installed.touch()

    def __call__(self, *command, ok=True, cwd=None):
        """Run a command in the clone; its status must be 0, or not 0 where `ok` is false."""
        environment = os.environ | IDENTITY
        if command[0] == "dvc":
            command = (str(Path(sys.executable).parent / "dvc"), *command[1:])
        done = subprocess.run(
            command, cwd=cwd or self.folder, env=environment, capture_output=True, text=True
        )
        assert (done.returncode == 0) == ok, done.stdout + done.stderr
        return done

    def commit(self):
        self("git", "add", "-A")
        self("git", "commit", "-q", "-m", "state")

    def restore(self):
        """Put everything back as it was committed, what DVC keeps included."""
        self("git", "checkout", "-q", ".")
        # By name: the real set, which nobody downloaded, has nothing to check out.
        self("dvc", "checkout", "-q", "-f", *STAGES)

    def hashes(self):
        """What dvc.lock says of every output: {path: MD5}, files that Git keeps included."""
        found = {}
        for lock in ("dvc.lock", "data/synthetic/dvc.lock"):
            for stage in loads_yaml((self.folder / lock).read_text())["stages"].values():
                found.update((out["path"], out["md5"]) for out in stage["outs"])
        return found

    def params(self):
        return loads_yaml((self.folder / "params.yaml").read_text())

    def write_params(self, params):
        (self.folder / "params.yaml").write_text(dumps_yaml(params))


def repro_clone(tmp_path_factory):
    """Return a clone in which `make repro` has run, and what it printed.

    The pipeline runs once per test run: the workers of pytest-xdist copy the same clone.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    made, printed = shared / "repro", shared / "repro.txt"
    with FileLock(shared / "repro.lock"):
        if not printed.exists():
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            clone = Clone(made)
            output = clone("make", "repro").stdout
            clone.commit()
            printed.write_text(output)
    folder = tmp_path_factory.mktemp("clone")
    shutil.copytree(made, folder, symlinks=True, dirs_exist_ok=True)
    return Clone.at(folder), printed.read_text()


def ran(output):
    """The names of the stages that DVC says it runs."""
    started = [line for line in output.splitlines() if line.startswith("Running stage")]
    return [line.split("'")[1].rpartition(":")[2] for line in started]
