"""Extraction by the workers of a Dask cluster, and how its failures are reported."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
from distributed import Client, LocalCluster
from dvc.utils.serialize import dumps_yaml, loads_yaml

from cardpose.common import dask_cluster, dask_scheduler
from cardpose.common.dask_cluster import map_on_cluster
from cardpose.common.files import atomic_output
from cardpose.dataset.extraction import extract_frames
from cardpose.dataset.recordings import read_recordings

ROOT = Path(__file__).resolve().parents[2]


def contents(folder):
    """Return {relative path: bytes} of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def two_workers():
    options = {"dashboard_address": ":0", "silence_logs": 50}
    with LocalCluster(n_workers=2, threads_per_worker=1, **options) as started:
        yield started


@pytest.fixture
def address(two_workers):
    return two_workers.scheduler_address


@pytest.fixture
def dataset(small_dataset, write_video):
    """Five recordings, the longest neither first nor last."""
    rows = ["clip.mp4,3,52", "shots,52,52"]
    for name, frames in (("a", 3), ("b", 40), ("c", 5)):
        pictures = [cv2.imread(str(small_dataset / "videos/shots/shot_0.png"))] * frames
        write_video(small_dataset / "videos" / f"{name}.mp4", pictures)
        rows.append(f"{name}.mp4,1,52")
    text = "\n".join(["video,cards_counted,total_cards", *rows]) + "\n"
    (small_dataset / "videos.csv").write_text(text)
    return small_dataset


def test_workers_write_the_same_bytes(dataset, tmp_path, address):
    recordings = read_recordings(dataset)
    extract_frames(recordings, 7, tmp_path / "here", jobs=1)
    extract_frames(recordings, 7, tmp_path / "there", dask=address)
    here = contents(tmp_path / "here")
    assert len(here) == 2 + 4 + 3 + 1 + 6 + 1  # tables, clip, shots, a, b, c
    assert contents(tmp_path / "there") == here
    assert all(path.name.isidentifier() or path.suffix for path in (tmp_path / "there").iterdir())
    assert len(list((tmp_path / "there").iterdir())) == 2 + 5


def test_the_stage_gives_workers_absolute_paths(dataset, tmp_path, address):
    params = loads_yaml((ROOT / "params.yaml").read_text())
    params["dataset"], params["frame_step"], params["machine"]["dask"] = "small", 7, address
    (tmp_path / "params.yaml").write_text(dumps_yaml(params))
    (tmp_path / "data").mkdir()
    dataset.rename(tmp_path / "data/small")
    done = subprocess.run(
        [sys.executable, "-m", "stages.extract_frames"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    extract_frames(read_recordings(tmp_path / "data/small"), 7, tmp_path / "here", jobs=1)
    assert contents(tmp_path / "data/frames") == contents(tmp_path / "here")


def test_a_corrupt_recording_is_reported_and_leaves_no_output(
    dataset, tmp_path, complains, address
):
    (dataset / "videos/c.mp4").write_bytes(b"no video")
    with (
        complains(f"{dataset / 'videos/c.mp4'}: cannot be opened as a video"),
        atomic_output(tmp_path / "data/frames") as folder,
    ):
        extract_frames(read_recordings(dataset), 7, folder, dask=address)
    assert list(tmp_path.glob("data/*")) == []


def test_another_worker_takes_over_when_one_dies(tmp_path, two_workers, address):
    with Client(address) as client:
        pids = list(client.run(os.getpid).values())
    work = map_on_cluster(address, time.sleep, [0, 1, 1, 0], tmp_path)
    assert next(work) is None
    os.kill(pids[0], signal.SIGKILL)
    assert list(work) == [None] * 3
    two_workers.wait_for_workers(2, timeout=60)


def test_a_recording_that_kills_every_worker_is_reported_in_one_line(
    tmp_path, two_workers, address, complains, monkeypatch
):
    monkeypatch.setattr(two_workers.scheduler, "allowed_failures", 1)
    with complains(address, "workers died over the same recording"):
        list(map_on_cluster(address, os._exit, [1], tmp_path))
    two_workers.wait_for_workers(2, timeout=60)


def test_a_scheduler_without_workers_is_reported_soon(tmp_path, complains, monkeypatch):
    monkeypatch.setattr(dask_cluster, "_PATIENCE", 1)
    options = {
        "dashboard_address": ":0",
        "processes": False,
        "protocol": "tcp://",
        "silence_logs": 50,
    }
    with LocalCluster(n_workers=0, **options) as none, complains("has no workers"):
        list(map_on_cluster(none.scheduler_address, time.sleep, [0], tmp_path))
    with LocalCluster(n_workers=1, **options) as one:
        work = map_on_cluster(one.scheduler_address, time.sleep, [0, 2], tmp_path)
        next(work)
        one.scale(0)
        with complains("all workers are gone"):
            list(work)


def test_a_scheduler_that_disappears_is_reported_in_one_line(tmp_path, complains, capfd):
    options = {
        "dashboard_address": ":0",
        "processes": False,
        "protocol": "tcp://",
        "silence_logs": 50,
    }
    with LocalCluster(n_workers=1, **options) as one:
        work = map_on_cluster(one.scheduler_address, time.sleep, [0, 5], tmp_path)
        next(work)
        one.close()
        with complains("the scheduler went away"):
            list(work)
    assert "Traceback" not in capfd.readouterr().err


def test_an_address_where_nothing_answers_is_reported_soon(
    dataset, tmp_path, complains, monkeypatch
):
    monkeypatch.setattr(dask_scheduler, "ANSWER", 1)
    for address in ("tcp://127.0.0.1:9", "tcp://127.0.0.1", "nonsense", "http://127.0.0.1:9"):
        with (
            complains(f"params.yaml: machine.dask: {address}: no Dask scheduler", "tcp://10.0.0.5"),
            atomic_output(tmp_path / "data/frames") as folder,
        ):
            extract_frames(read_recordings(dataset), 7, folder, dask=address)
    assert list(tmp_path.glob("data/*")) == []


def test_workers_with_other_code_or_folders_are_refused(tmp_path, address, complains, monkeypatch):
    with complains("does not see", str(tmp_path / "elsewhere")):
        list(map_on_cluster(address, time.sleep, [0], tmp_path / "elsewhere"))
    monkeypatch.setattr(cv2, "__version__", "another")
    with complains("another version of cardpose or OpenCV"):
        list(map_on_cluster(address, time.sleep, [0], tmp_path))


def test_a_missing_dask_is_reported_with_how_to_install_it(tmp_path, complains, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with complains("machine.dask", "pip install -e '.[cluster]'"):
        list(map_on_cluster("tcp://127.0.0.1:9", time.sleep, [0], tmp_path))
