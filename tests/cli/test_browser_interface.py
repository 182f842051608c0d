"""The page in a real browser: messages, keyboard, screen readers, a hidden count."""

import json
import re

import cv2
import numpy as np
import pytest
from browser_page import plain, running, show, state

from cardpose.cli.app import site_server
from cardpose.cli.site import APP, NETWORK


def test_a_blocked_camera_is_explained(visit, url):
    page = visit(url, camera=False)
    page.click("#camera")
    state(page, "problem")
    assert "The camera is blocked. Allow it" in page.inner_text("#words")
    assert page.evaluate("document.activeElement.id") == "again"
    with page.expect_file_chooser():
        page.click("text=Choose a photo or a video >> visible=true")
    page.focus("#again")
    page.context.grant_permissions(["camera"])
    page.keyboard.press("Enter")
    state(page, "sure", "unsure")


def test_a_page_without_https_explains_why_there_is_no_camera(visit, url):
    page = visit(url)
    page.evaluate("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")
    page.click("#camera")
    state(page, "problem")
    assert "only to pages that came over https" in page.inner_text("#words")


def test_a_file_that_is_not_a_picture_is_reported_on_the_page(visit, url):
    page = visit(url)
    show(page, "notes.txt", b"seven of clubs", "text/plain")
    state(page, "problem")
    assert "This browser cannot read notes.txt. Try JPEG" in page.inner_text("#words")
    assert not page.is_visible("#instead")
    with page.expect_file_chooser():
        page.click("text=Choose another")


def test_a_video_that_the_browser_cannot_decode_names_the_codec_that_works(visit, url):
    page = visit(url)
    show(page, "clip.mov", b"not decodable", "video/quicktime")
    state(page, "problem")
    assert "This browser cannot play clip.mov. H.264" in page.inner_text("#words")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "There is no cardpose.onnx.gz beside this page. “cardpose app --build” puts"),
        (b"not a network", "cardpose.onnx.gz is no network that this page can run."),
    ],
)
def test_a_missing_network_is_reported_on_the_page(visit, files, content, words):
    files = {path: kept for path, kept in files.items() if path != NETWORK}
    if content:
        files[NETWORK] = content
    with running(site_server(files, 0)) as url:
        page = visit(url)
        state(page, "problem")
        assert words in page.inner_text("#words")
        page.errors[:] = [error for error in page.errors if "404" not in error]


@pytest.mark.parametrize("name", ["ort-wasm-simd-threaded.wasm.zst", NETWORK])
def test_a_download_that_breaks_off_is_reported_on_the_page(visit, url, name):
    page = visit(url)
    page.context.route(f"**/{name}", lambda route: route.abort())
    page.goto(url)
    state(page, "problem")
    expected = f"The download of {name} broke off. Load this page again."
    assert expected in page.inner_text("#words")
    page.errors[:] = [error for error in page.errors if "ERR_FAILED" not in error]


def test_the_count_can_be_kept_secret_until_it_is_tapped(visit, url):
    page = visit(url)
    show(page, "packet.png", plain(150, 200, 60))
    state(page, "sure")
    # Whether the corner of the back at three tenths of the width and height is green.
    painted = """() => {
        const canvas = document.getElementById("drawing"), scale = canvas.width / 64;
        const top = (canvas.height - 48 * scale) / 2;
        const context = canvas.getContext("2d");
        const [red, green] = context.getImageData(19.2 * scale, top + 14.4 * scale, 1, 1).data;
        return red === 88 && green === 224;
    }"""
    assert page.evaluate(painted)
    page.click("#secret")
    assert not page.is_visible("#count")
    assert not page.is_visible("#words")
    assert not page.evaluate(painted)
    spoken = "document.getElementById('spoken').textContent"
    page.wait_for_function(f"() => {spoken} === 'The count is ready'")
    page.click("#reveal")
    assert page.inner_text("#count") == "31"
    assert page.evaluate(painted)
    page.wait_for_function(f"() => {spoken}.startsWith('about 31 cards, between 28 and 34')")
    page.click("#hide")
    assert not page.is_visible("#count")
    page.click("#stage")
    assert page.is_visible("#count")
    page.click("#secret")
    assert not page.is_visible("#hide")


def stored(page, name):
    """Return what the page keeps on the device."""
    return json.loads(page.evaluate("name => localStorage.getItem(name)", name) or "null")


