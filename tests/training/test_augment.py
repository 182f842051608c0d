"""Augmented pictures show their keypoints where `augment` says, under the right names."""

import cv2
import numpy as np
import pytest

from cardpose.training.augment import augment

WIDTH, HEIGHT = 320, 240
SEEDS = range(60)
GROUND = 60
FACE, BACK = 140, 240  # how bright the corners of the face and of the back are drawn
# In the order of KEYPOINTS, each in the middle of a pixel.
POINTS = np.array(
    [
        [110.5, 90.5],
        [210.5, 84.5],
        [100.5, 64.5],
        [220.5, 58.5],
        [80.5, 190.5],
        [245.5, 180.5],
        [70.5, 160.5],
        [255.5, 152.5],
    ]
)
IS_BACK = np.array([False, False, True, True] * 2)
VISIBLE = np.ones(8, bool)


@pytest.fixture
def picture():
    """A dark picture with a soft square, 5 x 5, at each keypoint."""
    canvas = np.full((HEIGHT, WIDTH, 3), GROUND, np.uint8)
    for (x, y), back in zip(POINTS.astype(int), IS_BACK, strict=True):
        canvas[y - 2 : y + 3, x - 2 : x + 3] = BACK if back else FACE
    return cv2.GaussianBlur(canvas, (0, 0), 0.8)


def contrast(picture):
    """How much brighter than its background a picture is, 0 to 255."""
    grey = cv2.GaussianBlur(picture.astype(np.float32).mean(axis=2), (3, 3), 0)
    return grey - np.median(grey)


def is_inside(points, margin=0):
    return ((points >= margin) & (points <= np.array([WIDTH, HEIGHT]) - margin)).all(axis=1)


def test_a_bright_square_stands_wherever_a_keypoint_is_still_visible(picture):
    checked = 0
    for seed in SEEDS:
        moved, points, visible = augment(picture, POINTS, VISIBLE, np.random.default_rng(seed))
        bright = contrast(moved)
        for x, y in points[visible & is_inside(points, margin=8)]:
            left, top = int(x) - 6, int(y) - 6
            window = bright[top : top + 13, left : left + 13]
            assert window.max() > 25
            weight = np.maximum(window - 0.3 * window.max(), 0)
            steps = np.arange(13) + 0.5  # pixel centres
            found_x = left + (weight.sum(axis=0) * steps).sum() / weight.sum()
            found_y = top + (weight.sum(axis=1) * steps).sum() / weight.sum()
            assert np.hypot(found_x - x, found_y - y) < 0.3
            checked += 1
    assert checked > 300


def test_corners_of_the_back_are_still_those_drawn_brighter(picture):
    for seed in SEEDS:
        moved, points, visible = augment(picture, POINTS, VISIBLE, np.random.default_rng(seed))
        bright = contrast(moved)
        seen = visible & is_inside(points, margin=2)
        heights = np.zeros(8)
        for i in np.flatnonzero(seen):
            heights[i] = bright[int(points[i, 1]), int(points[i, 0])]
        if (seen & IS_BACK).any() and (seen & ~IS_BACK).any():
            assert heights[seen & IS_BACK].min() > heights[seen & ~IS_BACK].max()


def test_names_follow_the_picture():
    blank = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for seed in SEEDS:
        points = augment(blank, POINTS, VISIBLE, np.random.default_rng(seed))[1]
        # Axes: upper and lower, face and back, left and right, x and y.
        corners = points.reshape(2, 2, 2, 2)
        assert (corners[:, :, 0, 0] < corners[:, :, 1, 0]).all()
        assert (corners[0, :, :, 1].mean(axis=1) < corners[1, :, :, 1].mean(axis=1)).all()


def test_corners_are_renamed_where_a_turn_passes_one_over_another():
    # The long edges lie almost level, the left end hardly higher; its short edges lean 4 degrees
    # from the upright. A turn by 15 degrees either way changes which is upper and which is left.
    back = np.array([[40.0, 140.0], [46, 60], [270, 156], [276, 76]])
    face = back + np.array([0, 10])
    points = np.concatenate([face[:2], back[:2], face[2:], back[2:]])
    blank, upper_is_right = np.zeros((HEIGHT, WIDTH, 3), np.uint8), set()
    for seed in SEEDS:
        _, moved, visible = augment(blank, points, VISIBLE, np.random.default_rng(seed))
        if visible.all():
            assert moved[[2, 3], 1].mean() < moved[[6, 7], 1].mean()
            assert (moved[::2, 0] < moved[1::2, 0]).all()
            upper_is_right.add(bool(moved[2, 0] > moved[6, 0]))
    assert upper_is_right == {False, True}


