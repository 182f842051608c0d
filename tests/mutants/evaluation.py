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
        'metadata["margins"] and metadata["margins"][count]',
        'metadata["margins"] and metadata["margins"]["picture"]',
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
        "every metric of the report is one to compare runs by",
        "cardpose/evaluation/evaluate.py",
        "target[last] = source[last]",
        "target |= source",
        _TESTS,
    ),
    Mutant(
        "a recording is listed with the median of its frames",
        "cardpose/evaluation/evaluate.py",
        'by_box if count == "both" else {}',
        "{}",
        f"{_TESTS} -k are_listed",
    ),
    Mutant(
        "the picture that is furthest too high is the worst",
        "cardpose/evaluation/wording.py",
        'frames["error"].abs().sort_values',
        'frames["error"].sort_values',
        "tests/evaluation/test_wording.py",
    ),
    Mutant(
        "the summary gives the baselines in the wrong order",
        "cardpose/evaluation/wording.py",
        'baselines["start"], baselines["constant_guess"]',
        'baselines["constant_guess"], baselines["start"]',
        "tests/evaluation/test_wording.py",
    ),
    Mutant(
        "text in the report is not escaped",
        "cardpose/evaluation/page.py",
        "autoescape=True",
        "autoescape=False",
        f"{_TESTS} -k loads_nothing",
    ),
    Mutant(
        "the headline compares with the constant guess",
        "cardpose/evaluation/evaluate.py",
        '"baselines.start.mae",',
        '"baselines.constant_guess.mae",',
        f"{_TESTS} -k few_metrics",
    ),
    Mutant(
        "the trained network is measured as its own start",
        "stages/evaluate.py",
        "evaluate(start, start_metadata,",
        "evaluate(network, metadata,",
        "tests/stages/test_start.py",
    ),
    Mutant(
        "a count one card off is exact",
        "cardpose/evaluation/metrics.py",
        "np.mean(rounded == 0)",
        "np.mean(rounded <= 1)",
        "tests/evaluation/test_metrics.py",
    ),
    Mutant(
        "packets of 36 cards are not thick",
        "cardpose/evaluation/metrics.py",
        "cards >= THICK",
        "cards > THICK",
        "tests/evaluation/test_metrics.py",
    ),
    Mutant(
        "a network that training made worse gets no warning",
        "cardpose/evaluation/cautions.py",
        'if cards["mae"] >= start:',
        "if False:",
        "tests/evaluation/test_cautions.py",
    ),
    Mutant(
        "the baselines of the folds are mixed up",
        "benchmarks/folds.py",
        'prefix = f"baselines.{baseline}."',
        'prefix = f"baselines.{_BASELINES[0]}."',
        "tests/stages/test_folds.py::test_metrics_that_no_fold_has_are_left_empty",
    ),
    Mutant(
        "a duplicate of a validation recording is overlooked",
        "cardpose/evaluation/cautions.py",
        'hashes[part == "test"]',
        'hashes[part != "train"]',
        "tests/evaluation/test_cautions.py",
    ),
]
