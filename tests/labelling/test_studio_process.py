"""The process of Label Studio: found again after `kill -9`, and without the internet."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from raw_server import complaint

from cardpose.labelling import studio_process

ACCESS = studio_process.Access(password="secret-word", token="0123")
ROOT = Path(__file__).parents[2]
# In a process of its own, which can be killed: start the program, and wait.
COMMAND = """
import sys, time
from pathlib import Path
from cardpose.labelling.studio_process import Access, studio_process

access = Access(password="secret-word", token="0123")
with studio_process(sys.argv[1], Path(sys.argv[2]), 0, access) as (process, address):
    print(process.pid, address, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def program(tmp_path):
    """program(script): a program that runs a shell script in place of Label Studio."""

    def make(script):
        path = tmp_path / "label-studio"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    return make


def started(program, dataset):
    return studio_process.studio_process(program, dataset, 0, ACCESS)


def test_a_server_whose_command_was_killed_is_named_at_the_next_start(program, studio_dataset):
    run = subprocess.Popen(
        [sys.executable, "-c", COMMAND, program("exec sleep 600"), str(studio_dataset)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    pid, address = run.stdout.readline().split()
    run.kill()
    run.wait()
    try:
        with (
            complaint(f"process {pid} at {address}: ", f"`kill -- -{pid}`"),
            started(program("sleep 600"), studio_dataset),
        ):
            pass
    finally:
        os.killpg(int(pid), signal.SIGTERM)
    with studio_process.studio_log(studio_dataset).open("a") as log:
        end = time.monotonic() + 120
        while time.monotonic() < end:  # the kernel lets go of the lock a little later
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.05)
    with started(program("exec sleep 600"), studio_dataset) as (process, _):
        assert process.poll() is None
    assert process.poll() is not None


def test_one_data_set_has_one_server_and_each_start_a_log_of_its_own(program, studio_dataset):
    log = studio_process.studio_log(studio_dataset)
    with (
        started(program("exec sleep 600"), studio_dataset) as (process, address),
        complaint(f"process {process.pid} at {address}"),
    ):
        started(program("exec sleep 600"), studio_dataset).__enter__()
    with started(program("echo begun"), studio_dataset) as (process, _):
        process.wait()
        assert "begun" in log.read_text()
        assert log.read_text().count("listens at") == 1


def test_label_studio_reaches_no_other_host(program, studio_dataset, monkeypatch):
    """Its server asks GitHub for tips to show, by the library requests, which obeys these."""
    for name in ("http_proxy", "HTTPS_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "http://proxy.example:3128")
    monkeypatch.setenv("PYTHONPATH", "of cardpose")
    with started(program("env"), studio_dataset) as (process, _):
        process.wait()
    lines = studio_process.studio_log(studio_dataset).read_text().splitlines()
    for name in ("http_proxy", "https_proxy"):
        assert {f"{name}=http://127.0.0.1:9", f"{name.upper()}=http://127.0.0.1:9"} <= set(lines)
    assert not any("proxy.example" in line or line.startswith("PYTHON") for line in lines)
