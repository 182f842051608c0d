"""Scenes of rendered recordings: a table, a light, a packet and a moving camera.

The same arguments give the same scene, bit for bit. `ranges` holds the ranges of random values.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int16, UInt8

from cardpose.geometry.camera import Camera
from cardpose.geometry.card import CARD, FOCAL
from cardpose.rendering import ranges
from cardpose.rendering.backs import draw_back
from cardpose.rendering.camera_path import walk_round
from cardpose.rendering.deck import CardSize, size_ratio
from cardpose.rendering.lighting import (
    channel_gains,
    edge_colours,
    light_table,
    paper_colour,
    sensor_noise,
)
from cardpose.rendering.packet_shape import Bend, draw_bend, draw_slips
from cardpose.rendering.textures import draw_cloth

WIDTH, HEIGHT = 640, 480  # pixels of a frame
_HOUSEHOLD = 13  # number of decks, and of tables


@dataclass(frozen=True)
class Scene:
    """Packet on a table, with its light and cameras. Colours are BGR, 0 to 255.

    Attributes:
        cards: number of cards in the packet.
        card: size of a card.
        table: lit table seen from above, at `lighting.TABLE_SCALE`.
        back: back of a card, at the scale that the drawing function chooses.
        shifts, turns: see `packet_shape.Slips`.
        bend: see `packet_shape.Bend`.
        edge_colours: colour of each card's edge.
        light: horizontal unit vector towards the light.
        ambient: brightness of a side that faces away from the light, 0 to 1.
        overhang_shade: loss of light of a side that faces down, 0 to 1.
        glare: strength of the lamp's reflection in the back, 0 to 1.
        glare_at: place of the lamp's mirror image below the table in mm.
        aperture: blur in pixels of a point infinitely far away.
        shutter: share of the time between two frames that the shutter is open.
        noise: sensor noise in grey levels, larger than a frame.
        tone: gain of each channel in each frame.
        gamma: exponent of the tone curve.
        cameras: one per frame.
    """

    cards: int
    card: CardSize
    table: UInt8[np.ndarray, "n n 3"]
    back: UInt8[np.ndarray, "back_h back_w 3"]
    shifts: Float[np.ndarray, "cards 2"]
    turns: Float[np.ndarray, " cards"]
    bend: Bend
    edge_colours: Float[np.ndarray, "cards 3"]
    light: Float[np.ndarray, "2"]
    ambient: float
    overhang_shade: float
    glare: float
    glare_at: Float[np.ndarray, "3"]
    aperture: float
    shutter: float
    noise: Int16[np.ndarray, "noise_h noise_w 3"]
    tone: Float[np.ndarray, "frames 3"]
    gamma: float
    cameras: list[Camera]

    @property
    def size_ratio(self) -> float:
        """Scale relative to a scene with the usual deck, see `deck.size_ratio`."""
        return size_ratio(self.card)

    @property
    def thickness(self) -> float | int:
        """Thickness of the packet in mm."""
        return self.cards * self.card[2]


def random_scene(
    seed: int,
    cards: int,
    frames: int,
    width: int = WIDTH,
    height: int = HEIGHT,
    card: CardSize = CARD,
    focal: float | int = FOCAL,
    cloth: Callable[..., np.ndarray] = draw_cloth,
    back: Callable[..., np.ndarray] = draw_back,
) -> Scene:
    """Draw the scene of one recording of `cards` cards with `frames` frames.

    Distances depend on the deck and the camera, so that packets fill the picture alike.

    A seed has 13 decks and 13 tables, see `household_number`.

    Args:
        focal: focal length as a share of the picture's longer side; recordings deviate slightly.
        cloth: function to draw a table, called as `cloth(rng)`.
        back: function to draw the back of a card, called as `back(rng, paper, card)`.
    """
    rng = np.random.default_rng([seed, cards])
    deck = household_number(seed, "deck", cards)
    table_number = household_number(seed, "table", cards)
    light_angle = rng.uniform(0, 2 * np.pi)
    light = np.array([np.cos(light_angle), np.sin(light_angle)])
    slips = draw_slips(rng, cards, card)
    table = cloth(np.random.default_rng([seed, 0, table_number]))
    table = light_table(rng, table, slips.shifts, card, light)
    deck_rng = np.random.default_rng([seed, 1, deck])
    paper = paper_colour(deck_rng)
    tint_rng = np.random.default_rng([seed, 3, cards])
    # The order of the fields is the order of the draws.
    return Scene(
        cards=cards,
        card=tuple(card),
        table=table,
        back=back(deck_rng, paper, card),
        shifts=slips.shifts,
        turns=slips.turns,
        bend=draw_bend(np.random.default_rng([seed, 2, deck]), card),
        edge_colours=edge_colours(rng, tint_rng, paper, table, cards, card),
        light=light,
        ambient=rng.uniform(*ranges.AMBIENT),
        overhang_shade=rng.uniform(*ranges.OVERHANG_SHADE),
        glare=rng.choice([0.0, rng.uniform(*ranges.GLARE)]),
        glare_at=_mirrored_lamp(rng, light),
        aperture=rng.uniform(*ranges.APERTURE),
        shutter=rng.uniform(*ranges.SHUTTER),
        noise=sensor_noise(rng, width, height),
        tone=channel_gains(rng, frames),
        gamma=rng.uniform(*ranges.GAMMA),
        cameras=walk_round(rng, frames, cards, card, focal, width, height),
    )


def household_number(seed: int, item: Literal["deck", "table"], cards: int) -> int:
    """Return the number, 0 to 12, of the deck or the table in the scene of `cards` cards.

    Packets of 1 to 13 cards get the 13 decks in random order, so do those of 14 to 26, and so on;
    tables likewise. So each deck and each table occurs with thin and thick packets, and a network
    cannot infer the count from them.
    """
    block, place = divmod(cards - 1, _HOUSEHOLD)
    stream = {"deck": 4, "table": 5}[item]
    return int(np.random.default_rng([seed, stream, block]).permutation(_HOUSEHOLD)[place])


def _mirrored_lamp(
    rng: np.random.Generator, light: Float[np.ndarray, "2"]
) -> Float[np.ndarray, "3"]:
    """Draw the place in mm of the lamp's mirror image below the table."""
    along = light * rng.uniform(*ranges.LAMP_DISTANCE)
    return np.append(along, -rng.uniform(*ranges.LAMP_HEIGHT))
