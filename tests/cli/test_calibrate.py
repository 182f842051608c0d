"""The command `cardpose calibrate`, and `cardpose predict` after it."""

import json
import shutil

import numpy as np
import pytest
from support import REPOSITORY, grey, words

from cardpose.geometry.card import CARD_LENGTH, CARD_WIDTH
from cardpose.rendering.renderer import Renderer
from cardpose.rendering.scenes import random_scene

NET = "net.safetensors"
PRETRAINED = REPOSITORY / "models/pretrained.safetensors"


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Recordings of 30 and 40 cards that are 0.34 mm thick, as arrays of frames."""
    found = {}
    for cards in (30, 40):
        scene = random_scene(5, cards, 200, card=(CARD_WIDTH, CARD_LENGTH, 0.34))
        renderer = Renderer(scene)
        found[cards] = [renderer.frame(index) for index in range(0, 200, 25)]
    return found


def test_a_calibrated_network_counts_thick_cards(cardpose, tmp_path, videos, write_video):
    shutil.copy(PRETRAINED, tmp_path / NET)
    for cards, pictures in videos.items():
        write_video(tmp_path / f"{cards}.mp4", pictures)

    def read(video="40.mp4"):
        out = "out.jsonl"
        status, _, err = cardpose("predict", video, "--jsonl", out, model=NET)
        assert status == 0
        records = [json.loads(line) for line in (tmp_path / out).read_text().splitlines()]
        return records[-1], np.array([r["cards"] for r in records[:-1]]), err

    measured = read("30.mp4")[0]
    recording, frames_before, err = read()
    before = recording["cards"]
    assert err == ""
    status, out, err = cardpose("calibrate", "30.mp4=30", "--every", "1", model=NET)
    assert (status, err) == (0, "")
    stored = json.loads((tmp_path / "net.card.json").read_text())
    assert out == f"net.card.json: cards of {stored['card_mm']:.3f} mm (usual: 0.305 mm)\n"
    (row,) = stored["recordings"]
    assert (row["video"], row["cards"]) == ("30.mp4", 30)
    # That of the second count, as in `predict`.
    assert row["thickness_mm"] == pytest.approx(measured["thickness_mm"], abs=6e-4)

    recording, frames_after, err = read()
    after = recording["cards"]
    assert err == f"cards of {stored['card_mm']:.3f} mm, from net.card.json\n"
    assert abs(after - 40) < abs(before - 40) / 2
    ratio = 0.305 / stored["card_mm"]
    assert after == pytest.approx(before * ratio, abs=0.05)
    np.testing.assert_allclose(frames_after, frames_before * ratio, atol=1e-3)

    assert cardpose("calibrate", "--forget", model=NET)[0] == 0
    assert not (tmp_path / "net.card.json").exists()
    assert read()[0]["cards"] == before


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "calibrate: name either recordings, as VIDEO=COUNT, or --forget"),
        (["a.mp4=3", "--forget"], "calibrate: name either recordings, as VIDEO=COUNT, or --forget"),
        (["a.mp4"], "'a.mp4': should be VIDEO=COUNT"),
        (["=3"], "'=3': should be VIDEO=COUNT"),
        (["a.mp4=0"], "'a.mp4=0': should be VIDEO=COUNT"),
        (["a.mp4=-3"], "'a.mp4=-3': should be VIDEO=COUNT"),
        (["a.mp4=3.5"], "'a.mp4=3.5': should be VIDEO=COUNT"),
        (["a.mp4=53"], "a.mp4=53: the deck has 52 cards"),
        (["b.mp4=3"], "b.mp4: there is no such file or folder"),
        (["0=3"], "0: should be a video or a folder of pictures, not a camera"),
        (["a.mp4=3"], "a.mp4: should show a packet with at least four visible corners"),
    ],
)
def test_bad_arguments_get_one_line(cardpose, tmp_path, write_video, arguments, complaint):
    write_video(tmp_path / "a.mp4", [np.zeros((48, 64, 3), np.uint8)] * 3)
    status, out, err = cardpose("calibrate", *arguments, model=PRETRAINED)
    assert (status, out) == (1, "")
    assert err.startswith(f"error: {complaint}")
    assert err.count("\n") == 1
    assert not PRETRAINED.with_suffix(".card.json").exists()


def test_a_network_that_does_not_count_by_the_box_cannot_be_calibrated(cardpose):
    status, _, err = cardpose("calibrate", "a.mp4=3")
    assert status == 1
    assert err.endswith("should count by the box: export it with `count.from: both`\n")


def test_counts_that_no_deck_has_are_refused(cardpose, tmp_path, videos, write_video):
    write_video(tmp_path / "a.mp4", videos[40])
    status, _, err = cardpose("calibrate", "a.mp4=20", "--every", "1", model=PRETRAINED)
    assert status == 1
    assert "where 0.30 mm is usual: check the counts" in err
    assert not PRETRAINED.with_suffix(".card.json").exists()


def test_a_video_of_two_packets_is_refused(cardpose, tmp_path, videos, write_video):
    write_video(tmp_path / "a.mp4", videos[40] + videos[30])
    status, _, err = cardpose("calibrate", "a.mp4=40", "--every", "1", model=PRETRAINED)
    assert (status, err) == (1, "error: a.mp4: should show one untouched packet\n")
    assert not PRETRAINED.with_suffix(".card.json").exists()


def test_intervals_of_photographs_scale_too(cardpose, tmp_path, stand_in):
    grey(tmp_path / "a.png", 170)
    stand_in.with_suffix(".card.json").write_text('{"card_mm": 0.375}')
    status, out, _ = cardpose("predict", "a.png")
    assert status == 0
    assert words(out)[1][1:5] == ["13.6", "12.8", "to", "15.2"]
