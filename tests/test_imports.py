"""Importing the package is quick, and each use of it imports only what it needs."""

import json
import subprocess
import sys

import pytest
from support import REPOSITORY, grey

import cardpose
from cardpose.inference import predictor

HEAVY = ("cv2", "numpy", "onnxruntime", "pandas", "pandera", "scipy", "torch")


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


def test_the_package_loads_a_predictor(stand_in):
    assert cardpose.load is predictor.load
    assert isinstance(cardpose.load(stand_in), predictor.Predictor)


def test_the_package_has_a_version_and_no_other_names():
    assert cardpose.__version__.count(".") == 2
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        _ = cardpose.laod


@pytest.mark.parametrize("command", ["python", "command line"])
def test_predicting_with_an_onnx_file_imports_neither_torch_nor_pandas(stand_in, tmp_path, command):
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
    assert not found & {"torch", "pandas", "pandera"}
