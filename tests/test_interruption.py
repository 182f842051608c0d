"""Stages that are interrupted: what the user reads, and what is left."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def stage(body):
    """Run a stage whose `main` is `body`: its status and its last line on stderr."""
    code = f"import os, signal\nfrom cardpose.errors import *\ndef main():\n    {body}\nrun(main)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip()


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("pass", 0, ""),
        ("raise InputError('sigma: too large')", 1, "error: sigma: too large"),
        ("signal.raise_signal(signal.SIGINT)", 130, "interrupted; run it again"),
        ("raise KeyboardInterrupt('3 of 4')", 130, "interrupted; 3 of 4"),
        ("signal.raise_signal(signal.SIGTERM)", 143, "interrupted; run it again"),
        (
            "raise OSError(28, 'No space left on device', 'a.csv')",
            1,
            "error: a.csv: No space left on device",
        ),
        ("raise RuntimeError('I/O: No space left on device')", 1, "error: No space left on device"),
    ],
)
def test_a_stage_ends_with_one_line_and_the_status_that_shells_expect(body, status, said):
    got, line = stage(body)
    assert got == status
    assert line.startswith(said)
    assert "\n" not in line
