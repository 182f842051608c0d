"""Compare the counts in videos.csv with the thickness of the fitted boxes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import theilslopes

from cardpose.checking.findings import INFO, Finding

_WRONG_COUNT = 4.0  # standard deviations by which a wrong count differs from its box
# Relative tolerance of `card`, where there are too few recordings to measure how thick a card is.
# A deck that differs by more gets a remark.
_CARD_TOLERANCE = 0.1
_LEAST_RECORDINGS = 6  # recordings needed to fit a line of thickness against count
_LEAST_PRECISE = 3  # recordings needed to judge the deck
_PRECISE = 0.05  # largest error of a precise thickness, as a share of the packet's
# Least standard deviation, in cards, of the thickness of packets of one count: cards bend, and air
# lies between them.
_LEAST_UNEVENNESS = 0.75


class MeasuredPacket(NamedTuple):
    """Count of a recording, and the thickness of its box in mm.

    `error` is the standard deviation of `thickness` in mm.
    """

    recording: str
    cards: int
    thickness: float
    error: float


def count_findings(measured: Sequence[MeasuredPacket], card: float) -> list[Finding]:
    """Find counts that the thickness of their boxes contradicts.

    Args:
        card: usual thickness of a card in mm.
    """
    if not measured:
        return []
    count = np.array([packet.cards for packet in measured], float)
    thickness = np.array([packet.thickness for packet in measured])
    error = np.array([packet.error for packet in measured])
    per_card, offset, scatter = _cards_in_mm(count, thickness, card)
    cards = (thickness - offset) / per_card
    unevenness = (
        np.hypot(_LEAST_UNEVENNESS, _CARD_TOLERANCE * cards) if scatter is None else scatter
    )
    deviations = abs(cards - count) / np.hypot(unevenness, error / per_card)
    return [
        Finding(
            packet.recording,
            None,
            f"looks like {max(seen, 0):.0f} cards, videos.csv says {packet.cards}",
            off=abs(seen - packet.cards),
            unit="cards",
            certainty=10 + deviation,
        )
        for packet, seen, deviation in zip(measured, cards, deviations, strict=True)
        if deviation > _WRONG_COUNT
    ]


def deck_findings(measured: Sequence[MeasuredPacket], card: float) -> list[Finding]:
    """Remark on cards whose usual thickness differs from `card`, in mm."""
    thickness = [
        packet.thickness / packet.cards
        for packet in measured
        if packet.error < _PRECISE * card * packet.cards
    ]
    if len(thickness) < _LEAST_PRECISE:
        return []
    usual = np.median(thickness)
    if abs(usual / card - 1) <= _CARD_TOLERANCE:
        return []
    what = f"cards look {usual:.2f} mm thick, geometry.card in params.yaml says {card:.2f}"
    return [Finding("", None, what, level=INFO)]


def _cards_in_mm(
    count: Float[np.ndarray, " n"], thickness: Float[np.ndarray, " n"], card: float
) -> tuple[float, float, float | None]:
    """Fit thickness = per_card * count + offset, robustly, if there are enough recordings.

    Returns:
        per_card and offset in mm, and the usual deviation from that line in cards. `card`, 0 and
        None if there are too few recordings, or if the line is implausible.
    """
    if len(count) < _LEAST_RECORDINGS or not np.ptp(count):
        return card, 0.0, None
    per_card, offset, *_ = theilslopes(thickness, count)
    if not 0.5 < per_card / card < 2:
        return card, 0.0, None
    off = (thickness - offset) / per_card - count
    deviation = 1.4826 * np.median(abs(off - np.median(off)))  # standard, if normally distributed
    return float(per_card), float(offset), float(max(_LEAST_UNEVENNESS, deviation))
