"""proposals.csv, written and read."""

import numpy as np
import pandas as pd
import pytest

from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.labelling.proposals import Proposals, read_proposals, write_proposals


def test_proposals_are_read_as_they_were_written(tmp_path):
    rng = np.random.default_rng(0)
    frames = ["NA_frame_0", "a_frame_b_frame_20"]
    some = Proposals(frames, rng.normal(0.5, 1, (2, 8, 2)), rng.random((2, 8)) > 0.5, np.eye(2, 8))
    write_proposals(tmp_path / "proposals.csv", some)
    again = read_proposals(tmp_path / "proposals.csv")
    assert again.frames == frames
    assert again.points == pytest.approx(some.points, abs=1e-6)
    assert (again.visible == some.visible).all()
    assert (again.confidence == some.confidence).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("1.000000", "1.5"), ["line 2", "upper_left_face_confidence", "between 0 and 1", "1.5"]),
        (("a_frame_0", "a0"), ["line 2", "frame", "MyVideo_frame_20"]),
        (("upper_left_face_confidence", "sure"), ["no column upper_left_face_confidence"]),
        (("0.250000", ""), ["line 2", "upper_left_face_x"]),
    ],
)
def test_damaged_proposals_are_refused(tmp_path, complains, change, words):
    path = tmp_path / "proposals.csv"
    places, confidence = np.full((1, 8, 2), 0.5), np.eye(1, 8)
    places[0, 0] = 0.25, 0.75
    write_proposals(path, Proposals(["a_frame_0"], places, np.ones((1, 8), bool), confidence))
    path.write_text(path.read_text().replace(*change, 1))
    with complains(str(path), *words):
        read_proposals(path)


def test_columns_are_named_after_keypoints(tmp_path):
    some = Proposals(["a_frame_0"], np.zeros((1, 8, 2)), np.ones((1, 8), bool), np.ones((1, 8)))
    write_proposals(tmp_path / "p.csv", some)
    columns = pd.read_csv(tmp_path / "p.csv").columns
    assert {f"{name}_confidence" for name in KEYPOINTS} < set(columns)
