"""How the cards of a rendered packet lie on each other, and how that shades its sides."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from cardpose.geometry.card import card_corners
from cardpose.geometry.priors import LEAN_PRIOR
from cardpose.rendering import ranges
from cardpose.rendering.lighting import light_table
from cardpose.rendering.packet_shape import draw_slips, turn_points
from cardpose.rendering.scenes import random_scene
from cardpose.rendering.sides import overhang, packet_sides

POKER = 63, 88, 0.3
TOWARDS = np.array([[-1, 0], [0, -1], [1, 0], [0, 1]])


def draw(seed, cards):
    return draw_slips(np.random.default_rng(seed), cards, POKER)


@pytest.fixture(scope="module")
def scene():
    return random_scene(0, 10, 2)


@pytest.mark.parametrize("cards", [8, 20, 52])
def test_packets_lean_as_the_prior_says(cards, monkeypatch):
    monkeypatch.setattr(ranges, "FAN_PROBABILITY", 0.0)
    drawn = [draw(seed, cards).shifts for seed in range(800)]
    lean = np.abs([shifts[0] - shifts[-1] for shifts in drawn])
    # The quartile of Student's t with 6 degrees of freedom is 0.718.
    assert np.median(lean) == pytest.approx(0.718 * LEAN_PRIOR.scale_of(0.3 * cards), rel=0.12)
    # Beyond 2.447 scales lie 5 %; a normal distribution of the same quartile has 2.1 % there.
    far = (lean > 2.447 * LEAN_PRIOR.scale_of(0.3 * cards)).mean()
    assert 0.03 < far < 0.075
    assert 2 < lean.max() < ranges.LARGEST_LEAN + 1


def test_a_single_card_does_not_lean():
    assert np.allclose([draw(seed, 1).shifts for seed in range(20)], 0)


def test_some_packets_lean_evenly_and_some_in_steps(monkeypatch):
    for name in ("SLIP", "CUT_SLIP"):
        monkeypatch.setattr(ranges, name, (0.0, 0.0))
    monkeypatch.setattr(ranges, "FAN_PROBABILITY", 0.0)
    largest = []
    for seed in range(300):
        shifts = draw(seed, 40).shifts
        steps = np.hypot(*np.diff(shifts, axis=0).T)
        largest.append(steps.max() / np.hypot(*(shifts[-1] - shifts[0])) * 39)
    even = np.isclose(largest, 1)
    assert 0.5 < even.mean() < 0.7
    # A step takes at most 0.3 of the height. Two of them share the lean.
    assert np.min(np.array(largest)[~even]) > 1.5


def test_a_fan_turns_the_cards_about_a_corner(monkeypatch):
    for name in ("SLIP", "CUT_SLIP"):
        monkeypatch.setattr(ranges, name, (0.0, 0.0))
    monkeypatch.setattr(ranges, "LARGEST_LEAN", 0.0)
    monkeypatch.setattr(ranges, "FAN_PROBABILITY", 1.0)
    for seed in range(10):
        shifts, turns = draw(seed, 12)
        assert turns[-1] == 0
        assert turns[0] != 0
        corners = turn_points(card_corners(), turns[:, None]) + shifts[:, None]
        moves = np.ptp(corners, axis=0).max(axis=1)
        assert moves.min() < 1e-9
        # The opposite corner lies 104 mm away, 105.8 from tip to tip.
        assert moves.max() == pytest.approx(105.8 * abs(turns[0]), rel=0.2)


def leaning(scene, lean, **changes):
    shifts = np.linspace(0, 1, scene.cards)[:, None] * np.array(lean)
    return replace(scene, shifts=shifts, bend=(0, 0, 0), overhang_shade=1.0, **changes)


def brightness(scene, height):
    """Return the brightness of the sides towards -x, -y, +x and +y, at a height in mm."""
    strips, normals, grey = packet_sides(scene)
    here = (strips[:, 0, 2] <= height) & (height < strips[:, 2, 2])
    return np.array([grey[here][(normals[here] @ way).argmax()] for way in TOWARDS])


def test_an_overhanging_side_is_dark_and_a_receding_one_bright(scene):
    """Ten cards of 0.3 mm that lean by 0.3 mm each: 45 degrees, whose sine is 0.707."""
    lit = {"ambient": 0.5, "light": np.array([0.0, 1.0])}
    grey = brightness(leaning(scene, (2.7, 0), **lit), 0.4)
    assert grey[2] == pytest.approx(255 * 0.5 * (1 - 0.707), abs=2)
    assert grey[0] == pytest.approx(255 * (0.5 + 0.5 * 0.707), abs=2)
    assert grey[1] == pytest.approx(255 * 0.5, abs=2)
    assert grey[3] == 255


def test_the_side_below_a_step_is_in_its_shadow(scene):
    shifts = np.repeat([[0.0, 0.0], [1.0, 0.0]], 5, axis=0)
    stepped = replace(leaning(scene, (0, 0), ambient=0.6), shifts=shifts)
    below, above = brightness(stepped, 1.3), brightness(stepped, 1.7)
    straight = brightness(leaning(scene, (0, 0), ambient=0.6), 1.3)
    assert below[2] < 0.4 * straight[2]
    assert above.tolist() == straight.tolist()


def test_the_overhang_is_that_of_the_cards_that_stand_out_most(scene):
    shifts = np.repeat([[0.0, 0.0], [1.0, 0.0]], 5, axis=0)
    # The lower edge of the sixth card is 1.5 mm high. 0.25 mm go unnoticed.
    expected = [[-0.25 / 2.7, -0.25 / 2.7], [0.75 / 1.5, -0.25 / 2.7]]
    found = overhang(replace(scene, shifts=shifts))
    assert found[1, 0] == pytest.approx(0.5)
    assert found[1, 1] == found[0, 1] == pytest.approx(expected[0][1])
    assert overhang(random_scene(0, 1, 2)).tolist() == [[0, 0], [0, 0]]


def test_the_table_below_an_overhang_is_dark():
    table, light = np.full((512, 512, 3), 200.0), np.array([0.0, 1.0])

    def grey(lean):
        shifts = np.linspace(0, 1, 13)[:, None] * np.array([lean, 0.0])
        lit = light_table(np.random.default_rng(1), table, shifts - shifts[0], POKER, light)
        return cv2.cvtColor(lit, cv2.COLOR_BGR2GRAY).astype(float)

    # 1.5 mm right of the packet's long side, two pixels per mm.
    x, y = 256 + 2 * 33, 256
    assert grey(4.0)[y, x] < 0.85 * grey(0.0)[y, x]
