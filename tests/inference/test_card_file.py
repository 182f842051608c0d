"""The thickness of a card beside the file of a network."""

import json

import pytest

from cardpose.common.errors import InputError
from cardpose.inference.card_file import card_file, read_card, write_card


def test_a_written_card_is_read_for_both_formats_of_a_network(tmp_path):
    assert read_card(tmp_path / "net.onnx") is None
    path = write_card(tmp_path / "net.onnx", 0.28912, [{"video": "a.mp4", "cards": 30}])
    assert path == tmp_path / "net.card.json"
    assert json.loads(path.read_text())["recordings"] == [{"video": "a.mp4", "cards": 30}]
    assert read_card(tmp_path / "net.safetensors") == 0.2891


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"card_mm": "x"}', '{"card_mm": -1}', "\xff"])
def test_a_damaged_file_is_reported(tmp_path, content):
    path = card_file(tmp_path / "net.onnx")
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=r"net.card.json: \"card_mm\" should be a thickness in mm"):
        read_card(tmp_path / "net.onnx")
