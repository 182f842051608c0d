"""Prior knowledge of the box: how exactly keypoints are seen, how packets lean, twist and differ.

Every number is one standard deviation of a normal distribution around "straight", "flat" or "as
thick as its cards". A fit adds one residual per prior: the deviation, divided by this number.
"""

from dataclasses import dataclass
from typing import Any

ZOOM_SPREAD = 0.03  # relative deviation of a phone's focal length from the usual one; estimated


@dataclass(frozen=True)
class BoxPriors:
    """Prior knowledge that one kind of fit uses.

    Attributes:
        blur: error of a keypoint as a share of the picture's side that focal lengths refer to.
        lean, lean_per_mm: lean along each edge, in mm, and what each mm of thickness adds to it.
        twist: height by which a card's corners rise and fall, in mm. Cards are seldom flat.
        unevenness, unevenness_per_mm: deviation of a packet's thickness from that of its cards,
            in mm, and what each mm of thickness adds to it.
    """

    blur: float
    lean: float
    lean_per_mm: float
    twist: float
    unevenness: float
    unevenness_per_mm: float

    def lean_of(self, thickness: Any) -> Any:
        """Return the usual lean in mm of packets of a thickness in mm, a number or an array."""
        return self.lean + self.lean_per_mm * thickness

    def unevenness_of(self, thickness: Any) -> Any:
        """Return the usual deviation in mm of packets from a nominal thickness in mm."""
        return self.unevenness + self.unevenness_per_mm * thickness


# Of one picture's fit (`box_fit.BoxFitter`) and of simulated packets (`training.simulation`). One
# picture hardly tells lean from thickness, so that the prior has to hold the lean. The blur is the
# network's error in picture widths, 1.5 pixels of 640.
PICTURE_PRIORS = BoxPriors(
    blur=1.5 / 640,
    lean=0.3,
    lean_per_mm=0.06,
    twist=1.0,
    unevenness=0.03,
    unevenness_per_mm=0.01,
)

# Of the fit of all frames of a recording (`bundle.fit_box`) and of its labels
# (`checking.label_fit`). Frames from several sides tell lean from thickness, so that the prior may
# be weak. The blur, 2 pixels of 640 along the longer side, covers a packet that is no perfect box.
# Measured on the 49 recordings of the public set: a lean of 1 to 3 mm, whatever the thickness.
RECORDING_PRIORS = BoxPriors(
    blur=1 / 320,
    lean=2.0,
    lean_per_mm=0.0,
    twist=1.0,
    unevenness=0.05,
    unevenness_per_mm=0.05,
)
