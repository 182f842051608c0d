"""Count a recording from its pictures, as they arrive."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cardpose.geometry.recording_count import count_box
from cardpose.geometry.sweep import Sweep
from cardpose.inference.result import RecordingCount, Result
from cardpose.network.intervals import count_interval, recording_interval


class RecordingCounter:
    """Count of one packet, from pictures of it in any order. They may have different sizes.

    Memory grows by one number per picture.

    Args:
        metadata: of the network.
    """

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        self._metadata = metadata
        self._sweep = Sweep()
        self._cards: list[float] = []

    def add(self, result: Result) -> bool:
        """Add a picture; ignore one without a packet.

        Returns:
            whether the last pictures show another packet, or the packet was touched. The count has
            then begun again with them.
        """
        if not result.packet:
            return False
        self._cards.append(result.cards)
        changed = result.contribution is not None and self._sweep.add(result.contribution)
        if changed:
            self._cards = self._cards[-self._sweep.pictures :]
        return changed

    def count(self) -> RecordingCount | None:
        """Return the count so far, or None if no picture shows a packet.

        The count is that of the box if the network counts by `both`, see `recording_count`, else
        the median of the pictures' counts.
        """
        if not self._cards:
            return None
        box = self._sweep.estimate() if self._metadata["count"] == "both" else None
        if box is None:
            cards = float(np.median(self._cards))
            margins = self._metadata.get("margins")
            margin = margins and margins[self._metadata["count"]]
            low, high = count_interval(np.array([cards]), margin, self._metadata["deck"])
            return RecordingCount(cards, float(low[0]), float(high[0]), len(self._cards))
        counted = count_box(box, self._cards, self._metadata)
        low, high = recording_interval(counted, self._metadata)
        thickness, *lean, twist = box.numbers.tolist()
        return RecordingCount(
            counted.cards,
            low,
            high,
            len(self._cards),
            thickness,
            box.deviation,
            (lean[0], lean[1]),
            twist,
            float(np.mean(self._sweep.covered())),
        )
