"""Importing the package is quick, and each use of it imports only what it needs."""

import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from support import REPOSITORY, grey

import cardpose
from cardpose.common import errors
from cardpose.inference import predictor

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
HEAVY = ("cv2", "numpy", "onnxruntime", "PIL", *sorted(errors._TRAIN))


def heavy_imports(code, *arguments):
    """Return the names of HEAVY that are imported when `code` runs in a fresh interpreter."""
    report = f"print(json.dumps([n for n in {HEAVY} if n in sys.modules]), file=sys.stderr)"
    program = f"import atexit, json, sys\natexit.register(lambda: {report})\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_importing_the_package_imports_no_other_library():
    assert heavy_imports("import cardpose; cardpose.__version__") == set()


def modules(requirements):
    """Return {requirement: its top-level modules}."""
    found = {name: set() for name in requirements}
    for module, names in packages_distributions().items():
        for name in found.keys() & set(names):
            found[name].add(module)
    return found


def test_errors_know_the_modules_that_the_extra_brings():
    for name, found in modules(PROJECT["optional-dependencies"]["train"]).items():
        assert found & errors._TRAIN, name
    base = set().union(*modules(PROJECT["dependencies"]).values())
    assert {"cv2", "numpy"} <= base
    assert not errors._TRAIN & base


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_the_version_and_the_help_import_no_other_library(option):
    code = "from cardpose.cli.main import main; main(sys.argv[1:])"
    assert heavy_imports(code, option) == set()


def test_the_package_loads_a_predictor(stand_in):
    assert cardpose.load is predictor.load
    assert isinstance(cardpose.load(stand_in), predictor.Predictor)


def test_the_package_has_a_version_and_no_other_names():
    assert cardpose.__version__.count(".") == 2
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        _ = cardpose.laod


@pytest.mark.parametrize("command", ["python", "command line"])
def test_predicting_with_an_onnx_file_imports_nothing_of_the_extra(stand_in, tmp_path, command):
    picture = tmp_path / "a.png"
    grey(picture, 50)
    if command == "python":
        code = "import cardpose, cv2; cardpose.load(sys.argv[1]).predict(cv2.imread(sys.argv[2]))"
        arguments = (stand_in, picture)
    else:
        code = "from cardpose.cli.main import main; main(sys.argv[1:])"
        arguments = ("predict", picture, "--model", stand_in, "--csv", tmp_path / "a.csv")
    found = heavy_imports(code, *arguments)
    assert "onnxruntime" in found
    assert not found & errors._TRAIN


def test_building_the_page_imports_nothing_of_the_extra(stand_in, tmp_path):
    code = (
        "from cardpose.cli import main, site\n"
        "site._source_page = lambda app: {'index.html': b'', 'sw.js': b''}\n"
        "main.main(sys.argv[1:])"
    )
    found = heavy_imports(code, "app", "--model", stand_in, "--build", tmp_path / "page")
    assert not found & errors._TRAIN


WITHOUT_EXTRA = f"""
import sys

class Missing:
    def find_spec(self, name, *_):
        if name in {errors._TRAIN}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from cardpose.cli.main import main
main(sys.argv[1:])
"""
ADVICE = 'pip install "cardpose[train]" installs'


def run_without_extra(*arguments, folder=REPOSITORY):
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRA, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "command",
    [
        "check synthetic",
        "export",
        "label export synthetic csv",
        "label import synthetic params.yaml",
        "label next synthetic",
        "label start synthetic",
        "label studio synthetic",
        "predict docs/pictures/predict.jpg --model models/pretrained.safetensors",
    ],
)
def test_commands_name_the_extra_that_they_miss(command):
    done = run_without_extra(*command.split())
    lines = [line for line in done.stderr.splitlines() if not line.startswith("network: ")]
    assert done.returncode > 0
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    assert ADVICE in lines[0]


def test_commands_complete_without_the_extra():
    done = run_without_extra("completion", "bash")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--together" in done.stdout
