"""What the page makes of the answers of its network, without a browser."""

import json

import numpy as np
import pytest
from browser_page import run_node

from cardpose.cli.site import APP
from cardpose.geometry.card_fit import fit_card

METADATA = {"card": [63, 88, 0.3], "deck": 52, "count": "both", "recording_margin": 2.0}


def evaluate(module, expression, *values):
    """Return the value of a JavaScript expression in which `app` is a module of the page."""
    script = """
        import { readFileSync } from "node:fs";
        const app = await import(process.argv[1]);
        const values = JSON.parse(readFileSync(0));
        const found = await (async () => { %s })();
        console.log(JSON.stringify(found ?? null));
    """
    return json.loads(run_node(script % expression, APP / module, stdin=json.dumps(values)))


def answer(cards=24, certain=1000, confidence=1, corners=7, azimuth=(0, 1)):
    """Return what the network says of a packet of `cards` cards of 0.3 mm, from an azimuth."""
    x, y = azimuth
    diagonal = [certain if i in (0, 5, 10, 15) else 0 for i in range(16)]
    return {
        "cards": cards,
        "confidence": confidence,
        "visible": [i < corners for i in range(8)],
        "rotation": [1, 0, 0, 0, 1, 0, 0, 0, 1],
        "box": [-200 * x, -200 * y, -150, 0, 0, 0, 0, 0],
        "information": diagonal,
        "vector": [certain * cards * 0.3, 0, 0, 0],
    }


def follow(answers, live=True, metadata=METADATA, card=0.3):
    """Return the page's summary after each (time in ms, answer)."""
    return evaluate(
        "packet.js",
        """
        const [answers, live, metadata, card] = values;
        const packet = new app.Packet(metadata, live);
        return answers.map(([time, answer]) => {
            packet.add(answer, time);
            return packet.summary(time, card);
        });
        """,
        answers,
        live,
        metadata,
        card,
    )


def test_a_sweep_locks_its_number_once_more_views_hardly_help():
    faint = [(100 * i, answer(certain=4)) for i in range(6)]
    firm = [(600 + 100 * i, answer(certain=4000)) for i in range(3)]
    told = follow([*faint, *firm, (900, answer(cards=24.6, certain=4000))])
    assert [each["state"] for each in told[:5]] == 4 * ["looking"] + ["unsure"]
    assert not told[4]["locked"]
    assert told[8]["state"] == "sure"
    assert told[8]["locked"]
    assert told[8]["whole"] == 24
    assert told[8]["high"] - told[8]["low"] == pytest.approx(2 * 2 * 0.3, abs=0.1)
    assert told[9]["cards"] == told[8]["cards"]  # locked


def test_a_narrow_interval_locks():
    answers = [(100 * i, answer(certain=30)) for i in range(6)]
    states = [
        follow(answers, metadata={**METADATA, "recording_margin": margin})[-1]["state"]
        for margin in (0.6, 1.2)
    ]
    assert states == ["sure", "unsure"]


def test_a_packet_that_has_gone_is_forgotten():
    seen = [(100 * i, answer(24, 4000)) for i in range(6)]
    gone = [(1900, answer(confidence=0)), (2100, answer(confidence=0))]
    told = follow([*seen, *gone, (2200, answer(9, 4000))])
    assert [each["state"] for each in told[-4:]] == ["sure", "sure", "none", "looking"]
    film = follow([*seen, *gone, (2200, answer(24, 4000))], live=False)
    assert [each["state"] for each in film[-2:]] == 2 * ["unsure"]  # a film shows one packet


def test_another_packet_begins_again():
    first = [(100 * i, answer(24, 4000)) for i in range(8)]
    second = [(800 + 100 * i, answer(9, 4000)) for i in range(25)]
    told = follow([*first, *second, (9000, answer(9, 4000))])
    assert [each["whole"] for each in told[-3:]] == [24, 9, 9]
    assert [each["news"] for each in told[-3:]] == ["", "Another packet: starting again", ""]
    assert told[-2]["cards"] == pytest.approx(9, abs=0.1)


def test_a_network_that_counts_by_picture_gives_the_median():
    metadata = {**METADATA, "count": "picture", "margins": {"picture": 3}}
    told = follow([(i, answer(cards)) for i, cards in enumerate((20, 30, 22, 24))], False, metadata)
    assert (told[-1]["cards"], told[-1]["low"], told[-1]["high"]) == (23, 20, 26)


def test_cards_of_another_thickness_change_the_count():
    told = follow([(0, answer(24, 4000))], live=False, card=0.32)
    assert told[0]["cards"] == pytest.approx(24 * 0.3 / 0.32, abs=0.1)
    single = evaluate(
        "recording.js",
        "return app.countPicture({ cards: 51, low: 40, high: 52 }, ...values)",
        METADATA,
        0.27,
    )
    assert single == pytest.approx({"cards": 52, "low": 40 * 0.3 / 0.27, "high": 52})


