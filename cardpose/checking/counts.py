"""Compare the counts in videos.csv with the thickness of the fitted boxes."""

import numpy as np
from scipy.stats import theilslopes

from cardpose.checking.findings import INFO, Finding

# Standard deviations by which a count may contradict its box; a deck's cards are as thick as the
# other recordings say, or, where there are few, as `card` says to within a tenth.
_COUNT = 4.0
_DECKS = 0.1
_FEW = 6  # recordings
_SURE, _SEVERAL = 0.05, 3  # share of a packet's thickness, and recordings, to judge the deck by
_UNEVEN = 0.75  # cards, at least, by which packets of a count differ: cards bend, air lies between


def count_findings(thick, card):
    """Counts that the thickness of their recordings' boxes contradicts.

    Args:
        thick: list of (recording, thickness in mm, how far off that may be in mm).
        card: the usual thickness of a card in mm.
    """
    if not thick:
        return []
    count = np.array([recording.cards for recording, *_ in thick], float)
    thickness, error = (np.array([row[k] for row in thick]) for k in (1, 2))
    each, none, uneven = card, 0.0, None
    if len(thick) >= _FEW and np.ptp(count):
        slope, start, *_ = theilslopes(thickness, count)
        if 0.5 < slope / card < 2:
            each, none = slope, start
            off = (thickness - none) / each - count
            uneven = max(_UNEVEN, 1.4826 * np.median(abs(off - np.median(off))))
    cards = (thickness - none) / each
    if uneven is None:
        uneven = np.hypot(_UNEVEN, _DECKS * cards)
    far = abs(cards - count) / np.hypot(uneven, error / each)
    return [
        Finding(
            recording.name,
            None,
            f"looks like {max(seen, 0):.0f} cards, videos.csv says {recording.cards}",
            off=abs(seen - recording.cards),
            unit="cards",
            worse=10 + by,
        )
        for (recording, *_), seen, by in zip(thick, cards, far, strict=True)
        if by > _COUNT
    ]


def deck_findings(thick, card):
    """Whether the cards are as thick as `card` says in mm; `thick` is as in `_counts`."""
    plain = [
        thickness / recording.cards
        for recording, thickness, error in thick
        if error < _SURE * card * recording.cards
    ]
    seen = np.median(plain) if plain else card
    if len(plain) < _SEVERAL or abs(seen / card - 1) <= _DECKS:
        return []
    what = f"cards look {seen:.2f} mm thick, geometry.card in params.yaml says {card:.2f}"
    return [Finding("", None, what, level=INFO)]
