"""Find the eight corners of a packet of playing cards in a picture, and count its cards.

import cardpose

result = cardpose.load().predict("photo.jpg")
print(result)  # Result(24.3 cards, 21.9 to 26.7, 7 of 8 corners)
print(result.corners["upper_left_back"])  # x and y in pixels, NaN if it cannot be seen
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cardpose.inference.predictor import load

__all__ = ["__version__", "load"]
__version__ = "0.1.0"
# OpenCV reads this when it is imported. It allocates 3 bytes per pixel before it decodes.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**28))


def __getattr__(name: str) -> Any:
    """Import `load` on first use: it needs NumPy and OpenCV, which take half a second to import."""
    if name == "load":
        from cardpose.inference.predictor import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
