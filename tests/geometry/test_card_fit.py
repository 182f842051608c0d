"""The thickness of one card, fitted to recordings of given count."""

import numpy as np
import pytest

from cardpose.geometry.card_fit import fit_card


def fit(*recordings, usual=0.3):
    return fit_card(*np.array(recordings, float).T, usual)


def test_thick_packets_determine_the_card():
    assert fit((13.6, 0.1, 40), (10.2, 0.1, 30)) == pytest.approx(0.34, abs=0.004)


def test_two_sources_of_equal_weight_meet_halfway():
    # As many cards as measure one card to the prior's 9 um.
    deviation = 0.15
    cards = np.hypot(deviation, 0.1) / (0.03 * 0.3)
    assert fit((0.32 * cards, deviation, cards)) == pytest.approx(0.31)


def test_recordings_that_are_measured_badly_say_nothing():
    assert fit((1.0, 1e3, 30)) == pytest.approx(0.3, abs=1e-5)
