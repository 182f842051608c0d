"""The results of an evaluation in words."""

import numpy as np
import pandas as pd
import pytest

from cardpose.evaluation.evaluate import HeldOutFrames
from cardpose.evaluation.wording import next_steps, reason, sentence, summarize, worst_frames


def held_out(predicted=(10.2, 26.0, 30.5), off=(1.0, 30.0, np.nan), found=8):
    """Three frames of two recordings, with 10, 30 and 30 cards."""
    cards = np.array([10, 30, 30])
    frames = pd.DataFrame(
        {
            "frame": ["a_frame_0", "b_frame_20", "b_frame_40"],
            "recording": ["a", "b", "b"],
            "width": 640,
            "cards_counted": cards,
            "cards_predicted": predicted,
            "error": predicted - cards,
            "corner_error": off,
        }
    )
    recordings = pd.DataFrame(
        {"recording": ["a", "b"], "cards_counted": [10, 30], "cards_predicted": [10.2, 28.6]}
    )
    visible = np.arange(8) < np.full((3, 1), found)
    return HeldOutFrames(
        frames, recordings, np.arange(3), np.zeros((3, 8, 2)), visible, np.zeros((3, 8), int)
    )


def report(**changes):
    cards = {"mae": 1.567, "mae_per_video": 0.8, "exact": 1 / 3, "exact_per_video": 0.5}
    cards |= {"within_1": 2 / 3, "within_1_per_video": 1.0, "bias_thick": None}
    values = {
        "cards": cards,
        "baselines": {
            "start": {"mae": 2.0, "mae_per_video": 1.5},
            "constant_guess": {"mae": 9.0, "mae_per_video": 10.0},
        },
        "interval": {"coverage": 0.6667, "mean_width": 5.25},
        "interval_per_video": {"coverage": 1.0, "mean_width": 3.0},
        "data": {"recordings": 2},
    }
    for section, metrics in changes.items():
        values[section] |= metrics
    return values


def test_a_frame_is_told_in_one_sentence():
    frames = held_out()
    assert sentence(frames, 0) == "a, frame 0: 10.2 counted, 10 true, which is right when rounded."
    assert sentence(frames, 1) == "b, frame 20: 26.0 counted, 30 true, 4.0 too few."
    assert sentence(held_out(predicted=(12, 26, 30)), 0).endswith("2.0 too many.")


@pytest.mark.parametrize(
    ("off", "found", "words"),
    [
        (6.0, 7, "All corners lie within 6 pixels of their labels."),
        (7.0, 7, "One corner lies 7 pixels from its label"),
        (1.0, 5, "Only 5 of the 8 corners were found"),
        (np.nan, 5, "5 of the 8 corners were found; none has a label"),
    ],
)
def test_the_corners_may_explain_an_error(off, found, words):
    assert words in reason(held_out(off=[off] * 3, found=found), 0)


def test_the_worst_frames_have_the_largest_errors_of_either_sign():
    assert worst_frames(held_out(predicted=(15, 26, 30.5)).frames, 2) == [0, 1]
    assert worst_frames(held_out(predicted=(7, 26, 30.5)).frames, 9) == [1, 0, 2]


def test_the_summary_has_ten_lines_and_one_per_warning():
    lines = summarize(report(), held_out(), ["few"], ["first", "second"])
    assert lines == [
        "measured on 2 recordings that did not train the network (3 pictures)",
        "                                   trained  before training  constant guess",
        "mean error of a picture, cards        1.57             2.00            9.00",
        "mean error of a recording, cards      0.80             1.50           10.00",
        "exactly right: 1 of 2 recordings, 33 % of the pictures",
        "at most one card off: 2 of 2 recordings, 67 % of the pictures",
        "90 % intervals: hold the count of 100 % of the recordings (3.0 cards wide)"
        " and 67 % of the pictures (5.2 cards wide)",
        "worst picture: b, frame 20: 26.0 counted, 30 true, 4.0 too few."
        " One corner lies 30 pixels from its label.",
        "warning: few",
        "report: metrics/report.html; pictures: metrics/plots/; network: models/cardpose.onnx",
        "try next: first",
    ]


def test_a_summary_without_intervals_says_so():
    none = {"coverage": None, "mean_width": None}
    lines = summarize(report(interval=none, interval_per_video=none), held_out(), [], ["first"])
    assert "90 % intervals: none" in lines
    assert len(lines) == 10


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cards": {"mae": 2.5, "mae_per_video": 1.5}}, "training gained nothing"),
        ({"cards": {"bias_thick": -1.6}}, "1.6 cards too low"),
        ({"interval_per_video": {"coverage": 0.7}}, "split.validation"),
    ],
)
def test_advice_follows_from_the_results(changes, words):
    calm = held_out(off=[1.0] * 3)
    usual = next_steps(report(), calm, "mine")
    assert words in next_steps(report(**changes), calm, "mine")[0]
    assert len(usual) == 2
    assert "make folds DATASET=mine" in usual[0]


def test_a_label_far_from_the_prediction_is_to_be_checked():
    assert "cardpose check mine" in next_steps(report(), held_out(), "mine")[0]


def test_rendered_recordings_lead_to_the_loop_of_experiments_and_to_real_ones():
    steps = next_steps(report(), held_out(), "synthetic")
    assert "sigma=3" in steps[0]
    assert "dataset=cardcut" in steps[1]
