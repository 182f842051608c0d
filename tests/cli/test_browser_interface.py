"""The page in a real browser: messages, keyboard, screen readers, a hidden count."""

import cv2
import pytest
from browser_page import plain, running, show, state

from cardpose.cli.app import site_server
from cardpose.cli.site import APP


def test_a_blocked_camera_is_explained(visit, url):
    page = visit(url, camera=False)
    page.click("#camera")
    state(page, "problem")
    assert "The camera is blocked. Allow it" in page.inner_text("#words")
    assert page.evaluate("document.activeElement.id") == "again"
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
    assert "notes.txt is no picture or video that this browser can read" in page.inner_text(
        "#words"
    )
    with page.expect_file_chooser():
        page.click("#again")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "The network is missing: there is no cardpose.onnx beside this page."),
        (b"not a network", "cardpose.onnx is no network that this page can run."),
    ],
)
def test_a_missing_network_is_reported_on_the_page(visit, files, content, words):
    files = {path: kept for path, kept in files.items() if path != "cardpose.onnx"}
    if content:
        files["cardpose.onnx"] = content
    with running(site_server(files, 0)) as url:
        page = visit(url)
        state(page, "problem")
        assert words in page.inner_text("#words")
        page.errors[:] = [error for error in page.errors if "404" not in error]


def test_the_count_can_be_kept_secret_until_it_is_tapped(visit, url):
    page = visit(url)
    show(page, "packet.png", plain(150, 200, 60))
    state(page, "sure")
    painted = """() => {
        const canvas = document.getElementById("drawing");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return data.some(Boolean);
    }"""
    assert page.evaluate(painted)
    page.click("#secret")
    assert not page.is_visible("#count")
    assert not page.is_visible("#words")
    assert not page.evaluate(painted)
    spoken = "document.getElementById('spoken').textContent"
    page.wait_for_function(f"() => {spoken} === 'A packet is in sight'")
    page.click("#reveal")
    assert page.inner_text("#count") == "31"
    assert page.evaluate(painted)
    page.wait_for_function(f"() => {spoken} === '31 cards, between 28 and 34'")
    page.click("#hide")
    assert not page.is_visible("#count")
    page.click("#stage")
    assert page.is_visible("#count")
    page.click("#secret")
    assert not page.is_visible("#hide")


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
    show(page, "notes.txt", b"seven of clubs", "text/plain")
    state(page, "problem")
    assert violations() == []
