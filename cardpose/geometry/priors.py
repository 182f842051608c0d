"""Priors of the box: error of keypoints, and lean, twist and unevenness of packets.

Every number of `BoxPriors` is the standard deviation of a normal distribution. The mean is a flat
packet as thick as its cards. `LEAN_PRIOR` is the distribution of leans: rendered and simulated
packets are drawn from it, and both kinds of fit take its standard deviation.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

ZOOM_SPREAD = 0.03  # relative standard deviation of phones' focal lengths; estimated


@dataclass(frozen=True)
class BoxPriors:
    """Priors for one kind of fit.

    Attributes:
        blur: error of a keypoint, as a fraction of the picture's width or longer side.
        twist: height by which corners of a card rise or fall, in mm. Cards are seldom flat.
        unevenness: error of a packet's thickness at zero thickness, in mm.
        unevenness_per_mm: increase of this error per mm of thickness.
    """

    blur: float
    twist: float
    unevenness: float
    unevenness_per_mm: float

    def unevenness_of(self, thickness: Any) -> Any:
        """Return the prior on the error of a thickness, a number or an array, both in mm."""
        return self.unevenness + self.unevenness_per_mm * thickness


@dataclass(frozen=True)
class LeanPrior:
    """Distribution of a packet's lean along each edge: Student's t, times a scale in mm.

    Attributes:
        degrees_of_freedom: of the t distribution, more than 2. Few of them give it heavy tails.
        scale: scale at zero thickness, in mm.
        scale_per_mm: increase of the scale per mm of thickness.
    """

    degrees_of_freedom: float
    scale: float
    scale_per_mm: float

    def scale_of(self, thickness: Any) -> Any:
        """Return the scale for a thickness, a number or an array, both in mm."""
        return self.scale + self.scale_per_mm * thickness

    def deviation_of(self, thickness: Any) -> Any:
        """Return the standard deviation for a thickness, a number or an array, both in mm."""
        nu = self.degrees_of_freedom
        return self.scale_of(thickness) * np.sqrt(nu / (nu - 2))

    def draw(self, rng: np.random.Generator, thickness: float | int) -> Float64[np.ndarray, "2"]:
        """Draw the lean of a packet along the short and the long edge, in mm."""
        return self.scale_of(thickness) * rng.standard_t(self.degrees_of_freedom, 2)


# Fitted by maximum likelihood to the labels of 33 real recordings. More degrees of freedom fit them
# a little better, but leave out the packets that lean by half of their thickness.
LEAN_PRIOR = LeanPrior(degrees_of_freedom=6.0, scale=0.4, scale_per_mm=0.07)

# For the fit to one picture (`box_fit.BoxFitter`) and for simulated packets
# (`training.simulation`). The blur is the network's error: 1.5 pixels in a picture 640 pixels wide.
PICTURE_PRIORS = BoxPriors(
    blur=1.5 / 640,
    twist=1.0,
    unevenness=0.03,
    unevenness_per_mm=0.01,
)

# mm; error of each number of a box that other pictures of the packet show, where it guides a fit.
SHARED_SPREAD = 0.3

# For the box that all frames of a recording share (`shared_box`) and for its pose in each of them
# (`pose_fit`). The blur is 2 pixels in a longer side of 640. It covers packets that are not perfect
# boxes.
RECORDING_PRIORS = BoxPriors(
    blur=1 / 320,
    twist=1.0,
    unevenness=0.05,
    unevenness_per_mm=0.05,
)
