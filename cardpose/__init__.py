"""Find the eight corners of a packet of playing cards in a picture, and count its cards.

import cardpose

predictor = cardpose.load("models/cardpose.onnx")
result = predictor.predict(cv2.imread("photo.jpg"))
print(result.cards, result.keypoints[result.visible])
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cardpose.inference.predictor import load

__all__ = ["__version__", "load"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import `load` on first use: it needs SciPy and OpenCV, which take a second to import."""
    if name == "load":
        from cardpose.inference.predictor import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
