"""Predictions for one picture and for a recording."""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Shaped

from cardpose.common.errors import InputError
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.geometry.sweep import Contribution
from cardpose.inference.picture_like import Picture, PictureLike, photograph
from cardpose.pictures.drawing import draw_count, draw_packet

_NARROW = 1.0  # cards; a narrower interval holds one whole number
_ROUND = 0.7  # share of the circle from which going round adds little
SURE = 0.5  # threshold for the confidence of a packet and the visibility of a keypoint


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """Prediction for one picture.

    Attributes:
        cards: count in cards, not rounded.
        low: lower end of the count's 90 % interval in cards; NaN if the network has no margins.
        high: upper end of the interval.
        keypoints: x and y of the eight keypoints, hidden ones included, in pixels of the picture
            and in the order of `keypoints.KEYPOINTS`. x runs right, y runs down; (0, 0) is the
            outer corner of the top-left pixel.
        visibility: probability that each keypoint is visible, 0 to 1.
        confidence: the network's confidence that the picture shows a packet, 0 to 1.
        width: width of the picture in pixels.
        height: height of the picture in pixels.
        box_order: index in `keypoints` of each keypoint of the fitted box.
        contribution: what the picture says of the box, for the count of a recording; None if it
            shows too few keypoints.
    """

    cards: float
    low: float
    high: float
    keypoints: Float32[np.ndarray, "8 2"]
    visibility: Float32[np.ndarray, " 8"]
    confidence: float
    width: int
    height: int
    box_order: Shaped[np.ndarray, " 8"]  # not Int64: ONNX Runtime returns `long long`
    contribution: Contribution | None

    @property
    def visible(self) -> Bool[np.ndarray, " 8"]:
        """Whether each keypoint is visible."""
        return self.visibility > SURE

    @property
    def corners(self) -> dict[str, tuple[float, float]]:
        """x and y of each keypoint by its name, in pixels; NaN for those that cannot be seen."""
        seen = self.visible & self.packet
        places = np.where(seen[:, None], self.keypoints, np.nan).tolist()
        return {name: (x, y) for name, (x, y) in zip(KEYPOINTS, places, strict=True)}

    def scaled(self, size: tuple[int, int]) -> "Result":
        """Return the prediction for the same picture of another size.

        Args:
            size: width and height in pixels.
        """
        width, height = size
        scale = np.array([width / self.width, height / self.height], np.float32)
        return replace(self, keypoints=self.keypoints * scale, width=width, height=height)

    @property
    def packet(self) -> bool:
        """Whether the picture shows a packet. If not, ignore the other attributes."""
        return self.confidence >= SURE

    @property
    def interval_text(self) -> str:
        """90 % interval, such as "28.0 to 48.5", or "" if the network has no margins."""
        return _interval_text(self.low, self.high)

    def __repr__(self) -> str:
        words = [
            f"{self.cards:.1f} cards",
            self.interval_text,
            f"{self.visible.sum()} of 8 corners",
        ]
        return f"Result({', '.join(filter(None, words)) if self.packet else 'no packet'})"

    def draw(
        self, picture: PictureLike, rgb: bool = False, recording: "RecordingCount | None" = None
    ) -> Picture:
        """Return a copy of the picture with corners, edges, count and interval drawn into it.

        The copy of a large file is reduced, as `read_photograph` reads it.

        Args:
            picture: picture that was predicted, as in `Predictor.predict`.
            rgb: whether the channels of the copy, and those of an array, are in the order red,
                green, blue.
            recording: count to draw instead of the picture's own: that of its recording so far.

        Raises:
            InputError: `picture` is none, or has another size than the one that was predicted.
        """
        photo = photograph(picture, rgb)
        if photo.size != (self.width, self.height):
            raise InputError(
                f"the picture should have {self.width} x {self.height} pixels, like the predicted"
                f" one (got {photo.size[0]} x {photo.size[1]})"
            )
        drawn = photo.pixels.copy()
        if self.packet:
            count = recording or self
            interval = count.interval_text
            draw_count(drawn, f"{count.cards:.1f} cards", interval and f"90 %: {interval}")
            # Draw the packet last, because the background of the text would cover corners.
            keypoints = self.scaled(drawn.shape[1::-1]).keypoints
            draw_packet(drawn, keypoints, self.visible, self.box_order)
        else:
            draw_count(drawn, "no packet")
        return np.ascontiguousarray(drawn[..., ::-1]) if rgb else drawn


@dataclass(frozen=True)
class RecordingCount:
    """Count of a recording.

    Attributes:
        cards: count in cards, not rounded.
        low: lower end of the count's 90 % interval in cards; NaN if the network has no margins.
        high: upper end of the interval.
        frames: number of frames that show the packet.
        thickness: thickness of the packet in mm; NaN if no box fits.
        deviation: standard deviation of `thickness` in mm.
        lean: shift of the face against the back along the short and the long edge, in mm.
        twist: height by which corners of a card rise or fall, in mm.
        covered: share of the circle round the packet from which there are pictures, 0 to 1.
    """

    cards: float
    low: float
    high: float
    frames: int
    thickness: float = np.nan
    deviation: float = np.nan
    lean: tuple[float, float] = (np.nan, np.nan)
    twist: float = np.nan
    covered: float = 0.0

    @property
    def box(self) -> Float32[np.ndarray, "4"]:
        """Thickness, lean along the short and the long edge, twist, in mm; NaN if no box fits."""
        return np.array([self.thickness, *self.lean, self.twist], np.float32)

    @property
    def interval_text(self) -> str:
        """90 % interval, such as "28.0 to 30.5", or "" if the network has no margins."""
        return _interval_text(self.low, self.high)

    @property
    def advice(self) -> str:
        """How to film the packet for a surer count, or "" if the interval is narrow."""
        if self.high - self.low < _NARROW:
            return ""
        return "go round the packet" if self.covered < _ROUND else "come closer, from lower down"


def _interval_text(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"{low:.1f} to {high:.1f}"
