"""Shape of a packet: slipped and bent cards."""

import numpy as np
from jaxtyping import Float

from cardpose.rendering import ranges
from cardpose.rendering.deck import CardSize, size_ratio

# Bend in mm: twist of the corners up and down, bow of the long edges, bow of the short edges. A bow
# is the height of an edge's middle above its ends.
Bend = tuple[float | int, float | int, float | int]


def draw_slips(rng: np.random.Generator, cards: int) -> Float[np.ndarray, "cards 2"]:
    """Draw each card's slip from the middle in mm, from the lowest card up.

    A slip is the sum of three: blocks of cards slip against each other, each card slips slightly,
    and the whole packet leans.
    """
    slips = rng.normal(0, rng.uniform(*ranges.SLIP), (cards, 2))
    cuts = rng.random(cards) < rng.uniform(*ranges.CUT_PROBABILITY)
    blocks = rng.normal(0, rng.uniform(*ranges.CUT_SLIP), (cards, 2))
    slips += np.cumsum(cuts[:, None] * blocks, axis=0)
    lean = rng.normal(0, ranges.LEAN_PER_CARD, 2)
    slips += lean * np.arange(cards)[:, None]
    return np.clip(slips - slips.mean(axis=0), -ranges.LARGEST_SLIP, ranges.LARGEST_SLIP)


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
