"""Compare counts with the thickness of the boxes."""

import pandas as pd
import pytest
from checked_labels import wrong

from cardpose.checking.counts import MeasuredPacket, deck_findings
from cardpose.checking.findings import INFO


@pytest.mark.parametrize("number", [1, 4])
def test_a_wrong_count_is_found_and_measured(dataset, number):
    table = pd.read_csv(dataset / "videos.csv")
    table.loc[number - 1, "cards_counted"] += 10
    table.to_csv(dataset / "videos.csv", index=False)
    (one,) = wrong(dataset)
    assert (one.recording, one.frame, one.unit) == (f"packet_{number:02d}", None, "cards")
    assert one.off == pytest.approx(10, abs=1.5)


def test_the_count_of_a_single_recording_is_checked(dataset):
    table = pd.read_csv(dataset / "videos.csv")[4:5]
    table.to_csv(dataset / "videos.csv", index=False)
    strangers = wrong(dataset)
    assert {one.what for one in strangers} == {"label of a recording that videos.csv does not list"}
    table["cards_counted"] = 15
    table.to_csv(dataset / "videos.csv", index=False)
    (one,) = (one for one in wrong(dataset) if one.unit == "cards")
    assert one.off == pytest.approx(10, abs=1.5)


@pytest.mark.parametrize(
    ("card", "error", "said"),
    [
        (0.3, 0.2, []),
        (0.32, 0.2, []),  # within a tenth
        (0.36, 0.2, ["cards look 0.30 mm thick, geometry.card in params.yaml says 0.36"]),
        (0.25, 0.2, ["cards look 0.30 mm thick, geometry.card in params.yaml says 0.25"]),
        (0.36, 3.0, []),  # which boxes as vague as these cannot tell
    ],
)
def test_cards_thicker_or_thinner_than_the_parameter_get_a_remark(card, error, said):
    # A count that is wrong, and a packet that is loose, do not change what most say.
    thick = [(10, 3.0), (20, 6.0), (25, 7.5), (30, 9.0), (40, 12.0), (50, 9.0), (15, 6.0)]
    thick = [MeasuredPacket("", n, mm, error) for n, mm in thick]
    found = deck_findings(thick, card)
    assert [one.what for one in found] == said
    assert all(one.level == INFO and one.frame is None for one in found)
