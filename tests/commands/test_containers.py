"""Every file that a container names exists. The GitHub workflow builds the counting container."""

import json
import tomllib

import pytest
from dvc.utils.serialize import loads_yaml
from support import REPOSITORY
from understood import check

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOW = loads_yaml((REPOSITORY / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
DOCKERFILE = (REPOSITORY / "docker/Dockerfile").read_text(encoding="utf-8")


@pytest.fixture
def instructions():
    """(name, value) of each instruction of the Dockerfile."""
    text = DOCKERFILE.replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def oldest_python():
    return PROJECT["requires-python"].removeprefix(">=")


def test_the_container_runs_the_command_as_an_ordinary_user(instructions):
    last = dict(instructions)
    assert last["FROM"] == f"python:{oldest_python()}-slim"
    assert last["USER"] not in ("root", "0")
    names = [name for name, _ in instructions]
    assert names.index("USER") > max(i for i, name in enumerate(names) if name == "RUN")
    assert json.loads(last["ENTRYPOINT"])[0] in PROJECT["scripts"]


def test_the_workflow_builds_the_container_as_the_dockerfile_says(tmp_path):
    comments = [line.removeprefix("#").strip() for line in DOCKERFILE.splitlines()]
    steps = [step["run"] for step in WORKFLOW["jobs"]["container"]["steps"] if "run" in step]
    assert "docker build -f docker/Dockerfile -t cardpose ." in set(comments) & set(steps)
    for command in comments + steps:
        if command.startswith("make "):
            check(command, tmp_path)
        if command.startswith("docker run "):
            check(command[command.index("cardpose ") :], tmp_path)


def test_the_development_container_has_the_tools_of_the_tests(tmp_path):
    container = json.loads((REPOSITORY / ".devcontainer/devcontainer.json").read_text())
    assert container["image"].endswith(f":{oldest_python()}")
    node = container["features"]["ghcr.io/devcontainers/features/node:1"]["version"]
    versions = [step.get("with", {}) for step in WORKFLOW["jobs"]["test"]["steps"]]
    assert node in [str(version.get("node-version")) for version in versions]
    check(container["postCreateCommand"], tmp_path)