def test_a_visible_keypoint_stays_visible_if_it_stays_in_the_picture():
    spread = (POINTS - [160, 120]) * 1.5 + [160, 120]  # near the edges: many are cut off
    blank = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    left = 0
    for seed in SEEDS:
        _, points, visible = augment(blank, spread, VISIBLE, np.random.default_rng(seed))
        assert np.array_equal(visible, is_inside(points))
        left += np.count_nonzero(~visible)
    assert left > 10


def test_a_hidden_keypoint_stays_hidden_and_may_be_nan():
    points = POINTS.copy()
    points[0] = np.nan
    visible = np.arange(8) != 0
    blank = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    flips = set()
    for seed in SEEDS:
        _, moved, still = augment(blank, points, visible, np.random.default_rng(seed))
        nowhere = np.flatnonzero(np.isnan(moved).any(axis=1)).tolist()
        # It was the upper left corner of the face; a flip makes it the upper right one.
        assert nowhere in ([0], [1])
        assert not still[nowhere].any()
        flips.add(nowhere[0])
    assert flips == {0, 1}


def test_a_lone_visible_keypoint_changes_sides_in_a_flipped_picture():
    blank = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    names = set()
    for seed in SEEDS:
        _, points, visible = augment(blank, POINTS, np.arange(8) == 2, np.random.default_rng(seed))
        # Visible or not, the left corners stay on the left: turns are too small to change that.
        assert (points[::2, 0] < points[1::2, 0]).all()
        names |= set(np.flatnonzero(visible).tolist())
    # The upper left corner of the back, or after a flip the upper right one.
    assert names == {2, 3}


def test_a_packet_is_neither_stretched_nor_sheared():
    blank = np.zeros((HEIGHT, WIDTH, 3), np.uint8)

    def distances(points):
        return np.sort(np.hypot(*(points[:, None] - points).T)[np.triu_indices(8, 1)])

    scales = []
    for seed in SEEDS:
        points = augment(blank, POINTS, VISIBLE, np.random.default_rng(seed))[1]
        ratios = distances(points) / distances(POINTS)
        assert np.ptp(ratios) < 1e-4
        scales.append(ratios.mean())
    assert 0.84 < min(scales) < 0.9
    assert 1.12 < max(scales) < 1.21


def test_shapes_and_dtypes_stay(picture):
    moved, points, visible = augment(picture, POINTS, VISIBLE, np.random.default_rng(0))
    assert (moved.shape, moved.dtype) == (picture.shape, np.uint8)
    assert (points.shape, points.dtype) == ((8, 2), np.float32)
    assert (visible.shape, visible.dtype) == ((8,), bool)


def test_the_arguments_stay_unmodified(picture):
    given = picture.copy(), POINTS.copy(), VISIBLE.copy()
    for seed in SEEDS:
        augment(*given, np.random.default_rng(seed))
    assert np.array_equal(given[0], picture)
    assert np.array_equal(given[1], POINTS)
    assert np.array_equal(given[2], VISIBLE)


def test_the_same_random_numbers_give_the_same_picture(picture):
    # Twenty seeds: some blur, some add noise.
    for seed in range(20):
        first, again, other = (
            augment(picture, POINTS, VISIBLE, np.random.default_rng(s)) for s in (seed, seed, 1000)
        )
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
        assert not np.array_equal(first[0], other[0])
        assert not np.array_equal(first[1], other[1])


def test_a_margin_that_opens_has_the_mean_colour_of_the_picture():
    # A quarter of the picture is 200, the rest 40: 80 on average. So the margin must come out as
    # a picture that is 80 all over does.
    framed = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    framed[60:180, 80:240] = 200
    flat = np.full((HEIGHT, WIDTH, 3), 80, np.uint8)
    opened = 0
    for seed in SEEDS:
        moved, points, _ = augment(framed, POINTS, VISIBLE, np.random.default_rng(seed))
        colour = np.median(augment(flat, POINTS, VISIBLE, np.random.default_rng(seed))[0], (0, 1))
        if np.linalg.norm(points[2] - points[3]) < 0.9 * np.linalg.norm(POINTS[2] - POINTS[3]):
            # Shrunk that much and moved by 6 % at most, it leaves one of its corners empty.
            tips = [
                moved[y, x]
                for y in (slice(4), slice(-4, None))
                for x in (slice(4), slice(-4, None))
            ]
            assert min(abs(tip.mean((0, 1)) - colour).max() for tip in tips) < 8
            opened += 1
    assert opened > 3
