"""Full disks, missing rights and too little memory are named in one line."""

from concurrent.futures import BrokenExecutor

import numpy as np
import pytest
import torch
from bad_input import (
    CLIP,
    LABELS,
    PRETRAINED,
    SHOT,
    VIDEOS,
    complaint,
    cramped,
    fails,
    stage,
)
from outputs import as_nobody, open_parents
from support import SMALLEST

from cardpose.common.errors import run_stage
from cardpose.common.files import atomic_output
from cardpose.network.model import CardPose, network_shape
from cardpose.network.weights import save_network

pytestmark = pytest.mark.usefixtures("no_workers")


@pytest.mark.parametrize(
    ("name", "most", "words"),
    [
        ("extract_frames", 300, ["data/frames/shots/shots_frame_0.jpg", "File too large"]),
        ("make_heatmaps", 20_000, ["data/tensors: ", "File too large"]),
        ("pretrain", 5_000, ["models/.pretrain.scratch", "File too large"]),
        ("convert_cardcut", 100, ["data/cardcut/", "File too large"]),
        ("evaluate", 50, ["metrics/", "File too large"]),
        ("render_synthetic", 10_000, ["packet_01.mp4: cannot be written", "File too large"]),
    ],
)
def test_a_full_disk_is_said_and_changes_nothing(repository, capsys, name, most, words):
    fails(repository, capsys, lambda: cramped(most, lambda: stage(name)), words)


def test_weights_that_cannot_be_written_are_said(repository, capsys):
    state = CardPose(**network_shape(SMALLEST)).state_dict()

    def work():
        with atomic_output("models/new.safetensors") as path:
            save_network(path, state, SMALLEST)

    words = ["models/new.safetensors: ", "File too large"]
    fails(repository, capsys, lambda: cramped(1000, lambda: run_stage(work)), words)


@pytest.mark.parametrize(
    ("name", "path", "words"),
    [
        ("extract_frames", CLIP, [CLIP, "Permission denied"]),
        ("extract_frames", SHOT, [SHOT, "Permission denied"]),
        ("extract_frames", VIDEOS, [VIDEOS, "Permission denied"]),
        ("extract_frames", "params.yaml", ["params.yaml", "Permission denied"]),
        ("make_heatmaps", LABELS, [LABELS, "Permission denied"]),
        ("train", PRETRAINED, [PRETRAINED, "Permission denied"]),
        ("train", "data/tensors/details.npy", ["details.npy", "Permission denied"]),
    ],
)
def test_what_may_not_be_read_is_named(repository, capsys, name, path, words):
    open_parents(repository)  # locks are found by their whole path
    for folder in (repository, *repository.rglob("*/")):
        folder.chmod(0o777)
    (repository / path).chmod(0)
    with pytest.raises(SystemExit) as ended:
        as_nobody(lambda: stage(name))
    assert ended.value.code == 1
    line = complaint(capsys.readouterr().err)
    assert all(word in line for word in words), line


def test_a_folder_that_may_not_be_written_to_is_named(repository, capsys):
    repository.chmod(0o755)
    (repository / "data").chmod(0o555)
    words = ["data/frames: ", "Permission denied"]
    try:
        fails(repository, capsys, lambda: as_nobody(lambda: stage("extract_frames")), words)
    finally:
        (repository / "data").chmod(0o755)


def crowd():
    raise BrokenExecutor("A worker was terminated")


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (lambda: np.empty(10**15), ["out of memory", "make batch_size"]),
        (lambda: torch.empty(10**15), ["out of memory", "make batch_size"]),
        (crowd, ["a worker process was killed"]),
    ],
)
def test_too_little_memory_is_said(repository, capsys, work, words):
    fails(repository, capsys, lambda: run_stage(work), words)


def test_a_fault_of_the_program_keeps_its_traceback():
    def work():
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        run_stage(work)
