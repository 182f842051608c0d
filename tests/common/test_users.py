"""A user whom the system does not list, as in a container that runs with a bare user ID."""

import getpass
import os
import pwd
import signal
from pathlib import Path

import pytest

from cardpose.common.errors import run_stage

NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME", "HOME")


@pytest.fixture
def environment(monkeypatch):
    """The environment with none of NAMES; what is set meanwhile is undone."""
    for name in NAMES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    before = signal.getsignal(signal.SIGTERM)
    yield os.environ
    signal.signal(signal.SIGTERM, before)


def unlisted(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")


def test_a_stage_gives_a_name_and_a_home_to_an_unlisted_user(environment, monkeypatch):
    monkeypatch.setattr(pwd, "getpwuid", unlisted)
    seen = []
    run_stage(lambda: seen.extend([getpass.getuser(), Path.home().is_dir()]))
    assert seen == [str(os.getuid()), True]


def test_a_home_that_is_set_stays(environment, monkeypatch):
    monkeypatch.setattr(pwd, "getpwuid", unlisted)
    monkeypatch.setenv("HOME", "/home of mine")
    run_stage(lambda: None)
    assert environment["HOME"] == "/home of mine"


def test_nothing_is_set_for_a_listed_user(environment):
    run_stage(lambda: None)
    assert not {"LOGNAME", "HOME"} & environment.keys()
