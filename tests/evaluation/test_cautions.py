"""Reasons to read an evaluation with caution: each is found, and found alone."""

import cv2
import numpy as np
import pandas as pd
import pytest

from cardpose.dataset.tensors import Tensors
from cardpose.evaluation.cautions import cautions, duplicates_of_training


def report(mae=2.0, start=14.0, recordings=8):
    return {
        "cards": {"mae": mae},
        "baselines": {"constant_guess": {"mae": 12.0}, "start": {"mae": start}},
        "data": {"recordings": recordings, "frames": 20},
    }


def tensors(copied):
    """Four recordings of three pictures, 40 x 30 pixels fitted into 40 x 40; and their roles.

    The last recording is held out. If `copied`, it is the first one, a little lighter.
    """
    rng = np.random.default_rng(0)
    pictures = np.full((12, 40, 40, 3), 127, np.uint8)
    small = rng.integers(20, 200, (12, 6, 8, 3), dtype=np.uint8)
    for k in range(12):
        pictures[k, 5:35] = cv2.resize(small[k], (40, 30), interpolation=cv2.INTER_CUBIC)
    if copied:
        pictures[9:, 5:35] = cv2.add(pictures[:3, 5:35], np.full(4, 8.0))
    data = Tensors(
        pictures=pictures,
        details=np.zeros((12, 80, 80, 3), np.uint8),
        heatmaps=np.zeros((12, 8, 10, 10), np.float16),
        points=np.zeros((12, 8, 2), np.float32),
        visible=np.ones((12, 8), bool),
        mask=np.ones((12, 8), bool),
        cards=np.zeros(12, np.float32),
        frames=pd.DataFrame({"recording": np.repeat(list("abcd"), 3), "width": 640, "height": 480}),
        image_size=(40, 40),
        stride=4,
        sigma=1.5,
        deck=52,
    )
    return data, np.repeat(["train", "train", "validation", "test"], 3).astype(object)


@pytest.fixture
def split(params):
    return params.split.model_copy(update={"by": "video", "test_videos": []})


def test_an_honest_evaluation_gets_no_caution(split):
    assert cautions(report(), *tensors(copied=False), split) == []


@pytest.mark.parametrize(
    ("update", "copied", "values", "words"),
    [
        ({}, False, {"recordings": 4}, "only 4 recordings are held out"),
        ({}, False, {"recordings": 1}, "only 1 recording is held out"),
        ({}, True, {}, "d is held out, but shows nearly the same pictures as a"),
        ({}, False, {"mae": 12.1}, "no better than a constant guess"),
        (
            {},
            False,
            {"start": 1.94},
            "training made the network no better: mean absolute error of 2.00 cards, before 1.94",
        ),
        ({"by": "frame"}, False, {}, "split.by is frame"),
        ({"by": "frame"}, True, {}, "split.by is frame"),
    ],
)
def test_each_caution_is_one_line(split, update, copied, values, words):
    split = split.model_copy(update=update)
    (line,) = cautions(report(**values), *tensors(copied), split)
    assert words in line
    assert "\n" not in line


def test_held_out_frames_with_a_label_are_counted(split):
    data, role = tensors(copied=False)
    data.mask[9] = False
    data.mask[11, 1:] = False  # one keypoint is enough
    data.mask[:5] = False  # not held out
    (line,) = cautions(report(), data, role, split)
    assert line.startswith("2 of the 3 held-out frames have labels: ")


def test_a_duplicate_of_a_validation_recording_counts_too():
    data, role = tensors(copied=True)
    role = np.where(role == "train", "validation", role)
    assert duplicates_of_training(data, role) == {"d": "a"}
