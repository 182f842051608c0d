"""dvc.yaml against the code: a stage must run again when anything it reads has changed."""

from pathlib import Path

import grimp
import pytest
from dvc.utils.serialize import loads_yaml

from stages import pretrain

ROOT = Path(__file__).parents[2]
FILES = ["dvc.yaml", "data/synthetic/dvc.yaml", "data/cardcut/dvc.yaml"]


def stages():
    for file in FILES:
        for name, stage in loads_yaml((ROOT / file).read_text())["stages"].items():
            if name != "pretrain":
                yield pytest.param(stage, id=name)


@pytest.fixture(scope="module")
def imports():
    return grimp.build_graph("cardpose", "stages", cache_dir=None)


def room(module):
    """Return the dependency that holds a module: a room of the package, or a file."""
    parts = module.split(".")
    if parts[0] == "cardpose" and (ROOT / "cardpose" / parts[1]).is_dir():
        return f"cardpose/{parts[1]}"
    return "/".join(parts) + ".py"


@pytest.mark.parametrize("stage", stages())
def test_a_stage_declares_the_rooms_it_imports_and_no_others(stage, imports):
    module = stage["cmd"].removeprefix("python -m ")
    # The packages themselves hold no code.
    needed = {module} | imports.find_upstream_modules(module) - {"cardpose", "stages"}
    declared = {dep for dep in stage["deps"] if dep.startswith(("cardpose/", "stages/"))}
    assert declared == {room(name) for name in needed}


def test_pretraining_alone_declares_no_code():
    """On purpose: its network is released with the repository, like a version of a library, so no
    change of code starts hours of work. `make pretrain` starts them."""
    stage = loads_yaml((ROOT / "dvc.yaml").read_text())["stages"]["pretrain"]
    assert stage["cmd"] == "python -m stages.pretrain"
    assert stage["params"] == list(pretrain.PARAMS)
    assert "deps" not in stage


@pytest.mark.parametrize(
    "file", [ROOT / "stages/__init__.py", *(ROOT / "cardpose").glob("*/__init__.py")], ids=str
)
def test_the_init_file_of_a_package_is_empty(file):
    assert file.read_text() == ""


@pytest.mark.parametrize("script", sorted((ROOT / "stages").glob("*.py")), ids=lambda p: p.stem)
def test_a_stage_is_short(script):
    assert len(script.read_text().splitlines()) <= 80
