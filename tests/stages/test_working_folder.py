"""A working folder: what Git ignores, what DVC lists, what an experiment in a copy takes."""

import shutil
import subprocess
from pathlib import Path

import pytest
from clone import Clone

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return Clone(tmp_path_factory.mktemp("clone"))


@pytest.mark.parametrize(
    "name",
    [
        *("drawn/a.jpg", "site/index.html", "dvc_plots/index.html", "worst.png"),
        *("counts.csv", "counts.jsonl", "data/mine/labelling/frames/index.csv"),
    ],
)
def test_git_ignores_what_the_commands_of_the_readme_write(name):
    assert subprocess.run(["git", "check-ignore", "-q", name], cwd=ROOT).returncode == 0


def test_git_ignores_nothing_that_it_tracks():
    listed = subprocess.run(
        ["git", "ls-files", "-ci", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    assert listed.stdout == ""


def test_the_status_of_the_pipeline_leaves_out_a_set_that_nobody_downloaded(clone):
    listed = clone("dvc", "status", "--with-deps", "dvc.yaml").stdout
    assert "data/synthetic/dvc.yaml:render" in listed
    assert "cardcut" not in listed


def test_an_experiment_in_a_copy_takes_a_data_set_that_is_tracked_or_named(clone):
    """As the tutorial of own recordings says; DVC names a file of one that stays behind."""
    videos = clone.folder / "data/mine/videos"
    videos.mkdir(parents=True)
    shutil.copy(ROOT / "tests/files/plain.mp4", videos / "a.mp4")
    (videos.parent / "videos.csv").write_text("video,cards_counted,total_cards\na.mp4,3,52\n")
    run = ("dvc", "exp", "run", "--temp", "-S", "dataset=mine", "extract_frames")
    assert "data/mine/videos.csv" in clone(*run, ok=False).stderr
    assert "Ran experiment" in clone(*run, "-C", "data/mine").stdout
    clone("dvc", "add", "data/mine/videos")
    clone("git", "add", "data/mine")
    assert "Ran experiment" in clone(*run).stdout
