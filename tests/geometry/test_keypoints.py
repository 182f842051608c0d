"""Names of the eight corners, on packets whose corners are placed by hand."""

import numpy as np
import pytest

from cardpose.geometry.camera import orbit
from cardpose.geometry.card import card_corners, packet_keypoints
from cardpose.geometry.keypoints import EDGES, FLIP, KEYPOINTS, name_corners, rename

# A packet seen from below the picture's middle: its back is 20 wide and 40 high, its face hangs
# 6 below. Corners 0-1 are the short edge at the top, 2-3 the one at the bottom, the left one first.
BACK = np.array([[10.0, 10], [30, 10], [10, 50], [30, 50]])
FACE = BACK + np.array([0, 6])
# The same packet in the order of KEYPOINTS.
NAMED = np.array([[10.0, 16], [30, 16], [10, 10], [30, 10], [10, 56], [30, 56], [10, 50], [30, 50]])
ALL = np.ones(8, bool)


def turned(points, degrees):
    """Points turned clockwise, as one sees it, about (20, 33), the packet's middle."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (points - [20, 33]) @ np.array([[c, s], [-s, c]]) + [20, 33]


def hiding(*names):
    return np.array([name not in names for name in KEYPOINTS])


def test_flip_swaps_left_and_right_and_nothing_else():
    assert [KEYPOINTS[i] for i in FLIP] == [
        "upper_right_face",
        "upper_left_face",
        "upper_right_back",
        "upper_left_back",
        "lower_right_face",
        "lower_left_face",
        "lower_right_back",
        "lower_left_back",
    ]


def test_flipping_twice_changes_nothing():
    assert [FLIP[i] for i in FLIP] == list(range(8))


def test_there_are_twelve_edges_and_three_meet_at_each_corner():
    assert len({frozenset(edge) for edge in EDGES}) == len(EDGES) == 12
    assert np.bincount(np.ravel(EDGES)).tolist() == [3] * 8


def test_an_edge_connects_corners_whose_names_differ_in_one_word():
    for a, b in EDGES:
        words = zip(KEYPOINTS[a].split("_"), KEYPOINTS[b].split("_"), strict=True)
        assert sum(first != second for first, second in words) == 1


def test_corners_of_an_upright_packet_are_named():
    # Rows 0 to 3 are the face, 4 to 7 the back.
    assert name_corners(FACE, BACK).tolist() == [0, 1, 4, 5, 2, 3, 6, 7]


def test_a_packet_turned_by_180_degrees_gets_the_same_names():
    # The same outline with the cards turned in it: corner 0 stands where corner 3 was, and so on.
    order = name_corners(FACE[::-1], BACK[::-1])
    assert order.tolist() == [3, 2, 7, 6, 1, 0, 5, 4]
    assert np.array_equal(np.concatenate([FACE[::-1], BACK[::-1]])[order], NAMED)


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [
        # Short edge 0-1 turns over to the right but stays the higher one; 0 is left of 1.
        (80, [0, 1, 4, 5, 2, 3, 6, 7]),
        # Now it is the lower one, and 1, below 0, has passed it on the left.
        (100, [3, 2, 7, 6, 1, 0, 5, 4]),
        (-80, [0, 1, 4, 5, 2, 3, 6, 7]),
        (-100, [3, 2, 7, 6, 1, 0, 5, 4]),
    ],
)
def test_the_short_edge_that_is_higher_is_the_upper_one(degrees, expected):
    assert name_corners(turned(FACE, degrees), turned(BACK, degrees)).tolist() == expected


def test_upper_and_lower_are_short_edges_when_the_packet_lies_across():
    # 40 wide and 20 high, the short edges at the left (0-1) and right (2-3), the right one higher.
    back = np.array([[10.0, 25], [12, 45], [50, 20], [52, 40]])
    # Upper: corners 2 and 3, of which 2 is further left; lower: 0 and 1, 0 further left.
    assert name_corners(back + np.array([0, 6]), back).tolist() == [2, 3, 6, 7, 0, 1, 4, 5]


def test_left_is_the_smaller_x_within_each_pair():
    # The lower short edge stands almost upright: of its face corner 3 is further left, of its
    # back corner 2.
    back = np.array([[50.0, 10], [60, 30], [10, 30], [11, 50]])
    face = np.array([[50.0, 16], [60, 36], [11, 36], [10, 56]])
    assert name_corners(face, back).tolist() == [0, 1, 4, 5, 3, 2, 6, 7]


@pytest.mark.parametrize("degrees", [-15, 0, 15])
def test_names_stay_after_a_small_turn(degrees):
    points, visible = rename(turned(NAMED, degrees), hiding("lower_left_face"))
    assert np.array_equal(points, turned(NAMED, degrees))
    assert np.array_equal(visible, hiding("lower_left_face"))


def test_names_follow_a_turn_by_180_degrees():
    points, visible = rename(turned(NAMED, 180), hiding("upper_left_face"))
    # What was the lower right corner is now the upper left one, and so on.
    assert np.allclose(points, turned(NAMED, 180)[[5, 4, 7, 6, 1, 0, 3, 2]])
    assert np.array_equal(visible, hiding("lower_right_face"))


def test_left_and_right_of_one_short_edge_are_swapped_by_a_turn_that_passes_them():
    # The upper short edge, standing almost upright, is turned past the upright; the lower is not.
    points = NAMED.copy()
    points[:4] = [[31, 16], [30, 36], [31, 10], [30, 30]]
    renamed, _ = rename(points, ALL)
    assert np.array_equal(renamed, points[[1, 0, 3, 2, 4, 5, 6, 7]])


def test_a_face_of_which_one_corner_is_hidden_is_renamed_as_the_back_above_it():
    points = NAMED.copy()
    points[:4] = [[np.nan, np.nan], [30, 36], [31, 10], [30, 30]]
    renamed, visible = rename(points, hiding("upper_left_face"))
    assert np.array_equal(renamed, points[[1, 0, 3, 2, 4, 5, 6, 7]], equal_nan=True)
    assert np.array_equal(visible, hiding("upper_right_face"))


def test_names_stay_where_too_few_corners_are_visible_to_tell():
    points = turned(NAMED, 180)
    shown = hiding("upper_left_back", "upper_left_face", "lower_right_face", "lower_right_back")
    renamed, visible = rename(points, shown)
    assert np.array_equal(renamed, points)
    assert np.array_equal(visible, shown)


def random_view(rng):
    """Arguments of `orbit` but the roll, and of `packet_keypoints`; all corners in the picture."""
    top = rng.integers(1, 53) * 0.30
    view = (
        rng.uniform(0, 2 * np.pi),
        np.radians(rng.uniform(20, 55)),
        rng.uniform(95, 290),
        [0, 0, top / 2],
        (2000, 2000),
    )
    corners = card_corners()
    packet = np.column_stack([corners, np.zeros(4)]), np.column_stack([corners, np.full(4, top)])
    return view, packet


def test_a_picture_that_was_not_turned_keeps_its_names():
    rng = np.random.default_rng(0)
    renamed = []
    for view in range(5000):
        where, packet = random_view(rng)
        roll = np.radians(rng.uniform(-7, 7))
        points, visible = packet_keypoints(orbit(*where, roll, 680, 4000, 4000), *packet)
        if not np.array_equal(rename(points, visible)[0], points):
            renamed.append(view)
    assert renamed == []


def test_turning_a_picture_gives_the_names_that_a_rolled_camera_sees():
    rng = np.random.default_rng(1)
    compared = 0
    for _ in range(300):
        where, packet = random_view(rng)
        roll = np.radians(rng.uniform(-90, 90))
        points, visible = packet_keypoints(orbit(*where, 0.0, 680, 4000, 4000), *packet)
        expected, shown = packet_keypoints(orbit(*where, roll, 680, 4000, 4000), *packet)
        # Skip where left and right, or upper and lower, are a close call in either picture.
        ends = [p.reshape(2, 2, 2, 2) for p in (points, expected)]
        aside = min(abs(p[:, :, 0, 0] - p[:, :, 1, 0]).min() for p in ends)
        above = min(abs(p[0, :, :, 1].mean(1) - p[1, :, :, 1].mean(1)).min() for p in ends)
        if aside < 15 or above < 15:
            continue
        c, s = np.cos(roll), np.sin(roll)
        # The camera's roll turns the picture about its middle.
        moved = (points - 2000) @ np.array([[c, s], [-s, c]]) + 2000
        renamed, still = rename(moved, visible)
        assert np.allclose(renamed, expected)
        assert np.array_equal(still, shown)
        compared += 1
    assert compared > 100
