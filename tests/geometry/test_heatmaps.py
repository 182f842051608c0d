"""Heatmaps at values worked out by hand, and places recovered from them between pixels."""

import math

import numpy as np
import pytest
import torch

from cardpose.geometry.heatmaps import decode, encode

WIDTH, HEIGHT = 320, 240


def places(rng, stride):
    """(n, 1, 2) random places all over a picture, along its edges, in its corners."""
    size = np.array([WIDTH, HEIGHT])
    anywhere = rng.uniform(0, 1, (200, 2)) * size
    near = rng.uniform(0, 2, (200, 2))  # pixels from an edge
    far_side = rng.random((200, 2)) < 0.5
    corners = np.where(far_side, size - near, near)
    edges = np.where(rng.random((200, 1)) < 0.5, [[1, 0]], [[0, 1]])
    edges = np.where(edges, corners, anywhere)
    exact = [[0, 0], size, [WIDTH, 0], [0, HEIGHT]]  # the picture's own corners
    exact += [[5 * stride, 7 * stride], [5.5 * stride, 7.5 * stride]]  # a pixel's corner, centre
    return torch.tensor(np.concatenate([anywhere, corners, edges, exact]))[:, None]


def drawn(points, stride, sigma):
    visible = torch.ones(points.shape[:-1], dtype=torch.bool)
    return encode(points, visible, (HEIGHT // stride, WIDTH // stride), stride, sigma)


def distances(a, b):
    return (a - b).norm(dim=-1)


def test_a_gaussian_on_a_pixel_centre_is_one_there_and_falls_off_beside_it():
    # Row 1, column 2 has its centre at x = 2.5, y = 1.5.
    heatmap = encode(torch.tensor([2.5, 1.5]), torch.tensor(True), (4, 5), 1, 1.5)
    beside = math.exp(-1 / (2 * 1.5**2))
    assert heatmap.shape == (4, 5)
    assert heatmap.dtype == torch.float32
    assert heatmap[1, 2].item() == 1
    for row, column in ((0, 2), (2, 2), (1, 1), (1, 3)):
        assert heatmap[row, column].item() == pytest.approx(beside)
    # Two right and two down: eight pixels squared.
    assert heatmap[3, 4].item() == pytest.approx(math.exp(-8 / (2 * 1.5**2)))


def test_a_gaussian_between_two_pixels_is_as_high_in_both():
    heatmap = encode(torch.tensor([3.0, 1.5]), torch.tensor(True), (4, 5), 1, 2.0)
    half = math.exp(-(0.5**2) / (2 * 2.0**2))
    assert heatmap[1, 2].item() == pytest.approx(half)
    assert heatmap[1, 3].item() == pytest.approx(half)


def test_a_heatmap_pixel_covers_a_stride_of_picture_pixels():
    # At stride 4 heatmap row 1 covers 4 to 8, its centre is 6; column 2 covers 8 to 12: 10.
    heatmap = encode(torch.tensor([10.0, 6.0]), torch.tensor(True), (4, 5), 4, 1.0)
    assert heatmap[1, 2].item() == 1
    assert heatmap[1, 3].item() == pytest.approx(math.exp(-0.5))


def test_a_centre_outside_the_heatmap_leaves_its_tail_inside():
    # Half a pixel left of the picture: one pixel from the centre of the first column.
    heatmap = encode(torch.tensor([-0.5, 1.5]), torch.tensor(True), (4, 5), 1, 1.0)
    assert heatmap[1, 0].item() == pytest.approx(math.exp(-0.5))


def test_an_invisible_keypoint_is_zero_everywhere_even_without_a_place():
    points = torch.tensor([[2.5, 1.5], [math.nan, math.nan], [2.5, 1.5]])
    heatmaps = encode(points, torch.tensor([False, False, True]), (4, 5), 1, 1.5)
    assert not heatmaps[:2].any()
    assert heatmaps[2].max().item() == 1


def test_each_keypoint_of_each_picture_has_its_own_heatmap():
    points = torch.tensor(
        [[[0.5, 0.5], [1.5, 0.5], [2.5, 0.5]], [[0.5, 1.5], [1.5, 1.5], [2.5, 1.5]]]
    )
    heatmaps = encode(points, torch.ones(2, 3, dtype=torch.bool), (4, 5), 1, 1.0)
    assert heatmaps.shape == (2, 3, 4, 5)
    for picture in range(2):
        for keypoint in range(3):
            peak = heatmaps[picture, keypoint].argmax().item()
            assert divmod(peak, 5) == (picture, keypoint)


def test_decode_keeps_the_batch_axes():
    points = torch.tensor([[[3.2, 5.1], [14.0, 9.9]], [[8.8, 2.0], [6.0, 6.0]]])
    heatmaps = encode(points, torch.ones(2, 2, dtype=torch.bool), (12, 16), 1, 1.0)
    found, peaks = decode(heatmaps, 1, 1.0)
    assert peaks.shape == (2, 2)
    assert torch.allclose(found, points, atol=1e-3)


@pytest.mark.parametrize("sigma", [1, 1.5, 3])
@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_decode_finds_what_encode_drew_to_a_twentieth_of_a_pixel(stride, sigma):
    points = places(np.random.default_rng(0), stride)
    found, _ = decode(drawn(points, stride, sigma), stride, sigma)
    assert distances(found, points).max() < 0.05


@pytest.mark.parametrize("sigma", [1, 1.5, 3])
@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_sixteen_bits_are_enough_for_a_twentieth_of_a_pixel(stride, sigma):
    points = places(np.random.default_rng(1), stride)
    found, _ = decode(drawn(points, stride, sigma).half(), stride, sigma)
    assert found.dtype == torch.float32
    assert distances(found, points).max() < 0.05


@pytest.mark.parametrize("sigma", [1, 1.5, 3])
@pytest.mark.parametrize("stride", [2, 4, 8])
def test_mild_noise_moves_a_place_by_less_than_a_third_of_a_heatmap_pixel(stride, sigma):
    points = places(np.random.default_rng(2), stride)
    if sigma == 1:  # too few pixels are left of so narrow a Gaussian where an edge cuts it
        margin = 2.5 * stride
        inner = (points > margin) & (points < torch.tensor([WIDTH, HEIGHT]) - margin)
        points = points[inner.all(dim=-1)][:, None]
    heatmaps = drawn(points, stride, sigma)
    noise = torch.randn(heatmaps.shape, generator=torch.Generator().manual_seed(0))
    found, _ = decode(heatmaps + 0.02 * noise, stride, sigma)
    assert len(points) > 100
    assert distances(found, points).max() < stride / 3


def test_the_peak_is_the_highest_value():
    heatmaps = torch.zeros(2, 6, 7)
    heatmaps[0] = 0.7 * encode(torch.tensor([2.5, 3.5]), torch.tensor(True), (6, 7), 1, 1.0)
    heatmaps[1, 0, 0] = 0.25
    assert decode(heatmaps, 1, 1.0)[1].tolist() == pytest.approx([0.7, 0.25])


def test_the_height_of_a_gaussian_does_not_move_its_place():
    heatmap = encode(torch.tensor([17.0, 10.0]), torch.tensor(True), (8, 10), 4, 1.5)
    for height in (0.1, 3.0):
        assert decode(height * heatmap, 4, 1.5)[0].tolist() == pytest.approx([17, 10], abs=1e-3)


def test_a_lone_bright_pixel_is_found_at_its_centre():
    heatmap = torch.zeros(8, 10)
    heatmap[2, 5] = 0.5
    # At stride 4 column 5 covers 20 to 24, row 2 covers 8 to 12.
    assert decode(heatmap, 4, 1.5)[0].tolist() == pytest.approx([22, 10], abs=1e-3)


def test_a_second_gaussian_far_away_does_not_move_the_higher_one():
    both = torch.tensor([[20.3, 30.8], [100.0, 90.0]])
    pair = encode(both, torch.tensor([True, True]), (60, 80), 2, 1.5)
    found, _ = decode(pair[0] + 0.8 * pair[1], 2, 1.5)
    assert found.tolist() == pytest.approx([20.3, 30.8], abs=0.05)


@pytest.mark.parametrize("value", [0.0, -0.3, 1.0])
def test_a_flat_heatmap_gives_a_place_in_the_picture(value):
    found, peak = decode(torch.full((3, 60, 80), value), 4, 1.5)
    assert torch.equal(peak, torch.full((3,), value))
    assert ((found >= 0) & (found <= torch.tensor([320, 240]))).all()
