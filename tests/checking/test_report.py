"""Draw the worst labels."""

from checked_labels import LL_BACK, wrong

from cardpose.checking.report import worst_pictures


def test_the_sheet_shows_the_label_and_the_corner_of_the_box(single, spoil):
    def change(points, visible):
        points[LL_BACK] += [40 / 640, -30 / 480]
        return points, visible

    _, before = spoil(change)
    found = wrong(single)
    picture = worst_pictures(single, found, 5)
    assert picture.shape == (390, 480, 3)  # one picture, 480 wide, and its caption
    x, y = (before[LL_BACK] * 0.75).astype(int)
    red = (picture[y - 4 : y + 5, x - 4 : x + 5].astype(int) @ [-1, -1, 2]).max()
    assert red > 150
    assert worst_pictures(single, [], 5) is None