@pytest.mark.parametrize(
    ("size", "camera", "corners", "covered", "words"),
    [
        (300, [200, 0, 150], 7, 0.6, "Go round it"),
        (300, [200, 0, 150], 7, 0.8, "Closer, from lower down"),
        (300, None, 7, 0, "Go round it"),
        (300, [20, 0, 150], 7, 0, "Lower"),
        (100, [20, 0, 150], 7, 0, "Closer"),
        (300, [200, 0, 150], 4, 0, "Show all of it"),
    ],
)
def test_the_page_says_what_to_do_next(size, camera, corners, covered, words):
    picture = {
        "keypoints": [[100 + size * (i % 2), 100 + size / 2 * (i // 4)] for i in range(8)],
        "visible": [i >= 8 - corners for i in range(8)],
        "width": 640,
        "height": 480,
    }
    sectors = [place < covered * 36 for place in range(36)]
    assert evaluate("advice.js", "return app.advise(...values)", picture, camera, sectors) == words


@pytest.mark.parametrize(
    ("low", "high", "locked", "words"),
    [
        (10.6, 13.4, True, ["most likely", "between 11 and 13", "12 ± 1"]),
        (10.6, 14.4, True, ["most likely", "between 11 and 14", "12 ± 2"]),
        (8, 15.6, False, ["about", "between 8 and 16", "≈ 12"]),
        (11.6, 12.4, True, ["", "nine times in ten", "12"]),
        (None, None, True, ["most likely", "", "12"]),
    ],
)
def test_a_count_is_told_as_surely_as_it_is_known(low, high, locked, words):
    told = """
        const [low, high, locked] = values;
        const count = { whole: 12, low: low ?? NaN, high: high ?? NaN };
        return [app.hedge(count, locked), app.between(count), app.short(count, locked)];
    """
    assert evaluate("words.js", told, low, high, locked) == words


def test_the_page_says_on_what_its_network_was_measured():
    def sentence(**metadata):
        return evaluate("metadata.js", "return app.describeNetwork(...values)", metadata)

    cards = {"mae": 2.1669, "mae_per_video": 0.7218}
    measured = {"cards": cards, "data": {"recordings": 11}}
    assert sentence(metrics=measured, dataset="synthetic") == (
        "Mean error of this network: 2.2 cards in a photo, 0.7 in a video,"
        " measured on 11 rendered packets that it had never seen."
    )
    assert " 0.7 in a video, measured on packets that it" in sentence(metrics={"cards": cards})
    assert "has not been measured" in sentence(metrics={})
    assert "has not been measured" in sentence()


def test_advice_does_not_flicker():
    told = evaluate(
        "advice.js",
        """
        const advice = new app.Advice();
        return values.map((words) => (advice.add(words), advice.words));
        """,
        *["Lower", "Closer", "Lower", "Lower", "Lower", "Lower"],
    )
    assert told == 5 * ["Go round it"] + ["Lower"]


def test_the_thickness_of_a_card_is_fitted_to_packets_of_known_count():
    thickness, deviation, count = np.array([7.2, 14]), np.array([0.05, 0.3]), np.array([26, 52])
    keys = ("thickness", "deviation", "count")
    rows = zip(thickness, deviation, count.tolist(), strict=True)
    packets = [dict(zip(keys, row, strict=True)) for row in rows]
    fitted = evaluate("deck.js", "return app.fitCard(...values)", packets, 0.305)
    assert fitted == pytest.approx(fit_card(thickness, deviation, count, 0.305), abs=1e-9)
    assert fitted < 0.28
    assert evaluate("deck.js", "return app.fitCard([], 0.305)") == 0.305


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, [1200]),
        (3, [120, 180, 120, 180, 120]),
        (20, [400, 180, 400]),
        (12, [400, 600, 120, 180, 120]),
    ],
)
def test_vibrations_tell_tens_then_ones(number, expected):
    assert evaluate("vibrations.js", "return app.pulses(...values)", number) == expected


def test_metadata_is_read_from_the_networks_file(tmp_path, model):
    (tmp_path / "other.onnx").write_bytes(b"\x08\x0a")
    read = """
        const { readFileSync } = await import("node:fs");
        return app.readMetadata(readFileSync(values[0]));
    """
    assert evaluate("metadata.js", read, str(model))["deck"] == 52
    with pytest.raises(AssertionError, match="no metadata"):
        evaluate("metadata.js", read, str(tmp_path / "other.onnx"))
