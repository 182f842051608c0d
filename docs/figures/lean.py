"""Draw how a lean looks like another thickness in one picture, and how a second picture helps.

    python -m docs.figures.lean

Three packets are rendered from two opposite sides: one stands upright, one of as many cards leans,
and one is upright and thicker. From one side, the last two look alike.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import UInt8
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Polygon

from cardpose.geometry.card import CARD
from cardpose.rendering.scenes import Scene
from docs.figures.packets import render, straight_packet, view
from docs.figures.style import COUNT, DPI, FACE_COLOUR, FAINT, GROUND, PICTURES, TEXT

TARGET = PICTURES / "lean.jpg"
CARDS, LOOKS_LIKE = 30, 37
ELEVATION = 33.0  # of the camera, in degrees
_SEED = 11
_SIZE = 520, 250  # of each rendered picture, in pixels
_DISTANCE, _BEHIND, _FRONT = 250.0, 90.0, -90.0  # mm; degrees round the packet
_WIDTH, _HEIGHT = 1660, 850  # of the figure, in pixels


def lean_that_adds(cards: float, elevation: float) -> float:
    """Return the lean in mm that makes a packet look thicker by a number of cards.

    A face that lies nearer to the camera than the back is seen lower in the picture. The side then
    looks as high as that of an upright packet that is thicker by the lean times the tangent of the
    camera's elevation. Seen from the opposite side, it looks thinner by as much.

    Args:
        elevation: of the camera, in degrees.
    """
    return float(cards * CARD[2] / np.tan(np.radians(elevation)))


LEAN = lean_that_adds(LOOKS_LIKE - CARDS, ELEVATION)
# Title, number of cards, lean in mm, and the count that each side's height suggests.
PACKETS = (
    (f"{CARDS} cards, upright", CARDS, 0.0, (CARDS, CARDS)),
    (f"{CARDS} cards, leaning by {LEAN:.1f} mm", CARDS, LEAN, (LOOKS_LIKE, 2 * CARDS - LOOKS_LIKE)),
    (f"{LOOKS_LIKE} cards, upright", LOOKS_LIKE, 0.0, (LOOKS_LIKE, LOOKS_LIKE)),
)


def packet(cards: int, lean: float) -> Scene:
    """Return a packet of the same deck on the same table for every count and lean."""
    scene, usual = straight_packet(_SEED, cards, (0.0, -lean)), straight_packet(_SEED, CARDS)
    names = ("table", "back", "light", "ambient", "overhang_shade", "aperture", "gamma")
    shared = {name: getattr(usual, name) for name in names}
    colours = np.resize(usual.edge_colours, (cards, 3))
    return replace(scene, **shared, edge_colours=colours)


def draw_profile(axes: Axes, cards: int, lean: float) -> None:
    """Draw the packet from the side, in mm, with the directions of both cameras."""
    half, high = CARD[1] / 2, cards * CARD[2]
    corners = [(-half - lean, 0), (half - lean, 0), (half, high), (-half, high)]
    axes.add_patch(Polygon(corners, closed=True, facecolor="#d9d4d6", edgecolor=TEXT, linewidth=1))
    axes.plot([-75, 75], [0, 0], color=FAINT, linewidth=1)
    along = 22 * np.array([np.cos(np.radians(ELEVATION)), np.sin(np.radians(ELEVATION))])
    for sign, colour in ((-1, COUNT), (1, FACE_COLOUR)):
        end = np.array([sign * (half + 3), high / 2 + 3])
        start = end + along * [sign, 1]
        arrow = {"arrowstyle": "->", "color": colour, "linewidth": 2}
        axes.annotate("", tuple(end), tuple(start), arrowprops=arrow)
    axes.set(xlim=(-72, 72), ylim=(-4, 30), aspect="equal")
    axes.set_axis_off()


def picture(cards: int, lean: float, azimuth: float) -> UInt8[np.ndarray, "h w 3"]:
    """Render a packet from one side, in RGB."""
    scene = packet(cards, lean)
    return render(scene, view(scene, azimuth, ELEVATION, _DISTANCE, _SIZE))[0]


def main() -> None:
    figure = plt.figure(figsize=(_WIDTH / DPI, _HEIGHT / DPI), dpi=DPI, facecolor=GROUND)
    for column, (title, cards, lean, counts) in enumerate(PACKETS):
        left = (25 + 545 * column) / _WIDTH
        size = _SIZE[0] / _WIDTH, _SIZE[1] / _HEIGHT
        middle = left + size[0] / 2
        figure.text(middle, 0.945, title, color=TEXT, fontsize=14, weight="bold", ha="center")
        draw_profile(figure.add_axes((left, 0.77, size[0], 0.16)), cards, lean)
        for row, azimuth in enumerate((_FRONT, _BEHIND)):
            bottom = (385 - 340 * row + 20) / _HEIGHT
            axes = figure.add_axes((left, bottom, *size))
            axes.imshow(picture(cards, lean, azimuth), aspect="auto")
            axes.set_axis_off()
            text = f"looks like {counts[row]} cards"
            colour = (COUNT, FACE_COLOUR)[row]
            figure.text(middle, bottom - 0.05, text, color=colour, fontsize=14, ha="center")
    figure.savefig(TARGET, facecolor=GROUND, pil_kwargs={"quality": 85})
    plt.close(figure)


if __name__ == "__main__":
    main()
