"""Store the thickness of the cards of the user's deck beside the file of a network."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cardpose.common.errors import InputError
from cardpose.common.files import atomic_text
from cardpose.common.json_files import is_number
from cardpose.common.regular_files import read_file
from cardpose.geometry.card import THICKEST, THINNEST

CARD_SUFFIX = ".card.json"
_KEY = "card_mm"
_MOST_BYTES = 2**20


def card_file(model: Path) -> Path:
    """Return the path of the file for a network: cardpose.card.json for cardpose.onnx."""
    return model.with_name(model.stem + CARD_SUFFIX)


def write_card(model: Path, card: float, recordings: Sequence[dict[str, Any]]) -> Path:
    """Store the thickness of a card in mm, and the recordings it was fitted to.

    Returns:
        the path of the file.
    """
    path = card_file(model)
    content = {_KEY: round(card, 4), "recordings": list(recordings)}
    with atomic_text(path) as file:
        file.write(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return path


def read_card(model: Path) -> float | None:
    """Return the stored thickness of a card in mm, or None if none is stored.

    Raises:
        InputError: the file is damaged, or no file.
    """
    path = card_file(model)
    if not path.exists():
        return None
    try:
        content = json.loads(read_file(path, _MOST_BYTES))
    except (ValueError, RecursionError):
        content = None
    card = content.get(_KEY) if isinstance(content, dict) else None
    if card is None or not is_number(card) or not THINNEST <= card <= THICKEST:
        raise InputError(
            f'{path}: "{_KEY}" should be a thickness of {THINNEST} to {THICKEST} mm;'
            " `cardpose calibrate --forget` removes the file"
        )
    return float(card)
