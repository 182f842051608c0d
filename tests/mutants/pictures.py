"""Mutants of the room `pictures`."""

from mutants import Mutant

_TESTS = "tests/pictures/test_letterbox.py"

MUTANTS = [
    Mutant(
        "fitted pictures keep no margin",
        "cardpose/pictures/letterbox.py",
        "return fractions * scale + margin",
        "return fractions * scale",
        _TESTS,
    ),
    Mutant(
        "unit pixels follow the shorter side",
        "cardpose/pictures/letterbox.py",
        "sizes.max(axis=-1, keepdims=True, initial=1)",
        "sizes.min(axis=-1, keepdims=True, initial=9999)",
        _TESTS,
    ),
    Mutant(
        "half of a recording's frames are not enough for a near duplicate",
        "cardpose/pictures/duplicates.py",
        "shares[alike] >= _SHARE",
        "shares[alike] > _SHARE",
        "tests/pictures/test_duplicates.py",
    ),
]
