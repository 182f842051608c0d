"""Mutants of the room `checking`."""

from mutants import Mutant

MUTANTS = [
    Mutant(
        "an unmarked corner of the face is wrong for certain",
        "cardpose/checking/rules.py",
        "name, _CERTAIN + BACK[k]))",
        "name, _CERTAIN + 1))",
        "tests/checking/test_label_rules.py -k is_a_remark",
    ),
    Mutant(
        "an unmarked corner of the back is a remark",
        "cardpose/checking/rules.py",
        "name, _CERTAIN + BACK[k]))",
        "name, _CERTAIN))",
        "tests/checking/test_label_rules.py -k corner_of_the_back",
    ),
]
