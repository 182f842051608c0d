"""Draw from where to film a packet, and from where not.

python -m docs.figures.filming
"""

from typing import NamedTuple

from matplotlib import pyplot as plt

from docs.figures.packets import render, straight_packet, view
from docs.figures.style import COUNT, DPI, GROUND, PICTURES, WRONG

TARGET = PICTURES / "filming.jpg"
_SEED, _CARDS = 8, 35
_COLUMNS, _SIZE = 4, (400, 300)  # pixels of a picture
_GAP, _CAPTION = 12, 44  # pixels


class Shot(NamedTuple):
    """A picture: its caption, and the camera as `packets.view` takes it."""

    caption: str
    good: bool
    azimuth: float
    elevation: float
    distance: float
    aim: tuple[float, float] = (0.5, 0.5)


SHOTS = (
    Shot("from the front", True, -70, 33, 270),
    Shot("from the right", True, 20, 28, 270),
    Shot("from behind", True, 110, 38, 270),
    Shot("from the left", True, 200, 25, 260),
    Shot("from above: no sides", False, -70, 84, 330),
    Shot("too flat", False, -60, 7, 330),
    Shot("too far away", False, -60, 30, 1100),
    Shot("cut off", False, -60, 33, 300, (0.86, 0.62)),
)


def main() -> None:
    scene = straight_packet(_SEED, _CARDS)
    rows = -(-len(SHOTS) // _COLUMNS)
    width = _COLUMNS * (_SIZE[0] + _GAP) + _GAP
    height = rows * (_SIZE[1] + _CAPTION) + _GAP
    figure = plt.figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=GROUND)
    for i, shot in enumerate(SHOTS):
        row, column = divmod(i, _COLUMNS)
        left = _GAP + column * (_SIZE[0] + _GAP)
        bottom = height - _GAP - row * (_SIZE[1] + _CAPTION) - _SIZE[1]
        axes = figure.add_axes((left / width, bottom / height, _SIZE[0] / width, _SIZE[1] / height))
        camera = view(scene, shot.azimuth, shot.elevation, shot.distance, _SIZE, shot.aim)
        axes.imshow(render(scene, camera)[0], aspect="auto")
        axes.set_axis_off()
        mark, colour = ("✓", COUNT) if shot.good else ("✗", WRONG)
        place = (left + _SIZE[0] / 2) / width, (bottom - 32) / height
        figure.text(*place, f"{mark} {shot.caption}", color=colour, fontsize=11.5, ha="center")
    figure.savefig(TARGET, facecolor=GROUND, pil_kwargs={"quality": 85})
    plt.close(figure)


if __name__ == "__main__":
    main()
