"""Fitted pictures and their coordinates, which must agree to a tenth of a pixel."""

import numpy as np
import pytest

from cardpose.pictures.letterbox import (
    fit,
    fitted_to_original,
    fitted_to_unit,
    fractions_to_fitted,
    fractions_to_unit,
    resize_to_fit,
    unit_sizes,
    unit_to_fractions,
)

TARGET = (320, 240)


@pytest.mark.parametrize(
    ("size", "inner", "margin"),
    [
        ((640, 480), (320, 240), (0, 0)),  # halved
        ((320, 240), (320, 240), (0, 0)),
        ((480, 640), (180, 240), (70, 0)),  # 240/640 = 0.375; 480 x 0.375 = 180; 140 left over
        ((1920, 1080), (320, 180), (0, 30)),  # a sixth; 60 rows left over
        ((160, 120), (320, 240), (0, 0)),  # doubled
        ((100, 100), (240, 240), (40, 0)),
        ((999, 480), (320, 154), (0, 43)),  # 480 x 320/999 = 153.75
        ((10000, 3), (320, 1), (0, 119)),  # a line keeps a pixel; of 239 rows 119 lie above it
    ],
)
def test_a_picture_fits_whole_in_the_middle(size, inner, margin):
    assert fit(size, TARGET) == (inner, margin)


def test_margins_are_grey_and_the_picture_fills_the_rest():
    white = np.full((640, 480, 3), 255, np.uint8)
    fitted = resize_to_fit(white, TARGET)
    assert fitted.shape == (240, 320, 3)
    assert fitted.dtype == np.uint8
    assert (fitted[:, 70:250] == 255).all()
    assert (fitted[:, :70] == 127).all()
    assert (fitted[:, 250:] == 127).all()


def test_a_halved_picture_averages_four_pixels():
    picture = np.zeros((480, 640, 3), np.uint8)
    picture[100:102, 200:202] = 200
    picture[300, 400] = 200
    fitted = resize_to_fit(picture, TARGET)
    assert (fitted[50, 100] == 200).all()
    assert (fitted[150, 200] == 50).all()
    assert np.count_nonzero(fitted) == 2 * 3


def test_fractions_become_fitted_pixels_by_hand():
    fractions = np.array([[[0, 0], [1, 1], [0.5, 0.25]]] * 3)
    sizes = [(640, 480), (480, 640), (1920, 1080)]
    expected = [
        [[0, 0], [320, 240], [160, 60]],
        [[70, 0], [250, 240], [160, 60]],  # 70 + 180/2
        [[0, 30], [320, 210], [160, 75]],  # 30 + 180/4
    ]
    assert np.allclose(fractions_to_fitted(fractions, sizes, TARGET), expected)


def test_fitted_pixels_become_original_pixels_by_hand():
    points = np.array([[[160.0, 60], [70, 240]]])
    assert np.allclose(fitted_to_original(points, [(640, 480)], TARGET), [[[320, 120], [140, 480]]])
    # A portrait lies at 70 to 250 and is 480/180 as large.
    assert np.allclose(fitted_to_original(points, [(480, 640)], TARGET), [[[240, 160], [0, 640]]])


def test_fitted_pixels_invert_to_original_pixels():
    rng = np.random.default_rng(0)
    sizes = np.array([(640, 480), (480, 640), (1920, 1080), (333, 777), (100, 99)])
    fractions = rng.uniform(-0.2, 1.2, (5, 8, 2))
    back = fitted_to_original(fractions_to_fitted(fractions, sizes, TARGET), sizes, TARGET)
    assert np.allclose(back, fractions * sizes[:, None])


def test_fractions_become_unit_pixels_by_hand():
    # The longer side has 640 unit pixels and the middle lies at (320, 240), whatever the size.
    fractions = np.array([[[0, 0], [1, 1], [0.5, 0.25]]] * 3)
    sizes = np.array([(320, 240), (480, 640), (1920, 1080)])
    expected = [
        [[0, 0], [640, 480], [320, 120]],
        [[80, -80], [560, 560], [320, 80]],  # 480 x 640: 240 to each side, 320 up and down
        [[0, 60], [640, 420], [320, 150]],  # 640 x 360: 180 up and down
    ]
    assert np.allclose(unit_sizes(sizes)[:, 0], [(640, 480), (480, 640), (640, 360)])
    assert np.allclose(fractions_to_unit(fractions, sizes), expected)
    assert np.allclose(unit_to_fractions(np.array(expected, float), sizes), fractions)


def test_one_picture_converts_as_several_do():
    points, size = np.array([[0.0, 60], [320, 150]]), (1920, 1080)
    assert np.allclose(unit_to_fractions(points, size), [[0, 0], [0.5, 0.25]])
    assert np.allclose(fractions_to_unit(np.array([[0, 0], [0.5, 0.25]]), size), points)


def test_fitted_pixels_become_unit_pixels_by_way_of_fractions():
    rng = np.random.default_rng(0)
    sizes = np.array([(640, 480), (480, 640), (1920, 1080), (333, 777)])
    fractions = rng.uniform(-0.2, 1.2, (4, 8, 2))
    fitted = fractions_to_fitted(fractions, sizes, TARGET)
    assert np.allclose(fitted_to_unit(fitted, sizes, TARGET), fractions_to_unit(fractions, sizes))


def test_no_frames_have_no_places_in_unit_pixels():
    assert fractions_to_unit(np.zeros((0, 8, 2)), np.zeros((0, 2), int)).shape == (0, 8, 2)


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (1920, 1080), (999, 480), (160, 120)])
def test_a_bright_dot_lands_where_fractions_to_fitted_puts_it(size):
    width, height = size
    scale = min(320 / width, 240 / height)
    sigma = 2.5 / scale  # of a Gaussian dot, in the original
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5  # pixel centres
    rng = np.random.default_rng(1)
    for fraction in rng.uniform(0.2, 0.8, (5, 2)):
        at = fraction * size
        dot = np.exp(-((x - at[0]) ** 2 + (y[:, None] - at[1]) ** 2) / (2 * sigma**2))
        picture = np.repeat(np.round(250 * dot)[..., None], 3, axis=2).astype(np.uint8)
        fitted = resize_to_fit(picture, TARGET)
        expected = fractions_to_fitted(fraction[None, None], [size], TARGET)[0, 0]
        left, top = np.floor(expected).astype(int) - 9
        window = fitted[top : top + 19, left : left + 19, 0].astype(float)
        steps = np.arange(19) + 0.5
        column = (window.sum(axis=0) * steps).sum() / window.sum() + left
        row = (window.sum(axis=1) * steps).sum() / window.sum() + top
        assert np.hypot(*(expected - [column, row])) < 0.1
