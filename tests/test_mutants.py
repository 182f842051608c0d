"""The list of mutants fits the code; `make mutants` runs it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "mutants"))

from mutants import fits, mutants

ALL = [(room, mutant) for room, listed in mutants().items() for mutant in listed]


@pytest.mark.parametrize("mutant", [m for _, m in ALL], ids=[f"{r}: {m.name}" for r, m in ALL])
def test_a_mutant_fits_the_code(mutant):
    assert fits(mutant), f"{mutant.file} should hold this text once: {mutant.old}"
    assert mutant.old != mutant.new
