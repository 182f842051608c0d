"""Mutants of the room `evaluation`."""

from mutants import Mutant

_TESTS = "tests/evaluation/test_evaluate.py"

MUTANTS = [
    Mutant(
        "the training frames are measured",
        "cardpose/evaluation/evaluate.py",
        'rows = np.flatnonzero(role == "test")',
        'rows = np.flatnonzero(role == "train")',
        _TESTS,
    ),
    Mutant(
        "the constant guess is the mean of the held-out counts",
        "cardpose/evaluation/evaluate.py",
        '.to_numpy()[role == "train"]',
        '.to_numpy()[role == "test"]',
        _TESTS,
    ),
    Mutant(
        "the interval has the margin of another way of counting",
        "cardpose/evaluation/evaluate.py",
        'metadata["margins"][count])',
        'metadata["margins"]["picture"])',
        _TESTS,
    ),
    Mutant(
        "unlabelled keypoints enter the visibility",
        "cardpose/evaluation/evaluate.py",
        "visibility_metrics(predicted.visible[mask], true_visible[mask])",
        "visibility_metrics(predicted.visible, true_visible)",
        _TESTS,
    ),
    Mutant(
        "a duplicate of a validation recording is overlooked",
        "cardpose/evaluation/cautions.py",
        'hashes[part == "test"]',
        'hashes[part != "train"]',
        "tests/evaluation/test_cautions.py",
    ),
]
