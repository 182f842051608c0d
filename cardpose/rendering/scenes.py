"""What a rendered recording shows: a cloth, a light, a deck, a packet, a camera's walk round it.

Everything random is drawn from a seed, which fixes a scene to the last bit.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from cardpose.geometry.card import CARD, CORNER_RADIUS, FOCAL, card_outline
from cardpose.rendering.camera_path import walk_round, wander
from cardpose.rendering.textures import card_size, draw_back, draw_cloth

# What is drawn keeps its number of pixels, however large the cards are: all scales are of the
# usual deck, see `Scene.size`.
TABLE_SCALE = 2.0  # cloth pixels a mm
HOUSEHOLD = 13  # decks, and cloths
DECK = 52
WIDTH, HEIGHT = 640, 480


@dataclass(frozen=True)
class Scene:
    """A packet on a table, and how it is filmed. Colours are BGR, 0 to 255."""

    cards: int
    card: tuple  # width, length and thickness of one in mm
    table: np.ndarray  # (n, n, 3) uint8 at TABLE_SCALE, light and shadow included
    back: np.ndarray  # (h, w, 3) uint8 at BACK_SCALE
    offsets: np.ndarray  # (cards, 2) mm, how far each card has slipped from the middle
    bend: tuple  # see `rise`
    edge_colours: np.ndarray  # (cards, 3) the long thin edges of the cards
    light: np.ndarray  # (2,) unit vector towards the light, along the table
    ambient: float  # how bright a side is that faces away from the light, 0 to 1
    glare: float  # strength of the light's reflection in the back, 0 to 1
    glare_at: np.ndarray  # (3,) mm, the light's mirror image below the table
    aperture: float  # blur in pixels of a thing infinitely far away
    shutter: float  # fraction of the time between two frames that the shutter is open
    noise: np.ndarray  # (h, w, 3) int16, larger than a frame
    tone: np.ndarray  # (frames, 3) gain of each channel
    gamma: float
    cameras: list  # one Camera a frame

    @property
    def size(self):
        """How many times as large as usual everything is, since the cards are."""
        return card_size(self.card)

    @property
    def thickness(self):
        """Of the packet, in mm."""
        return self.cards * self.card[2]


def rise(bend, card, x, y):
    """How high a bent card lies above the lowest of its corners and edges, in mm.

    Cards that are shuffled and dealt bend, and all of a deck alike: two corners that face each
    other across the card rise and the others fall, and its middle rises or falls.

    Args:
        bend: mm by which the corners are twisted up and down, by which long edges are higher in
            their middle than at their ends, and by which short ones are.
        card: its width, length and thickness in mm.
        x, y: places on the card in mm from its middle, arrays of one shape.
    """

    def surface(u, v):  # -1 to 1 from edge to edge
        twist, along, across = bend
        return twist * u * v + along * (1 - v * v) + across * (1 - u * u)

    edge = np.linspace(-1, 1, 201)
    lowest = [surface(a, b).min() for side in (-1, 1) for a, b in ((edge, side), (side, edge))]
    return surface(2 * x / card[0], 2 * y / card[1]) - min(*lowest, surface(0, 0))


def random_scene(
    seed, cards, frames, width=640, height=480, card=CARD, focal=FOCAL, cloth=None, back=None
):
    """The scene of one recording of `cards` cards, `frames` frames long.

    Another deck and another camera get other distances, so that packets fill the picture alike.

    There are HOUSEHOLD decks and as many cloths, and they meet in ever new pairs, so that every
    deck and every cloth is seen with thin and with thick packets: a network that knew each by
    sight would have learnt nothing about its count.

    Args:
        card: (width, length, thickness) of a card in mm.
        focal: the camera's focal length, as a share of the picture's longer side, about.
        cloth, back: draw a table and a card's back, as `draw_cloth` and `draw_back` do, which they
            take the place of.
    """
    rng = np.random.default_rng([seed, cards])
    deck = cards % HOUSEHOLD
    table = (5 * cards + 3 * (cards // HOUSEHOLD)) % HOUSEHOLD
    light_angle = rng.uniform(0, 2 * np.pi)
    light = np.array([np.cos(light_angle), np.sin(light_angle)])
    offsets = _stacking(rng, cards)
    table = (cloth or draw_cloth)(np.random.default_rng([seed, 0, table]))
    table = _lit(rng, table, cards, card, light)
    deck_rng = np.random.default_rng([seed, 1, deck])
    paper = np.array([1.0, 1.0, 1.0]) * deck_rng.uniform(205, 245)
    paper -= [deck_rng.uniform(0, 40), 8, 0]
    bend = _bend(np.random.default_rng([seed, 2, deck]), card)
    near_rng = np.random.default_rng([seed, 3, cards])
    edges = paper * rng.uniform(0.75, 1.0)
    # Light catches some cards and not others; every few cards a gap shows as a dark line.
    shade = rng.normal(1, rng.uniform(0.02, 0.06), cards)
    shade[rng.random(cards) < 0.08] *= rng.uniform(0.75, 0.95)
    # Near the table there is less light, more of it has the table's colour, and felt is fuzzy.
    level = np.arange(cards)[:, None] * card[2] / card_size(card)
    near = near_rng.uniform(0, 0.8) * np.exp(-level / np.exp(near_rng.uniform(-2, 1.5)))
    foot = table[::16, ::16].mean(axis=(0, 1)) * near_rng.uniform(0.3, 1)
    edges = edges * shade[:, None] * (1 - near) + foot * near
    return Scene(
        cards=cards,
        card=tuple(card),
        table=table,
        back=(back or draw_back)(deck_rng, paper, card),
        offsets=offsets,
        bend=bend,
        edge_colours=np.clip(edges, 30, 255),
        light=light,
        ambient=rng.uniform(0.5, 0.85),
        glare=rng.choice([0.0, rng.uniform(0.1, 0.8)]),
        glare_at=np.append(light * rng.uniform(100, 500), -rng.uniform(250, 700)),
        aperture=rng.uniform(0, 14),
        shutter=rng.uniform(0.1, 0.5),
        noise=_noise(rng, width, height),
        tone=_tone(rng, frames),
        gamma=rng.uniform(0.8, 1.25),
        cameras=walk_round(rng, frames, cards, card, focal, width, height),
    )


def _stacking(rng, cards):
    """(cards, 2) mm: a few blocks slipped against each other, each card a little besides."""
    slip = rng.normal(0, rng.uniform(0.03, 0.15), (cards, 2))
    cuts = rng.random(cards) < rng.uniform(0, 0.12)
    slip += np.cumsum(cuts[:, None] * rng.normal(0, rng.uniform(0.2, 0.8), (cards, 2)), axis=0)
    lean = rng.normal(0, 0.01, 2)  # mm a card: a packet pushed askew
    slip += lean * np.arange(cards)[:, None]
    return np.clip(slip - slip.mean(axis=0), -2, 2)


def _bend(rng, card):
    """What `rise` takes: some decks are new and flat, most are not."""
    if rng.random() < 0.25:
        return 0.0, 0.0, 0.0
    # Real cards that were measured are twisted by 1 mm, their long edges bowed by a third of it.
    bend = rng.normal([0, 0.2, 0], [0.8, 0.3, 0.15]) * card_size(card)
    return tuple(bend.tolist())


def _lit(rng, table, cards, card, light):
    """The cloth under its light: a bright side, the packet's soft shadow, the dark at its foot."""
    size, scale = len(table), TABLE_SCALE / card_size(card)
    x, y = np.meshgrid(*[(np.arange(256, dtype=np.float32) - 128) / 128] * 2)
    slope = rng.uniform(0, 0.35)
    bright = 1 + slope * (x * light[0] + y * light[1]) - rng.uniform(0, 0.3) * (x**2 + y**2)
    shine = cv2.resize(bright.astype(np.float32), (size, size))
    middle, outline = size / 2, card_outline(width=card[0], length=card[1]) * scale
    reach = cards * card[2] * rng.uniform(0.4, 2.0) * scale
    dark = np.zeros((size, size), np.float32)
    # The shadow of a box: its outline swept from its foot to where its top's shadow falls.
    swept = np.concatenate([outline, outline - light * reach]) + middle
    cv2.fillConvexPoly(dark, cv2.convexHull(np.round(swept * 16).astype(np.int32)), 1.0, 16, 4)
    soft = cv2.GaussianBlur(dark, (0, 0), 1 + reach * rng.uniform(0.15, 0.6))
    foot = cv2.GaussianBlur(dark, (0, 0), scale * rng.uniform(0.6, 2.5))
    shade = 1 - rng.uniform(0.25, 0.7) * np.maximum(soft, rng.uniform(0.3, 1) * foot)
    return np.clip(table * (shine * shade)[..., None], 0, 255).astype(np.uint8)