def test_stage_mode_is_black_until_it_is_tapped_and_survives_a_reload(visit, url):
    page = visit(url)
    page.click("#stage-mode")
    page.check("text=cards left in the deck")
    page.click("text=Go black")
    page.wait_for_selector("body[data-black][data-state=unsure], body[data-black][data-state=sure]")

    def is_black():
        picture = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
        return not picture.any()

    assert is_black()
    page.reload()
    page.wait_for_selector("body[data-black][data-state=unsure], body[data-black][data-state=sure]")
    assert is_black()
    page.evaluate("""() => {
        const whisper = document.getElementById("whisper");
        window.told = [];
        new MutationObserver(() => window.told.push(whisper.textContent))
            .observe(whisper, { childList: true });
    }""")
    page.click("#black")
    page.wait_for_function("() => window.told.length === 2")
    told, after = page.evaluate("window.told")
    left = re.fullmatch(r"≈ (\d+)", told)  # not locked
    assert abs(int(left[1]) - (52 - int(page.text_content("#count")))) <= 1
    assert after == ""
    assert is_black()
    page.click("#black", delay=1000)  # held
    assert page.is_visible("#count")
    assert stored(page, "cardpose.stage") == {"on": False, "tell": "number", "left": True}


def test_a_wide_screen_hands_the_page_over_to_a_phone(visit, url):
    page = visit(url, viewport={"width": 1280, "height": 800})
    assert not page.is_visible("#handover")  # phones cannot reach this machine
    address = "https://example.org/cards/"
    page.evaluate("address => import('./handover.js').then((m) => m.handOver(address))", address)
    code = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert cv2.QRCodeDetector().detectAndDecode(code)[0] == address
    narrow = visit(url)
    narrow.evaluate("address => import('./handover.js').then((m) => m.handOver(address))", address)
    assert not narrow.is_visible("#handover")


def test_my_deck_is_learnt_kept_and_forgotten(visit, url):
    page = visit(url)
    page.click("#my-deck")
    page.wait_for_selector("#deck[open]")  # the network has been loaded
    assert "the usual thickness, 0.300 mm" in page.inner_text("#deck")
    assert not page.is_visible("#really")
    page.click("#deck >> text=Close")
    kept = [{"thickness": 7, "deviation": 0.05, "count": 26}]
    page.evaluate("kept => localStorage.setItem('cardpose.deck', JSON.stringify(kept))", kept)
    page.reload()
    show(page, "packet.png", plain(150, 200, 60))
    state(page, "sure")
    card = 52 * 150 / 255 * 0.3 / float(page.get_attribute("body", "data-cards"))
    assert 0.27 < card < 0.28
    page.click("#close")
    page.click("#my-deck")
    page.wait_for_selector("#deck[open]")
    assert f"{card:.3f} mm thick, by one packet" in page.inner_text("#deck")
    page.click("text=Forget my deck")
    for _ in range(100):  # the dialog's close event comes after the click
        if stored(page, "cardpose.deck") is None:
            break
        page.wait_for_timeout(50)
    assert stored(page, "cardpose.deck") is None


def test_every_action_works_by_keyboard(visit, url, tmp_path):
    cv2.imwrite(str(tmp_path / "packet.png"), plain(150, 200, 60))
    page = visit(url)
    focused = "document.activeElement.id"

    def tab(times=1):
        for _ in range(times):
            page.keyboard.press("Tab")
        return page.evaluate(focused)

    assert tab() == "camera"
    assert tab() == "file"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(tmp_path / "packet.png")
    state(page, "sure")
    assert [tab(), tab()] == ["other", "secret"]
    page.keyboard.press("Space")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate(focused) == "reveal"
    page.keyboard.press("Enter")
    assert page.evaluate(focused) == "hide"
    assert page.is_visible("#count")
    page.keyboard.press("Enter")
    assert page.evaluate(focused) == "reveal"
    assert tab(3) == "close"
    page.keyboard.press("Enter")
    assert page.evaluate(focused) == "camera"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_passes_an_accessibility_check(visit, url, scheme):
    axe = APP / "node_modules/axe-core/axe.min.js"
    if not axe.is_file():
        pytest.skip("axe-core is not installed: `make test` does that")
    page = visit(url, color_scheme=scheme, bypass_csp=True)
    page.add_script_tag(path=axe)

    def violations():
        found = page.evaluate("axe.run().then(({ violations }) => violations)")
        return [(v["id"], [node["html"] for node in v["nodes"]]) for v in found]

    assert violations() == []
    for content in (plain(150, 200, 60), plain(100, 100, 250), plain(200, 0, 0)):
        show(page, "packet.png", content)
        page.wait_for_selector("#rate:visible")
        assert violations() == []
    page.click("#secret")
    assert violations() == []
    page.click("#close")
    for button, close in (("#my-deck", "Close"), ("#stage-mode", "Cancel")):
        page.click(button)
        assert violations() == []
        page.click(f"dialog[open] >> text={close}")
    page.click("#stage-mode")
    page.click("text=Go black")
    # The number stays, however slow the machine is.
    page.evaluate("() => { const late = setTimeout; setTimeout = (f, t) => late(f, 100 * t); }")
    page.click("#black")
    page.wait_for_selector("#whisper:not(:empty)")
    assert violations() == []
    page.keyboard.press("Escape")
    show(page, "notes.txt", b"seven of clubs", "text/plain")
    state(page, "problem")
    assert violations() == []
