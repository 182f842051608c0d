"""Drawings: what is drawn, where, and how large sheets are."""

import numpy as np
import pytest

from cardpose.pictures.drawing import captioned, draw_count, draw_packet, heatmap_rows, sheet

# In the order of KEYPOINTS, in a picture 400 wide: far enough apart to look at each alone.
POINTS = np.array(
    [
        [100.5, 120.5],
        [300.5, 120.5],
        [100.5, 60.5],
        [300.5, 60.5],
        [60.5, 270.5],
        [340.5, 270.5],
        [60.5, 210.5],
        [340.5, 210.5],
    ]
)


def drawn(points, visible):
    picture = np.zeros((300, 400, 3), np.uint8)
    draw_packet(picture, points, visible)
    return picture


def patch(picture, point, reach=6):
    x, y = np.floor(point).astype(int)
    return picture[y - reach : y + reach + 1, x - reach : x + reach + 1]


def is_green(picture):
    return (picture[..., 1] > picture[..., 2] + 30.0).any()


def is_yellow(picture):
    return (picture[..., 2] > picture[..., 1] + 30.0).any()


def test_corners_of_the_back_are_green_and_of_the_face_yellow():
    picture = drawn(POINTS, np.ones(8, bool))
    for i, point in enumerate(POINTS):
        back = i in (2, 3, 6, 7)
        assert is_green(patch(picture, point)) == back
        assert is_yellow(patch(picture, point)) != back


def test_a_ring_is_drawn_round_the_middle_of_its_corner():
    only_first = np.arange(8) == 0
    picture = drawn(POINTS, only_first)
    rows, columns = np.nonzero(picture.any(axis=2))
    # A pixel's centre is at +0.5.
    assert rows.mean() + 0.5 == pytest.approx(120.5, abs=0.1)
    assert columns.mean() + 0.5 == pytest.approx(100.5, abs=0.1)


def test_nothing_is_drawn_at_invisible_corners_or_along_their_edges():
    # Lower left face hidden: only its three edges and its ring go.
    visible = np.arange(8) != 4
    picture = drawn(POINTS, visible)
    assert not patch(picture, POINTS[4]).any()
    for other in (5, 6, 0):
        assert not patch(picture, (POINTS[4] + POINTS[other]) / 2, reach=3).any()
        assert patch(drawn(POINTS, np.ones(8, bool)), (POINTS[4] + POINTS[other]) / 2, 3).any()
    for i in np.flatnonzero(visible):
        assert patch(picture, POINTS[i]).any()


def test_long_edges_do_not_cross_when_the_names_of_one_short_edge_are_swapped():
    """A packet seen straight from one side: left and right of its short edges may not match."""
    usual = drawn(POINTS, np.ones(8, bool))
    swapped = POINTS[[0, 1, 2, 3, 5, 4, 7, 6]]
    assert (drawn(swapped, np.ones(8, bool)) == usual).all()
    middle = POINTS[[2, 3, 6, 7]].mean(axis=0)
    assert not patch(usual, middle).any()


def test_a_fitted_box_decides_which_corners_are_joined():
    """With a corner of the back out of sight, what crosses cannot be told from the places."""
    swapped = [0, 1, 2, 3, 5, 4, 7, 6]
    seen = np.arange(8) != 3
    usual = drawn(POINTS, seen)
    assert (drawn(POINTS[swapped], seen) != usual).any()
    picture = np.zeros_like(usual)
    draw_packet(picture, POINTS[swapped], seen, swapped)
    assert (picture == usual).all()


def test_a_picture_without_visible_corners_stays_as_it_is():
    assert not drawn(POINTS, np.zeros(8, bool)).any()


def test_corners_beyond_the_picture_do_no_harm():
    # The left corners are moved to 310 to 350, still in the picture; the right ones leave it.
    moved = POINTS + np.array([250, 0])
    assert is_green(patch(drawn(moved, np.ones(8, bool)), moved[2]))


