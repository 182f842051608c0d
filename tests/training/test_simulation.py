"""Simulated packets, and a geometry head that learns to count them."""

import numpy as np
import pytest
import torch

from cardpose.network.heads import GeometryHead
from cardpose.training.simulation import simulate
from cardpose.training.steps import learn_geometry

SIZE = (320, 240)
FOCAL, CARD = 1.06, (63.0, 88.0, 0.3)


@pytest.fixture(scope="module")
def packets():
    return simulate(np.random.default_rng(0), 3000, 52, SIZE, FOCAL, CARD)


def test_simulated_packets_are_of_every_count_and_their_visible_corners_in_the_picture(packets):
    points, visible, cards = packets
    assert set(np.round(cards * 52).astype(int)) == set(range(1, 53))
    assert ((points[visible] >= 0) & (points[visible] <= SIZE)).all()
    # A convex box never shows all eight corners to a camera above it, nor fewer than its back's.
    whole = visible[:, [2, 3, 6, 7]].all(axis=1)
    assert set(visible[whole].sum(axis=1)) <= {4, 5, 6, 7}
    assert whole.mean() > 0.4


def test_a_thicker_packet_shows_longer_uprights(packets):
    points, visible, cards = packets
    both = visible[:, 4] & visible[:, 6]
    length = np.linalg.norm(points[both, 4] - points[both, 6], axis=1)
    thick = cards[both] > 0.5
    assert length[thick].mean() > 2 * length[~thick].mean()


def test_twice_the_size_at_half_the_focal_length_looks_nearly_the_same():
    """Sizes in the picture follow focal length and size of the cards."""
    small, large = (
        simulate(np.random.default_rng(0), 300, 52, SIZE, focal, card)
        for focal, card in ((1.0, CARD), (0.5, (126.0, 176.0, 0.6)))
    )

    def spread(packets):
        points, visible, _ = packets
        whole = visible[:, [2, 3, 6, 7]].all(axis=1)
        return np.median(np.ptp(points[whole][:, [2, 3, 6, 7]], axis=1))

    # Nearer than they are large, the larger ones lose to perspective.
    assert 0.8 < spread(large) / spread(small) < 1.3


@pytest.mark.parametrize("number", [0, 1, 2])
def test_focal_length_width_and_thickness_all_change_the_picture(number):
    """Change each of the three alone, so that none can be ignored."""
    focal, card, same = [
        (0.53, CARD, "focal"),
        (FOCAL, (126.0, 88.0, 0.3), "width"),
        (FOCAL, (63.0, 88.0, 0.6), "thickness"),
    ][number]
    usual, changed = (
        simulate(np.random.default_rng(0), 500, 52, SIZE, *each)[0]
        for each in ((FOCAL, CARD), (focal, card))
    )

    def length(points, a, b):
        return np.median(np.linalg.norm(points[:, a] - points[:, b], axis=1))

    back, upright = (length(changed, *p) / length(usual, *p) for p in ((2, 3), (4, 6)))
    if same == "focal":  # everything at half the size
        assert back == pytest.approx(0.5, abs=0.1)
        assert upright == pytest.approx(0.5, abs=0.1)
    elif same == "width":  # 2, 3: the short edge of the back
        assert back > 1.4
    else:
        assert upright > 1.4
        assert back == pytest.approx(1, abs=0.1)


def test_geometry_learns_to_count_from_corners_alone(packets):
    torch.manual_seed(0)
    geometry = GeometryHead(64, SIZE)
    learn_geometry(geometry, packets, SIZE, steps=600)
    points, visible, cards = (
        torch.from_numpy(a) for a in simulate(np.random.default_rng(1), 500, 52, SIZE, FOCAL, CARD)
    )
    with torch.no_grad():
        predicted = geometry(points, visible)
    error = 52 * (predicted - cards).abs().mean()
    constant = 52 * (cards - cards.mean()).abs().mean()
    assert error < constant / 2
    assert not any(parameter.requires_grad for parameter in geometry.parameters())
