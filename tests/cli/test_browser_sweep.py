"""The page in a real browser counts a packet from many sides, with the released network."""

import re

import pytest
from browser_page import chromium, show, write_film
from support import REPOSITORY

from cardpose.cli.inputs import video_frames
from cardpose.inference.export import export_onnx
from cardpose.inference.predictor import load
from cardpose.network.weights import load_network
from cardpose.rendering.renderer import Renderer
from cardpose.rendering.scenes import random_scene

MARGINS = {"margins": {"picture": 8.0, "keypoints": 8.0, "both": 7.0}, "recording_margin": 4.0}
THICK, THIN = (3, 24), (5, 9)  # seed and number of cards
FILMS = {"round": [THICK], "exchanged": [THICK, THIN]}
RATE = 10  # frames a second


def frames(seed, cards, number=60, step=10):
    """Return BGR frames of a rendered packet of 0.3 mm cards, from a camera that goes round it."""
    renderer = Renderer(random_scene(seed, cards, number * step))
    return [renderer.frame(step * index) for index in range(number)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "cardpose.onnx"
    network, metadata = load_network(REPOSITORY / "models/pretrained.safetensors")
    metadata = {**metadata, **MARGINS, "card": (63.0, 88.0, 0.3)}
    export_onnx(path, network, metadata, "both", {})
    return path


@pytest.fixture(scope="module")
def browser(request, tmp_path_factory):
    film = tmp_path_factory.mktemp("camera") / "camera.y4m"
    packets = FILMS[getattr(request, "param", "round")]
    write_film(film, [frame for packet in packets for frame in frames(*packet)], RATE)
    with chromium(film) as browser:
        yield browser


# Keeps (number, words) of everything shown, beginning anew with each packet.
WATCH = """() => {
    const words = document.getElementById("words");
    window.shown = [];
    new MutationObserver(() => {
        const { state, cards } = document.body.dataset;
        window.shown.push([state, Number(cards), words.innerText]);
    }).observe(words, { childList: true });
}"""


def shown(page):
    """Return (state, cards, low, high, words) of every count the page has shown."""
    found = []
    for state_, cards, words in page.evaluate("window.shown"):
        ends = re.search(r"between (\d+) and (\d+)", words)
        if ends:
            found.append((state_, cards, int(ends[1]), int(ends[2]), words))
    return found


def test_a_sweep_locks_on_the_right_count(visit, url):
    page = visit(url)
    page.evaluate(WATCH)
    page.click("#camera")
    page.wait_for_selector("body[data-state=sure]", timeout=180_000)
    assert page.inner_text("#about") == "most likely"
    assert "More views would change little" in page.inner_text("#words")
    told = shown(page)
    _, cards, low, high, _ = told[-1]
    assert low <= THICK[1] <= high
    assert abs(cards - THICK[1]) < 1.5
    assert page.locator("#ring .seen").count() > 6
    for i, (_, _, low, high, _) in enumerate(told):  # rounded, so half a card is nothing
        later = [cards for _, cards, *_ in told[i:]]
        assert low - 0.6 < min(later)
        assert max(later) < high + 0.6
    assert "Go round it" in told[0][-1]


@pytest.mark.parametrize("browser", ["exchanged"], indirect=True)
def test_another_packet_is_noticed(visit, url):
    page = visit(url)
    page.evaluate(WATCH)
    page.click("#camera")
    for _ in range(2):
        page.wait_for_selector("#words >> text=Another packet", timeout=180_000)
        page.wait_for_selector("#words:not(:has-text('Another packet'))", timeout=180_000)
    begun = [cards for _, cards, _, _, words in shown(page) if "Another packet" in words]
    middle = (THICK[1] + THIN[1]) / 2
    counts = {THICK[1] if cards > middle else THIN[1] for cards in begun}
    assert counts == {THICK[1], THIN[1]}


def test_a_video_is_counted_as_python_counts_it(visit, url, model, write_video, tmp_path):
    write_video(tmp_path / "film.webm", frames(*THICK, 30), "VP80")
    predictor = load(model, 1)
    pictures = [picture for _, picture in video_frames(tmp_path / "film.webm", 1)]
    first = predictor.count_recording(predictor.predict_batch(pictures))
    counted = predictor.count_recording(predictor.predict_batch(pictures, recording=first))
    assert abs(counted.cards - first.cards) > 0.05
    page = visit(url)
    show(page, "film.webm", (tmp_path / "film.webm").read_bytes(), "video/webm")
    page.wait_for_selector("body[data-state=sure]", timeout=180_000)
    cards = float(page.get_attribute("body", "data-cards"))
    assert cards == pytest.approx(counted.cards, abs=0.1)
    assert abs(cards - counted.cards) < abs(cards - first.cards)
    low, high = map(int, re.findall(r"\d+", page.inner_text("#words"))[:2])
    assert (low, high) == pytest.approx((counted.low, counted.high), abs=0.6)
