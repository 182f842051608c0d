"""Colours, folders and small helpers that the figures share."""

from pathlib import Path

import cv2
import matplotlib
import numpy as np
from jaxtyping import UInt8
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

matplotlib.use("Agg")
matplotlib.rcParams["svg.hashsalt"] = "cardpose"

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs/pictures"
# Colours of the figures. They have a background of their own, so both themes of GitHub suit them.
GROUND, TEXT, FAINT = "#16181d", "#f2f3f5", "#9aa1ab"
COUNT, TRUTH, WRONG = "#4cc38a", "#ffbe0b", "#ff8f8f"
BACK_COLOUR, FACE_COLOUR = "#50dc50", "#ffbe00"  # as `pictures.drawing` has them
DPI = 144


def write_jpeg(path: Path, picture: UInt8[np.ndarray, "h w 3"], quality: int = 88) -> None:
    """Write a BGR picture as JPEG."""
    path.write_bytes(
        cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    )


def full_figure(picture: UInt8[np.ndarray, "h w 3"]) -> tuple[Figure, Axes]:
    """Return a figure that an RGB picture fills, and its axes in pixels of the picture."""
    height, width = picture.shape[:2]
    figure = plt.figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(picture, extent=(0, width, height, 0), aspect="auto")
    axes.set_axis_off()
    return figure, axes
