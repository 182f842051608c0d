"""Mutants of the figures and tables of docs/."""

from mutants import Mutant

_TESTS = "tests/docs/test_figures.py"

MUTANTS = [
    Mutant(
        "the figure leaves out the parameters of the 1 x 1 convolutions of the decoder",
        "docs/figures/architecture.py",
        'both = part.parameters + parts[f"narrow.{i}"].parameters',
        "both = part.parameters",
        _TESTS,
    ),
    Mutant(
        "the leaning packet leans away from the camera in front",
        "docs/figures/lean.py",
        "return float(cards * CARD[2] / np.tan(np.radians(elevation)))",
        "return float(-cards * CARD[2] / np.tan(np.radians(elevation)))",
        _TESTS,
    ),
    Mutant(
        "the baselines of a table are exchanged",
        "docs/figures/tables.py",
        'self._means[f"baselines.{name}.{metric}"]',
        "self._means[f\"baselines.{dict(start='constant_guess').get(name, 'start')}.{metric}\"]",
        _TESTS,
    ),
]
