"""The thickness of a card beside the file of a network."""

import json
import os

import pytest

from cardpose.common.errors import InputError
from cardpose.inference.card_file import card_file, read_card, write_card


def test_a_written_card_is_read_for_both_formats_of_a_network(tmp_path):
    assert read_card(tmp_path / "net.onnx") is None
    path = write_card(tmp_path / "net.onnx", 0.28912, [{"video": "a.mp4", "cards": 30}])
    assert path == tmp_path / "net.card.json"
    assert json.loads(path.read_text())["recordings"] == [{"video": "a.mp4", "cards": 30}]
    assert read_card(tmp_path / "net.safetensors") == 0.2891


NUMBERS = '"x"', "-1", "1e-300", "5.1", "1e300", "NaN", "9" * 400


@pytest.mark.parametrize("content", ["", "[]", "\xff", *(f'{{"card_mm": {n}}}' for n in NUMBERS)])
def test_a_damaged_file_is_reported(tmp_path, content):
    path = card_file(tmp_path / "net.onnx")
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=r"net.card.json: \"card_mm\" should be a thickness of"):
        read_card(tmp_path / "net.onnx")


def test_a_pipe_in_its_place_is_refused_at_once(tmp_path):
    os.mkfifo(card_file(tmp_path / "net.onnx"))
    with pytest.raises(InputError, match=r"net.card.json: should be a file, not a device, a pipe"):
        read_card(tmp_path / "net.onnx")
