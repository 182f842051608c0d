"""The heads: a packet's shape, and features at the heatmaps' peaks."""

import pytest
import torch

from cardpose.geometry.keypoints import FLIP
from cardpose.network.heads import SHAPE, at_corners, shape_of


def box(x, y, scale):
    """Return the keypoints of a packet seen from in front, scaled and moved."""
    corners = [(0, 2), (4, 2), (0, 1), (4, 1), (-1, 5), (5, 5), (-1, 4), (5, 4)]
    return torch.tensor([corners], dtype=torch.float32) * scale + torch.tensor([x, y])


def test_a_shape_does_not_depend_on_place_and_scale():
    seen = torch.ones(1, 8, dtype=torch.bool)
    one = shape_of(box(10, 20, 5), seen, (320, 240))
    other = shape_of(box(100, 70, 20), seen, (320, 240))
    assert one.shape == (1, SHAPE)
    # All but the last three numbers: spread and middle.
    assert torch.allclose(one[:, :-3], other[:, :-3], atol=1e-5)
    assert other[0, -3] / one[0, -3] == pytest.approx(4)


def test_the_uprights_of_a_shape_are_ten_times_face_minus_back():
    seen = torch.ones(1, 8, dtype=torch.bool)
    # By hand: x = 0 4 0 4 -1 5 -1 5 has mean 2 and squared distances 4 4 4 4 9 9 9 9; y = 2 2 1 1 5
    # 5 4 4 has mean 3 and 1 1 4 4 4 4 1 1. (52 + 20) / 8 = 9: the spread is 3, each upright (0, 1).
    shape = shape_of(box(0, 0, 1), seen, (320, 240))
    assert torch.allclose(shape[0, :8], torch.tensor([0, 10 / 3] * 4))


def test_hidden_keypoints_do_not_change_the_shape():
    seen = torch.tensor([[False, False, True, True, True, True, True, True]])
    elsewhere = box(0, 0, 1)
    elsewhere[0, :2] = 1000
    assert torch.equal(shape_of(box(0, 0, 1), seen, (64, 48)), shape_of(elsewhere, seen, (64, 48)))


def test_a_packet_without_visible_keypoints_has_a_finite_shape():
    shape = shape_of(torch.zeros(1, 8, 2), torch.zeros(1, 8, dtype=torch.bool), (64, 48))
    assert torch.isfinite(shape).all()


def test_a_packet_and_its_mirror_image_have_the_same_count(network):
    points, seen = torch.rand(2, 8, 2) * 48, torch.rand(2, 8) > 0.3
    flip = list(FLIP)
    other = points[:, flip] * torch.tensor([-1.0, 1.0]) + torch.tensor([64.0, 0.0])
    geometry = network.closer.geometry
    assert torch.allclose(geometry(points, seen), geometry(other, seen[:, flip]), atol=1e-6)


def test_features_are_read_at_the_heatmaps_peaks():
    features = torch.arange(12 * 16.0).reshape(1, 1, 12, 16)
    heatmaps = torch.zeros(1, 8, 12, 16)
    for k in range(8):
        heatmaps[0, k, k, 2 * k] = 1
    expected = [k * 16 + 2 * k for k in range(8)]
    assert at_corners(features, heatmaps)[0].tolist() == pytest.approx(expected)