def _noise(rng, width, height):
    """(height + 64, width + 64, 3) int16 sensor noise, a little smoothed as cameras do."""
    grain = rng.standard_normal((height + 64, width + 64, 3), dtype=np.float32)
    smooth = cv2.GaussianBlur(grain, (0, 0), rng.uniform(0.3, 0.9))
    return np.round(smooth / smooth.std() * rng.uniform(0.5, 6)).astype(np.int16)


def _tone(rng, frames):
    """(frames, 3) channel gains: the exposure and the white balance drift."""
    exposure = wander(rng, frames, 0.75, 1.2, pace=150)
    balance = rng.uniform(0.88, 1.12, 3)
    drift = np.stack([wander(rng, frames, 0.97, 1.03, pace=150) for _ in range(3)], axis=1)
    return exposure[:, None] * balance * drift


def corner_radius_mask(scale, width, length):
    """(h, w) uint8 coverage of a card with rounded corners at `scale` pixels a mm."""
    h, w = round(length * scale), round(width * scale)
    x = abs(np.arange(w) + 0.5 - w / 2) / scale - (width / 2 - CORNER_RADIUS)
    y = abs(np.arange(h) + 0.5 - h / 2) / scale - (length / 2 - CORNER_RADIUS)
    corner = np.hypot(np.maximum(x[None], 0), np.maximum(y[:, None], 0))
    return np.round(np.clip((CORNER_RADIUS - corner) * scale + 0.5, 0, 1) * 255).astype(np.uint8)
