"""Read the metadata of an exported network.

The limits are those of `params` and `network.weights`. They are checked here without pydantic and
torch, because counting cards needs neither.
"""

import json
from typing import Any, NoReturn

from cardpose.geometry.card import THICKEST, THINNEST

_MOST_BYTES = 1_000_000
_LARGEST_MARGIN = 1e12
_COUNTS = ("picture", "keypoints", "both")  # `network.model.COUNTS`


def read_metadata(text: bytes) -> dict[str, Any]:
    """Return the metadata that `inference.export` wrote as JSON.

    Raises:
        ValueError: a value that counting needs is missing or impossible. The message says which.
    """
    if len(text) > _MOST_BYTES:
        raise ValueError(f"its metadata has more than {_MOST_BYTES} bytes")
    try:
        metadata = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise ValueError("its metadata is damaged") from None
    if not isinstance(metadata, dict):
        raise ValueError("its metadata is damaged")
    get = metadata.get
    checks = {
        "count": get("count") in _COUNTS,
        "image_size": _are_numbers(get("image_size"), 2, 32, 4096, int),
        "deck": _are_numbers([get("deck")], 1, 1, 1000, int),
        "focal": _are_numbers([get("focal")], 1, 0.3, 5),
        "card": _is_card(get("card")),
        "margins": get("margins") is None or _are_margins(get("margins")),
        "recording_margin": get("recording_margin") is None
        or _are_numbers([get("recording_margin")], 1, 0, _LARGEST_MARGIN),
    }
    for name, is_possible in checks.items():
        if not is_possible:
            raise ValueError(f"its metadata has no possible {name}")
    return metadata


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # JSON itself has no NaN and no Infinity


def _is_card(card: Any) -> bool:
    """Return whether a value is (width, length, thickness) of a card in mm."""
    return _are_numbers(card, 3, THINNEST, 300) and 20 <= card[0] <= card[1] and card[2] <= THICKEST


def _are_margins(margins: Any) -> bool:
    """Return whether a value is half the width of an interval for each way of counting."""
    return isinstance(margins, dict) and _are_numbers(
        [margins.get(way) for way in _COUNTS], len(_COUNTS), 0, _LARGEST_MARGIN
    )


def _are_numbers(
    values: Any, size: int, least: float | int, most: float | int, *kinds: type
) -> bool:
    """Return whether `values` is a list of `size` numbers in a range, of one of the types."""
    return (
        isinstance(values, list)
        and len(values) == size
        and all(type(value) in (kinds or (int, float)) for value in values)
        and all(least <= value <= most for value in values)
    )