@pytest.mark.parametrize(
    ("count", "columns", "shape"),
    [
        (1, 3, (40, 60, 3)),
        (3, 3, (40, 180, 3)),
        (4, 3, (80, 180, 3)),
        (7, 3, (120, 180, 3)),
        (2, 1, (80, 60, 3)),
    ],
)
def test_a_sheet_shows_each_picture_in_its_own_cell(count, columns, shape):
    cells = [np.full((40, 60, 3), 100 + i, np.uint8) for i in range(count)]
    canvas = sheet(cells, columns)
    assert canvas.shape == shape
    for i in range(count):
        row, column = divmod(i, columns)
        place = canvas[40 * row : 40 * row + 40, 60 * column : 60 * column + 60]
        assert np.array_equal(place, cells[i])


def test_cells_of_a_sheet_are_as_large_as_the_largest_picture():
    small, large = np.full((10, 20, 3), 200, np.uint8), np.full((40, 60, 3), 100, np.uint8)
    canvas = sheet([small, large])
    assert canvas.shape == (40, 120, 3)
    assert (canvas[:10, :20] == 200).all()
    assert (canvas[:, 60:] == 100).all()
    assert (canvas[10:, :60] < 100).all()
    assert (canvas[:, 20:60] < 100).all()


def test_a_captioned_picture_has_its_width_and_text_below_it():
    picture = np.zeros((480, 640, 3), np.uint8)
    with_text, without = captioned(picture, "7.2 cards", 480), captioned(picture, "", 480)
    # 480 x 480/640 = 360 rows of picture, 30 of text.
    assert with_text.shape == without.shape == (390, 480, 3)
    assert np.array_equal(with_text[:360], without[:360])
    assert not np.array_equal(with_text[360:], without[360:])


def test_a_count_is_written_on_a_dark_ground_in_the_corner():
    picture = np.full((480, 640, 3), 200, np.uint8)
    draw_count(picture, "7.2 cards")
    one = np.argwhere((picture != 200).any(axis=2)).max(axis=0)
    assert (picture[:3, :3] == 50).all()  # a quarter as bright
    assert (picture == 255).all(axis=2).sum() > 500
    draw_count(picture := np.full((480, 640, 3), 200, np.uint8), "7.2 cards", "90 %: 5.1 to 9.3")
    two = np.argwhere((picture != 200).any(axis=2)).max(axis=0)
    assert two[0] > one[0]
    assert (two < [100, 300]).all()


@pytest.mark.parametrize(("height", "width"), [(960, 1280), (960, 540)])
def test_a_count_grows_with_the_pictures_shorter_side(height, width):
    small, large = np.full((480, 640, 3), 200, np.uint8), np.full((height, width, 3), 200, np.uint8)
    draw_count(small, "7.2 cards")
    draw_count(large, "7.2 cards")
    grown = np.argwhere((large != 200).any(axis=2)).max(axis=0)
    before = np.argwhere((small != 200).any(axis=2)).max(axis=0)
    assert grown == pytest.approx(before * min(height, width) / 480, rel=0.05)


def test_a_picture_too_small_for_text_does_no_harm():
    draw_count(picture := np.full((5, 7, 3), 200, np.uint8), "7.2 cards", "90 %: 5.1 to 9.3")
    assert picture.shape == (5, 7, 3)


def test_a_heatmap_glows_in_its_own_cell_at_its_own_place():
    picture = np.zeros((60, 80, 3), np.uint8)
    predicted, true = np.zeros((8, 15, 20), np.float16), np.zeros((8, 15, 20), np.float32)
    predicted[3, 10, 5] = 1
    rows = heatmap_rows(picture, predicted, true)
    # Eight cells 160 wide and 120 high; a heatmap pixel is 8 pixels wide.
    assert rows.shape == (240, 1280, 3)
    below_the_text = rows.copy()
    below_the_text[:16] = below_the_text[120:136] = 0
    row, column = np.unravel_index(below_the_text.sum(axis=2).argmax(), rows.shape[:2])
    assert (row + 0.5, column + 0.5) == pytest.approx((10.5 * 8, 3 * 160 + 5.5 * 8), abs=1)
    lit = np.argwhere(below_the_text.any(axis=2))
    assert lit[:, 0].max() < 120
    assert lit[:, 1].min() >= 480
    assert lit[:, 1].max() < 640
