"""Mutants of the room `network`."""

from mutants import Mutant

MUTANTS = [
    Mutant(
        "the margin is twice as wide",
        "cardpose/network/intervals.py",
        "return float(stats.t.ppf(0.95, ",
        "return 2 * float(stats.t.ppf(0.95, ",
        "tests/network/test_intervals.py",
    ),
]
