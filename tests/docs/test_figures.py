"""The figures of docs/ say what holds."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from cardpose.geometry.card import CARD
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.network.weights import load_network
from docs.figures import architecture, corners, lean, tables
from docs.figures.packets import straight_packet, view
from docs.figures.style import ROOT


@pytest.fixture(scope="module")
def network():
    return load_network(architecture.NETWORK)[0]


def test_the_picture_of_the_architecture_is_that_of_the_network(network):
    assert architecture.TARGET.read_text(encoding="utf-8") == architecture.draw(network)


def test_the_picture_of_the_architecture_holds_every_parameter(network):
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", architecture.draw(network))
    numbers = [
        int(number.replace(",", ""))
        for text in texts
        if "in all" not in text
        for number in re.findall(r"(?:^|: )(\d[\d,]*)$", text)
    ]
    assert sum(numbers) == sum(weight.numel() for weight in network.parameters())


def test_one_corner_of_the_packet_with_names_is_hidden():
    assert set(corners.PLACES) == set(KEYPOINTS)


@pytest.mark.parametrize(("camera", "counts"), [(lean._FRONT, 0), (lean._BEHIND, 1)])
def test_a_leaning_packet_looks_like_the_count_below_its_picture(camera, counts):
    _, cards, shift, looks = lean.PACKETS[1]

    def side(number, shift):
        """Return the height in the picture of the side that faces a camera far away."""
        scene = straight_packet(0, number, (0.0, -shift))
        y = np.copysign(44, np.sin(np.radians(camera)))
        far = view(scene, camera, lean.ELEVATION, 20000, (500, 500))
        ends = far.project(np.array([[0, y - shift, 0], [0, y, number * CARD[2]]]))
        return ends[0, 1] - ends[1, 1]

    assert side(cards, shift) == pytest.approx(side(looks[counts], 0.0), rel=0.02)


def test_the_tables_are_those_of_the_folds():
    for page in tables.pages():
        text = page.read_text(encoding="utf-8")
        assert text == tables.filled(text), f"{page}: make figures fills its tables"


def test_a_table_is_replaced_and_its_surroundings_stay():
    page = "a\n<!-- table: ways of counting -->\n\n| old |\n\n<!-- end of table -->\nb\n"
    filled = tables.filled(page)
    mae = json.loads((ROOT / "metrics/folds/cardcut.json").read_text())["mean"]["ways.both.mae"]
    assert filled.startswith("a\n<!-- table: ways of counting -->\n\n| way of counting |")
    assert f"| `both`, the default | {mae:.2f} |" in filled
    assert filled.endswith("|\n\n<!-- end of table -->\nb\n")
    assert "old" not in filled


def test_every_row_of_the_experiments_can_be_read_by_itself():
    table = pd.read_csv(ROOT / "docs/explanation/experiments.csv", keep_default_na=False)
    columns = "decision,kept,measure,unit,before,after,data,command"
    assert list(table) == columns.split(",")
    assert set(table["kept"]) == {"yes", "no", ""}
    assert (table[["decision", "measure", "unit", "after", "data"]] != "").all(axis=None)
    assert pd.to_numeric(table["before"].replace("", "0")).notna().all()
    assert pd.to_numeric(table["after"]).notna().all()
    assert not table.duplicated(["decision", "measure", "data"]).any()
