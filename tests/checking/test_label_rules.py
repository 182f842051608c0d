"""Rules for the labels of single frames."""

import cv2
import numpy as np
import pytest
from checked_labels import (
    LL_BACK,
    LL_FACE,
    LR_BACK,
    LR_FACE,
    UL_BACK,
    UL_FACE,
    UR_BACK,
    UR_FACE,
    findings,
    wrong,
)
from support import SIZE

from cardpose.checking.findings import INFO
from cardpose.dataset.annotations import read_annotations, write_annotations
from cardpose.geometry.keypoints import FLIP, KEYPOINTS
from cardpose.pictures.videos import sampled_frames


def test_nothing_is_wrong_with_rendered_labels(dataset):
    assert wrong(dataset) == []


@pytest.mark.parametrize("corner", [LL_BACK, LR_BACK, UL_BACK])
def test_a_shifted_corner_is_named_and_measured(single, spoil, corner):
    def change(points, visible):
        points[corner] += [12 / 640, -9 / 480]  # 15 pixels
        return points, visible

    frame, before = spoil(change, lambda points, _: (abs(points - 320) < 300).all(where=points > 0))
    (one,) = wrong(single)
    assert (one.name, one.what, one.corner) == (frame, "off its place", KEYPOINTS[corner])
    assert one.off == pytest.approx(15, abs=2)
    belongs = one.box[corner] * SIZE
    assert belongs == pytest.approx(before[corner], abs=2)


def test_two_swapped_corners_are_named(single, spoil):
    def change(points, visible):
        points[[UL_BACK, LR_BACK]] = points[[LR_BACK, UL_BACK]]
        return points, visible

    frame, before = spoil(change)
    (one,) = wrong(single)
    assert (one.name, one.what) == (frame, "swapped")
    assert one.corner == "upper_left_back and lower_right_back"
    assert one.off == pytest.approx(np.linalg.norm(before[UL_BACK] - before[LR_BACK]), abs=0.1)


def test_labels_that_fit_no_box_are_found(single, spoil):
    def change(points, visible):
        return np.random.default_rng(0).random((8, 2)), np.ones(8, bool)

    frame, _ = spoil(change)
    (one,) = wrong(single)
    assert one.name == frame
    assert one.what.startswith("fits no box")


def test_exchanged_names_are_found(single, spoil):
    def change(points, visible):
        return points[list(FLIP)], visible[list(FLIP)]

    frame, _ = spoil(
        change, lambda points, _: (points[1::2, 0] - points[::2, 0])[[1, 3]].min() > 40
    )
    (one,) = wrong(single)
    assert (one.name, one.what) == (frame, "mirrored: left and right exchanged")


def test_one_pair_of_exchanged_names_is_named(single, spoil):
    def change(points, visible):
        points[[UL_BACK, UR_BACK]] = points[[UR_BACK, UL_BACK]]
        return points, visible

    frame, _ = spoil(change, lambda points, _: points[UR_BACK, 0] - points[UL_BACK, 0] > 40)
    (one,) = wrong(single)
    assert one.name == frame
    assert one.corner == "upper_left_back and upper_right_back"


def test_upper_and_lower_exchanged_is_found(single, spoil):
    turned = [LR_FACE, LL_FACE, LR_BACK, LL_BACK, UR_FACE, UL_FACE, UR_BACK, UL_BACK]

    def change(points, visible):
        order = np.array(turned)[[1, 0, 3, 2, 5, 4, 7, 6]]  # left stays left
        return points[order], visible[order]

    frame, _ = spoil(change)
    (one,) = wrong(single)
    assert (one.name, one.what) == (frame, "upper and lower exchanged")


def test_labels_of_the_mirrored_picture_are_found_by_contrast(single, spoil):
    """They fit a box, and their names obey the rule."""

    def change(points, visible):
        return points[list(FLIP)] * [-1, 1] + [1, 0], visible[list(FLIP)]

    frame, _ = spoil(change, lambda points, _: abs(np.nanmean(points[:, 0]) - 320) > 20)
    (one,) = wrong(single)
    assert one.name == frame
    assert "mirrored: flipped" in one.what


def test_a_visible_corner_outside_the_picture_is_found(single, spoil):
    def change(points, visible):
        points[LL_BACK, 0] = -0.1
        return points, visible

    frame, _ = spoil(change)
    one = next(one for one in wrong(single) if one.what == "outside the picture")
    assert (one.name, one.corner) == (frame, "lower_left_back")
    assert one.off == pytest.approx(64, abs=0.1)


def test_a_hidden_label_of_a_visible_corner_of_the_back_is_found(single, spoil):
    def change(points, visible):
        visible[LL_BACK] = False
        return points, visible

    frame, _ = spoil(change, lambda points, _: abs(points[LL_BACK] - [320, 240]).max() < 200)
    (one,) = wrong(single)
    assert (one.name, one.what, one.corner) == (frame, "not marked visible", "lower_left_back")


def test_a_hidden_label_of_a_visible_corner_of_the_face_is_a_remark(single, spoil):
    """Cards between that stick out may hide it."""

    def change(points, visible):
        visible[LL_FACE] = False
        return points, visible

    frame, _ = spoil(change, lambda points, visible: visible[LL_FACE])
    (one,) = [one for one in findings(single) if one.what == "not marked visible"]
    assert (one.name, one.corner, one.level) == (frame, "lower_left_face", INFO)


def test_labels_that_scatter_as_usual_are_accepted(dataset):
    """1.7 pixels in x and in y are 2.4 together."""
    frames, points, visible, _ = read_annotations(dataset / "annotations.csv")
    noise = np.random.default_rng(0).normal(0, 1.7, points.shape) / SIZE
    write_annotations(dataset / "annotations.csv", frames, np.clip(points + noise, 0, 1), visible)
    assert len(wrong(dataset)) <= 0.01 * len(frames)


def test_offsets_are_in_pixels_of_the_picture_whatever_its_size(single, spoil):
    """Labels are fractions: of pictures twice as large they mean twice as many pixels."""

    def change(points, visible):
        points[LL_BACK] += [12 / 640, -9 / 480]
        return points, visible

    frame, _ = spoil(change)
    (single / "videos" / "packet_06").mkdir()
    for index, picture in sampled_frames(single / "videos" / "packet_06.mp4", 5):
        if picture is not None:
            large = cv2.resize(picture, (1280, 960))
            cv2.imwrite(str(single / "videos" / "packet_06" / f"{index}.jpg"), large)
    table = (single / "videos.csv").read_text().replace(".mp4", "")
    (single / "videos.csv").write_text(table)
    (one,) = wrong(single)
    assert (one.name, one.corner) == (frame, "lower_left_back")
    assert one.off == pytest.approx(30, abs=4)
