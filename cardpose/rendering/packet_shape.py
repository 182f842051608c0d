"""Shape of a packet: slipped and bent cards."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from cardpose.geometry.card import card_corners
from cardpose.geometry.priors import LEAN_PRIOR
from cardpose.rendering import ranges
from cardpose.rendering.deck import CardSize, size_ratio

# Bend in mm: twist of the corners up and down, bow of the long edges, bow of the short edges. A bow
# is the height of an edge's middle above its ends.
Bend = tuple[float | int, float | int, float | int]


class Slips(NamedTuple):
    """Places of the cards of a packet, from the lowest card up.

    Attributes:
        shifts: shift of each card from the packet's middle in mm.
        turns: turn of each card against the highest one, in radians.
    """

    shifts: Float[np.ndarray, "cards 2"]
    turns: Float[np.ndarray, " cards"]


def draw_slips(rng: np.random.Generator, cards: int, card: CardSize) -> Slips:
    """Draw how the cards of a packet lie on each other.

    The packet leans: its lowest card lies askew below its highest one, as far as
    `priors.LEAN_PRIOR` draws. The cards between them follow evenly, or in one or two steps. Some
    packets are also fanned round one of their corners. Blocks of cards and single cards slip
    besides.
    """
    shifts = rng.normal(0, rng.uniform(*ranges.SLIP), (cards, 2))
    cuts = rng.random(cards) < rng.uniform(*ranges.CUT_PROBABILITY)
    blocks = np.cumsum(cuts[:, None] * rng.normal(0, rng.uniform(*ranges.CUT_SLIP), (cards, 2)), 0)
    height = np.linspace(0, 1, cards)
    shifts += blocks - blocks[-1] * height[:, None]
    largest = ranges.LARGEST_LEAN
    lean = np.clip(LEAN_PRIOR.draw(rng, cards * card[2]), -largest, largest)
    shifts += lean * _steps(rng, height)[:, None]
    fan = rng.normal(0, np.radians(ranges.FAN)) * (rng.random() < ranges.FAN_PROBABILITY)
    turns = fan * (height - 1)
    pivot = card_corners(*card[:2])[rng.integers(4)]
    shifts += pivot - turn_points(pivot, turns)
    return Slips(shifts - shifts.mean(axis=0), turns)


def turn_points(
    points: Float[np.ndarray, "*#n 2"], angle: Float[np.ndarray, "*#n"] | float
) -> Float[np.ndarray, "*m 2"]:
    """Turn points about the origin by angles in radians."""
    x, y = points[..., 0], points[..., 1]
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=-1)


def _steps(
    rng: np.random.Generator, height: Float[np.ndarray, " cards"]
) -> Float[np.ndarray, " cards"]:
    """Return the share of the lean at each height, from 0 at the face to 1 at the back."""
    number = rng.choice(len(ranges.LEAN_STEPS), p=ranges.LEAN_STEPS)
    if not number:
        return height
    places = rng.uniform(0.15, 0.85, number)
    sizes = rng.dirichlet(np.ones(number))
    width = rng.uniform(*ranges.STEP_HEIGHT)
    rise = np.clip((height[:, None] - places) / width + 0.5, 0, 1) @ sizes
    return (rise - rise[0]) / max(rise[-1] - rise[0], 1e-6)


def draw_bend(rng: np.random.Generator, card: CardSize) -> Bend:
    """Draw the bend of a deck. A quarter of all decks are flat."""
    if rng.random() < ranges.FLAT_DECK_PROBABILITY:
        return 0.0, 0.0, 0.0
    bend = rng.normal(ranges.BEND_MEAN, ranges.BEND_DEVIATION) * size_ratio(card)
    twist, along, across = bend.tolist()
    return twist, along, across


def rise(
    bend: Bend, card: CardSize, x: Float[np.ndarray, "*n"], y: Float[np.ndarray, "*n"]
) -> Float[np.ndarray, "*n"]:
    """Return the height of a bent card in mm above the lowest point of its edges and middle.

    All cards of a deck bend alike. Two diagonally opposite corners rise and the other two fall.
    The middle of the card rises or falls.

    Args:
        x, y: mm from the middle of the card.
    """
    edge = np.linspace(-1, 1, 201)
    rims = [(a, b) for side in (-1, 1) for a, b in ((edge, side), (side, edge))]
    lowest = min(*(_surface(bend, u, v).min() for u, v in rims), _surface(bend, 0, 0))
    return _surface(bend, 2 * x / card[0], 2 * y / card[1]) - lowest


def _surface(bend: Bend, u, v):
    """Return the height in mm at (u, v), each -1 to 1 from edge to edge."""
    twist, along, across = bend
    return twist * u * v + along * (1 - v * v) + across * (1 - u * u)
