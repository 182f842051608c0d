"""Draw a rendered packet with the names of its eight corners.

python -m docs.figures.corners
"""

import numpy as np
from jaxtyping import Bool, Float
from matplotlib import patheffects
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from cardpose.geometry.keypoints import BACK, EDGES, KEYPOINTS
from docs.figures.packets import render, straight_packet, view
from docs.figures.style import BACK_COLOUR, FACE_COLOUR, PICTURES, TEXT, full_figure

TARGET = PICTURES / "corners.jpg"
_SEED, _CARDS = 11, 40
_SIZE = 1660, 1000  # pixels of the picture, shown at half the size
# Places of the names, in pixels from their corners.
PLACES = {
    "upper_left_face": (-350, -10),
    "upper_right_face": (190, 60),
    "upper_left_back": (-230, -60),
    "upper_right_back": (190, -70),
    "lower_left_face": (-170, 120),
    "lower_right_face": (-20, 95),
    "lower_left_back": (-230, -60),
    "lower_right_back": (240, 20),
}


def draw_names(
    axes: Axes, points: Float[np.ndarray, "8 2"], visible: Bool[np.ndarray, "8"]
) -> None:
    """Draw edges, corners and their names; hidden ones are dashed."""
    for a, b in EDGES:
        seen = bool(visible[a] and visible[b])
        style = "-" if seen else (0, (4, 4))
        axes.plot(*points[[a, b]].T, color="white", linewidth=1.6, alpha=0.9, linestyle=style)
    for name, point, is_visible, is_back in zip(KEYPOINTS, points, visible, BACK, strict=True):
        colour = BACK_COLOUR if is_back else FACE_COLOUR
        text = name.replace("_", " ") + ("" if is_visible else "\n(hidden)")
        axes.plot(
            *point,
            "o",
            color=colour if is_visible else "none",
            markeredgecolor=colour,
            markersize=9,
            markeredgewidth=2,
        )
        axes.annotate(
            text,
            point,
            point + PLACES[name],
            color=colour,
            fontsize=13,
            weight="bold",
            ha="center",
            va="center",
            arrowprops={"arrowstyle": "-", "color": colour, "shrinkB": 7, "linewidth": 1.2},
            path_effects=[patheffects.withStroke(linewidth=4, foreground="#00000090")],
        )


def main() -> None:
    scene = straight_packet(_SEED, _CARDS)
    picture, renderer = render(scene, view(scene, -64, 28, 310, _SIZE))
    points, visible = renderer.keypoints(0)
    figure, axes = full_figure(picture)
    draw_names(axes, points, visible)
    lines = (
        ("back: the card on top", BACK_COLOUR),
        ("face: the card on the table", FACE_COLOUR),
        ("upper: the short edge that is", TEXT),
        ("higher in the picture", TEXT),
    )
    for i, (text, colour) in enumerate(lines):
        axes.text(1130, 815 + 46 * i, text, color=colour, fontsize=13, weight="bold")
    figure.savefig(TARGET, pil_kwargs={"quality": 85})
    plt.close(figure)


if __name__ == "__main__":
    main()
