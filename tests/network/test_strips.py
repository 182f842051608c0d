"""Strips along edges: cut where they should be, the same way in training and in use."""

import numpy as np
import pytest
import torch
from support import edge_ends

from cardpose.network.strips import (
    LENGTH,
    POINTS,
    REACH,
    long_enough,
    normals,
    sample_strips,
    shares,
    side_heights,
)

# A box like a picture's: the back's corners UL, UR, LR, LL as EDGES goes round, then the face's.
BACK = [(10.0, 10.0), (50.0, 10.0), (50.0, 30.0), (10.0, 30.0)]
FACE = [(x, y + 8) for x, y in BACK]


def box():
    """starts and ends (1, 12, 2) of its edges, in the order of `keypoints.EDGES`."""
    starts, ends = edge_ends(BACK, FACE)
    return torch.tensor([starts]).double(), torch.tensor([ends]).double()


def test_normals_point_away_from_the_packet():
    across = normals(*box())[0]
    for layer in (across[:4], across[4:8]):
        assert layer.tolist() == [[0, -1], [1, 0], [0, 1], [-1, 0]]
    assert across[8:].tolist() == [[-1, 0], [1, 0], [-1, 0], [1, 0]]


def test_an_edge_without_length_has_a_strip_too():
    starts, _ = box()
    assert torch.isfinite(normals(starts, starts)).all()


def test_a_strip_shows_its_edge_in_the_middle_and_the_packet_above():
    detail = np.zeros((96, 128, 3), np.uint8)
    detail[:60] = 255  # bright to the edge at y = 30, that is 60 detail pixels
    starts, ends = box()
    picture = torch.from_numpy(detail.transpose(2, 0, 1))[None]
    strip = sample_strips(picture, starts, ends, normals(starts, ends))[0, 2]  # the lower long edge
    assert strip.shape == (3, 2 * REACH + 1, LENGTH)
    assert (strip[:, :REACH] == 255).all()
    assert not strip[:, REACH + 1 :].any()


def test_traced_points_lie_in_the_middles_of_equal_parts():
    assert shares(POINTS) == pytest.approx(shares(4 * POINTS).reshape(POINTS, 4).mean(axis=1))
    assert shares(2) == pytest.approx([0.27, 0.73])


def test_edges_too_short_to_trace():
    starts, ends = box()
    assert long_enough(starts, ends).all()
    assert not long_enough(starts, starts + (ends - starts) / 50).any()


def test_the_height_of_the_sides_is_in_detail_pixels():
    keypoints = torch.zeros(1, 8, 2)
    keypoints[0, [0, 1, 4, 5], 1] = 8.0
    assert side_heights(keypoints).tolist() == [16.0]
