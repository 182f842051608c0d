"""The page in a real browser; a stand-in for the network answers from a picture's colour."""

import argparse
import json
import re
import shutil
import socket
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import urlopen

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from support import ABOUT, ARGUMENTS, BROWSERS, PATIENCE

from cardpose.cli import app
from cardpose.cli.site import APP, build_site, read_site
from cardpose.common.onnx_runtime import import_onnxruntime
from cardpose.geometry.keypoints import EDGES, KEYPOINTS
from cardpose.inference.end_to_end import Outputs
from cardpose.inference.export import export_onnx
from cardpose.network.model import COUNTS, CardPose, network_shape
from cardpose.rendering.renderer import Renderer
from cardpose.rendering.scenes import random_scene

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

expect = playwright.expect

OUTPUTS = {
    "keypoints": (8, 2),
    "visibility": (8,),
    "cards": (),
    "low": (),
    "high": (),
    "confidence": (),
    "rotation": (3, 3),
    "box": (8,),
    "corners": (8,),
}


def stand_in(path):
    """Write an ONNX file with the inputs and outputs of an exported network to `path`.

    Cards are 52 times the picture's mean red. Much blue makes the interval wide, no green means no
    packet. The corners stand at the same shares of every picture; the last is hidden.
    """
    constants, nodes = [], []

    def constant(name, value, kind=np.float32):
        constants.append(numpy_helper.from_array(np.array(value, kind), name))
        return name

    def node(operator, inputs, output, **attributes):
        nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    node("Cast", ["pictures"], "floats", to=TensorProto.FLOAT)
    node("ReduceMean", ["floats", constant("sides", [1, 2], np.int64)], "sum", keepdims=0)
    node("Div", ["sum", constant("white", 255)], "mean")
    for place, colour in enumerate(("red", "green", "blue")):
        node("Gather", ["mean", constant(f"at_{colour}", place, np.int64)], colour, axis=1)
    node("Mul", ["red", constant("deck", 52)], "cards")
    node("Sub", ["blue", constant("much", 0.8)], "bluer")
    node("Relu", ["bluer"], "excess")
    node("Mul", ["excess", constant("steep", 100)], "wider")
    node("Add", ["wider", constant("usual", 3)], "margin")
    node("Sub", ["cards", "margin"], "low")
    node("Add", ["cards", "margin"], "high")
    node("Mul", ["green", constant("four", 4)], "greener")
    node("Clip", ["greener", constant("zero", 0), constant("one", 1)], "confidence")
    node("Shape", ["pictures"], "shape")
    node("Gather", ["shape", constant("first", [0], np.int64)], "n", axis=0)
    node("Gather", ["shape", constant("size", [2, 1], np.int64)], "whole", axis=0)
    node("Cast", ["whole"], "pixels", to=TensorProto.FLOAT)

    def for_each(name, value):
        node("Concat", ["n", constant(f"{name}_rest", value.shape, np.int64)], f"{name}_n", axis=0)
        return node("Expand", [constant(f"one_{name}", value, value.dtype), f"{name}_n"], name)

    back = [[0.3, 0.3], [0.6, 0.25], [0.45, 0.6], [0.75, 0.5]]
    face = [[x, y + 0.08] for x, y in back]
    order = [face[0], face[1], back[0], back[1], face[2], face[3], back[2], back[3]]
    node("Mul", [for_each("shares", np.array(order, np.float32)), "pixels"], "keypoints")
    for_each("visibility", np.array([0.1] + 7 * [0.9], np.float32))
    for_each("rotation", np.eye(3, dtype=np.float32))
    for_each("box", np.zeros(8, np.float32))
    for_each("corners", np.arange(8))
    outputs = [
        helper.make_tensor_value_info(
            name, TensorProto.INT64 if name == "corners" else TensorProto.FLOAT, ["n", *shape]
        )
        for name, shape in OUTPUTS.items()
    ]
    picture = helper.make_tensor_value_info(
        "pictures", TensorProto.UINT8, ["n", "height", "width", 3]
    )
    graph = helper.make_graph(nodes, "stand_in", [picture], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    about = {"image_size": [320, 240], "deck": 52, "focal": 1.06, "card": [63, 88, 0.3]}
    helper.set_model_props(model, {"cardpose": json.dumps({**about, "count": "picture"})})
    onnx.checker.check_model(model)
    onnx.save(model, path)


def answer(model, pictures):
    """What Python makes of (n, height, width, 3) BGR pictures: {output: array}."""
    session = import_onnxruntime().InferenceSession(model)
    values = session.run(None, {"pictures": np.ascontiguousarray(pictures[..., ::-1])})
    return dict(zip([output.name for output in session.get_outputs()], values, strict=True))


@pytest.fixture(scope="module")
def recording():
    """(frames, height, width, 3) uint8 BGR: a rendered recording of 24 cards."""
    renderer = Renderer(random_scene(3, 24, 12))
    return np.stack([renderer.frame(index) for index in range(12)])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "stand_in.onnx"
    stand_in(path)
    return path


@pytest.fixture(scope="module")
def files(model):
    if not (APP / "node_modules/onnxruntime-web").is_dir():
        pytest.skip("app/node_modules is not there: `make test` installs it, if npm is there")
    return read_site(model)


@pytest.fixture(scope="module")
def browser(recording, tmp_path_factory):
    """Chromium with a camera that shows the recording, over and over."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip("no Chromium: `make test` installs it on Debian as root")
    film = tmp_path_factory.mktemp("camera") / "camera.y4m"
    with film.open("wb") as file:
        file.write(b"YUV4MPEG2 W640 H480 F30:1 Ip A1:1 C420mpeg2\n")
        for frame in recording:
            file.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420).tobytes())
    camera = f"--use-file-for-fake-video-capture={film}"
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=executable, args=[*ARGUMENTS, camera], timeout=PATIENCE
        )
        yield browser
        browser.close()


@contextmanager
def running(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def url(files):
    with running(app.site_server(files, 0)) as url:
        yield url


@pytest.fixture
def visit(browser):
    """visit(url, **context): a page there. No error may be logged, nothing fetched elsewhere."""
    contexts, requests, errors = [], [], []

    def go(url, camera=True, **options):
        usual = {"service_workers": "block", "viewport": {"width": 390, "height": 844}}
        options = usual | {"reduced_motion": "reduce"} | options
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        if camera:
            context.grant_permissions(["camera"])
        context.on("request", lambda request: requests.append(request.url))
        context.on("weberror", lambda error: errors.append(str(error.error)))
        context.on(
            "console", lambda message: message.type == "error" and errors.append(message.text)
        )
        page = context.new_page()
        page.on("filechooser", lambda _: None)  # taken from now on, not only once waited for
        page.goto(url)
        page.origin = url.split("/")[2]
        page.errors = errors
        go.origins.add(page.origin)
        return page

    go.origins = set()
    yield go
    for context in contexts:
        context.close()
    elsewhere = [r for r in requests if r.split("/")[0] in ("http:", "https:", "ws:", "wss:")]
    assert {r.split("/")[2] for r in elsewhere} <= go.origins
    assert errors == []


def show(page, name, content, kind="image/png"):
    """Hand a file to the page, as bytes or as a BGR picture."""
    if isinstance(content, np.ndarray):
        content = cv2.imencode(".png", content)[1].tobytes()
    page.set_input_files("#picker", {"name": name, "mimeType": kind, "buffer": content})


def state(page, *states):
    """Wait until the page is in one of these states."""
    page.wait_for_selector(", ".join(f"body[data-state={state}]" for state in states))


def plain(red, green, blue):
    return np.full((48, 64, 3), (blue, green, red), np.uint8)


def test_the_stand_in_and_the_page_know_the_same_corners_and_edges_as_python(visit, url):
    page = visit(url)
    names, edges = page.evaluate(
        "import('./drawing.js').then(({KEYPOINTS, EDGES}) => [KEYPOINTS, EDGES])"
    )
    assert tuple(names) == KEYPOINTS
    assert tuple(map(tuple, edges)) == EDGES


def test_the_stand_in_answers_as_an_exported_network_does():
    assert tuple(OUTPUTS) == Outputs._fields


def test_an_exported_network_runs_in_the_browser_as_in_python(visit, files, recording, tmp_path):
    torch.manual_seed(0)
    about = ABOUT | {"margins": dict.fromkeys(COUNTS, 2.5)}
    network = CardPose(**network_shape(about)).eval()
    export_onnx(tmp_path / "cardpose.onnx", network, about, "both", {})
    expected = answer(tmp_path / "cardpose.onnx", recording[5:6])
    served = files | {
        "cardpose.onnx": (tmp_path / "cardpose.onnx").read_bytes(),
        "empty.html": b"<!doctype html><link rel=icon href=icons/icon.svg>",
        "packet.png": cv2.imencode(".png", recording[5])[1].tobytes(),
    }
    with running(app.site_server(served, 0)) as url:
        found = visit(url + "empty.html").evaluate("""async () => {
            const { Counter } = await import("./counter.js");
            const file = await (await fetch("packet.png")).blob();
            return await new Counter().count(await createImageBitmap(file), 1920);
        }""")
    assert found["cards"] == pytest.approx(expected["cards"][0], abs=0.1)
    assert found["high"] - found["cards"] == pytest.approx(2.5)
    assert found["visible"] == (expected["visibility"][0] > 0.5).tolist()
    assert found["corners"] == expected["corners"][0].tolist()
    np.testing.assert_allclose(found["keypoints"], expected["keypoints"][0], atol=0.05)


def test_corners_are_joined_as_those_of_the_box_that_was_fitted(visit, url):
    page = visit(url)
    points = [[10 * i, i * i] for i in range(8)]
    corners = [0, 1, 2, 3, 5, 4, 7, 6]  # below, what is left of the box is named right
    lines = page.evaluate(
        """async ([points, corners]) => {
            const { drawPacket } = await import("./drawing.js");
            const lines = new Set();
            let from;
            const context = {
                moveTo: (x, y) => (from = [x, y]),
                lineTo: (x, y) => lines.add(JSON.stringify([from, [x, y]])),
            };
            const nothing = ["setLineDash", "beginPath", "arc", "fill", "stroke"];
            for (const name of nothing) context[name] = () => {};
            drawPacket(context, points, Array(8).fill(true), corners, 1);
            return [...lines].map(JSON.parse);
        }""",
        [points, corners],
    )
    joined = {frozenset(points.index(end) for end in line) for line in lines}
    # The long edges of the back, 3-7 and 6-2, and of the face, change ends; nothing else does.
    expected = [
        *([2, 3], [3, 6], [7, 6], [7, 2], [0, 1], [1, 4], [5, 4], [5, 0]),
        *([0, 2], [1, 3], [4, 6], [5, 7]),
    ]
    assert joined == set(map(frozenset, expected))


def test_hidden_corners_are_drawn_where_the_others_say(visit, url):
    page = visit(url)
    renderer = Renderer(random_scene(1, 40, 1))
    points, visible = renderer.keypoints(0)
    assert sorted(visible) == [False] + 7 * [True]
    complete = "packet => import('./drawing.js').then(({completed}) => completed(...packet))"
    guessed = np.where(visible[:, None], points, -1)  # what the network says of it means nothing
    found = page.evaluate(complete, [guessed.tolist(), visible.tolist()])
    # Cards have slipped by up to 2 mm, and in perspective nothing changes quite evenly.
    thick = np.linalg.norm(points[[0, 1, 4, 5]] - points[[2, 3, 6, 7]], axis=1)
    assert np.linalg.norm(np.array(found) - points, axis=1).max() < 0.15 * thick.mean()
    # With no corner of the face, nobody can say how thick the packet is.
    only_back = [False, False, True, True] * 2
    assert page.evaluate(complete, [points.tolist(), only_back])[::4] == [None, None]


def test_a_photo_is_counted_as_python_counts_it(visit, url, model, recording):
    page = visit(url)
    show(page, "packet.png", recording[5])
    state(page, "sure", "unsure")
    expected = answer(model, recording[5:6])
    shown = float(page.get_attribute("body", "data-cards"))
    assert shown == pytest.approx(expected["cards"][0], abs=0.1)
    assert page.inner_text("#count") == str(round(shown))
    low, high = round(expected["low"][0]), round(expected["high"][0])
    assert page.inner_text("#words") == f"between {low} and {high}"
    assert re.fullmatch(r"counted in \d+ ms", page.inner_text("#rate"))
    # A visible corner of the back is green where Python sees it; the hidden one is not filled in.
    at = """([x, y]) => {
        const canvas = document.getElementById("drawing"), scale = canvas.width / 640;
        const top = (canvas.height - 480 * scale) / 2;
        const context = canvas.getContext("2d");
        return [...context.getImageData(x * scale, top + y * scale, 1, 1).data];
    }"""
    assert page.evaluate(at, expected["keypoints"][0, 2].tolist()) == [88, 224, 122, 255]
    assert page.evaluate(at, expected["keypoints"][0, 1].tolist()) == [255, 194, 26, 255]
    assert page.evaluate(at, expected["keypoints"][0, 0].tolist()) != [255, 194, 26, 255]


def test_a_large_photo_is_counted_at_a_smaller_size_and_drawn_at_its_own(visit, url):
    page = visit(url)
    show(page, "large.png", cv2.resize(plain(150, 200, 60), (4000, 3000)))
    state(page, "sure")
    # The stand-in sums millions of pixels in single precision.
    assert float(page.get_attribute("body", "data-cards")) == pytest.approx(52 * 150 / 255, abs=1)
    # The corner of the back at three tenths of the width and height.
    green = """() => {
        const canvas = document.getElementById("drawing"), scale = canvas.width / 4000;
        const top = (canvas.height - 3000 * scale) / 2;
        const context = canvas.getContext("2d");
        return [...context.getImageData(1200 * scale, top + 900 * scale, 1, 1).data];
    }"""
    assert page.evaluate(green) == [88, 224, 122, 255]


def test_a_photo_taken_with_the_phone_on_its_side_stands_upright(visit, url, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise
    Image.fromarray(plain(150, 200, 60)).save(tmp_path / "turned.jpg", exif=exif)
    page = visit(url)
    show(page, "turned.jpg", (tmp_path / "turned.jpg").read_bytes(), "image/jpeg")
    state(page, "sure")
    assert page.evaluate("document.getElementById('photo').naturalWidth") == 48


def test_the_camera_is_counted_all_the_time(visit, url, model, recording):
    page = visit(url)
    page.click("#camera")
    state(page, "sure", "unsure")
    expected = answer(model, recording)
    page.wait_for_selector("#rate:visible")
    assert expected["low"].min() <= float(page.get_attribute("body", "data-cards"))
    assert float(page.get_attribute("body", "data-cards")) <= expected["high"].max()
    expect(page.locator("#spoken")).to_have_text(re.compile(r"(About )?\d+ cards?, between"))
    rate = re.fullmatch(r"([\d.]+) pictures a second", page.inner_text("#rate"))
    assert float(rate[1]) > 1
    page.click("#close")
    assert page.evaluate("document.getElementById('video').srcObject") is None


def test_threads_are_used_where_the_server_allows_them(visit, url):
    assert visit(url).evaluate("crossOriginIsolated")


def test_a_refused_camera_is_explained(visit, url):
    page = visit(url, camera=False)
    page.click("#camera")
    state(page, "problem")
    assert "The camera is blocked. Allow it" in page.inner_text("#words")
    assert page.evaluate("document.activeElement.id") == "again"
    page.context.grant_permissions(["camera"])
    page.keyboard.press("Enter")
    state(page, "sure", "unsure")


def test_a_page_from_elsewhere_without_https_says_why_there_is_no_camera(visit, url):
    page = visit(url)
    page.evaluate("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")
    page.click("#camera")
    state(page, "problem")
    assert "only to pages that came over https" in page.inner_text("#words")


def test_a_file_that_is_no_picture_is_named(visit, url):
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
def test_a_page_without_its_network_says_so(visit, files, content, words):
    files = {path: kept for path, kept in files.items() if path != "cardpose.onnx"}
    if content:
        files["cardpose.onnx"] = content
    with running(app.site_server(files, 0)) as url:
        page = visit(url)
        state(page, "problem")
        assert words in page.inner_text("#words")
        page.errors[:] = [error for error in page.errors if "404" not in error]


def test_a_video_plays_and_is_counted(visit, url, model, recording, tmp_path, write_video):
    write_video(tmp_path / "film.webm", recording, "VP80")
    page = visit(url)
    show(page, "film.webm", (tmp_path / "film.webm").read_bytes(), "video/webm")
    state(page, "sure", "unsure")
    assert page.is_visible("#play")
    page.wait_for_function("() => document.getElementById('video').ended")
    expected = answer(model, recording)["cards"]
    shown = float(page.get_attribute("body", "data-cards"))
    assert expected.min() - 0.5 < shown < expected.max() + 0.5  # the codec changes colours
    assert page.inner_text("#play") == "Play"
    page.click("#play")
    page.wait_for_function("() => !document.getElementById('video').ended")


def test_it_says_when_there_is_no_packet_and_when_it_is_unsure(visit, url):
    page = visit(url)
    show(page, "nothing.png", plain(200, 0, 0))
    state(page, "none")
    assert "No packet in sight" in page.inner_text("#words")
    assert not page.is_visible("#count")
    assert page.get_attribute("body", "data-cards") == ""
    show(page, "blue.png", plain(100, 100, 250))
    state(page, "unsure")
    assert page.inner_text("#about") == "about"
    assert "Not sure yet" in page.inner_text("#words")


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


def test_pictures_of_a_second_are_steadied(visit, url):
    page = visit(url)
    steady = """answers => import("./steady.js").then(({ Steady }) => {
        const steady = new Steady();
        return answers.map(([time, cards, confidence, corners = 7]) => {
            const visible = Array(8).fill(true, 0, corners);
            steady.add({ cards, low: cards - 3, high: cards + 4, confidence, visible }, time);
            return steady.summary(time);
        });
    })"""
    first, second, third, missed, gone, fresh = page.evaluate(
        steady,
        [
            [0, 20, 1],
            [100, 21, 1],
            [200, 29, 0.6],  # weighs less, and does not agree
            [400, 5, 0.1],  # once not seen, not yet forgotten
            [700, 5, 0.1],  # 500 ms after it was last seen
            [800, 0.2, 0.9],
        ],
    )
    assert first == {"state": "sure", "cards": 20, "whole": 20, "low": 17, "high": 24}
    assert (second["cards"], second["whole"]) == (20.5, 20)  # not far enough from 20
    assert (third["state"], third["cards"], third["whole"]) == ("unsure", 21, 21)
    assert missed == third
    assert gone == {"state": "none"}
    assert (fresh["cards"], fresh["whole"]) == (0.2, 1)  # a packet has a card
    late = page.evaluate(steady, [[0, 20, 1], [900, 30, 1], [1100, 30, 1]])
    assert [summary["cards"] for summary in late] == [20, 25, 30]
    assert late[1]["state"] == "unsure"
    whole = page.evaluate("""() => import("./steady.js").then(({ Steady }) => {
        const steady = new Steady(Infinity), visible = Array(8).fill(true);
        for (const [time, cards] of [[0, 20], [2000, 30], [4000, 31]])
            steady.add({ cards, low: cards, high: cards, confidence: 1, visible }, time);
        return [steady.summary(4500).cards, steady.summary(4500, Infinity)];
    })""")
    all_of_it = {"state": "sure", "cards": 30, "whole": 30, "low": 30, "high": 30}
    assert whole == [31, all_of_it]
    cut_off = page.evaluate(steady, [[0, 20, 1, 5], [2000, 20, 1, 4]])
    assert [summary["state"] for summary in cut_off] == ["sure", "unsure"]


def test_a_count_without_an_interval_shows_none(visit, url):
    page = visit(url)
    summary = page.evaluate("""import("./steady.js").then(({ Steady }) => {
        const steady = new Steady();
        const visible = Array(8).fill(true);
        steady.add({ cards: 7, low: NaN, high: NaN, confidence: 1, visible }, 0);
        const { state, whole, low } = steady.summary(0);
        return [state, whole, Number.isNaN(low)];
    })""")
    assert summary == ["sure", 7, True]


def test_the_keyboard_does_it_all(visit, url, tmp_path):
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
def test_nothing_stands_in_the_way_of_a_screen_reader_or_of_poor_eyes(visit, url, scheme):
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


class SubPath(SimpleHTTPRequestHandler):
    """A plain web server, as static hosts are: it sends none of the headers that threads need."""

    def log_message(self, *_):
        pass


def test_a_built_folder_works_in_a_sub_path_of_any_host_and_then_without_it(visit, files, tmp_path):
    build_site(tmp_path / "host/cards/page", files)
    host = ThreadingHTTPServer(("127.0.0.1", 0), partial(SubPath, directory=tmp_path / "host"))
    with running(host) as url:
        page = visit(url + "cards/page/", service_workers="allow")
        assert not page.evaluate("crossOriginIsolated")
        show(page, "packet.png", plain(150, 200, 60))
        state(page, "sure")
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.reload()
    assert page.evaluate("crossOriginIsolated")  # the page's own worker sends the headers
    show(page, "packet.png", plain(200, 200, 60))
    state(page, "sure")
    assert page.inner_text("#count") == str(round(52 * 200 / 255))


def test_a_new_version_replaces_the_old_one(visit, model, files, tmp_path):
    served = dict(files)
    with running(app.site_server(served, 0)) as url:
        page = visit(url, service_workers="allow")
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        page.reload()
        [old] = page.evaluate("caches.keys()")
        shutil.copytree(APP, tmp_path / "app", symlinks=True, ignore=ignored)
        (tmp_path / "app/node_modules").symlink_to(APP / "node_modules")
        style = tmp_path / "app/style.css"
        style.write_text(style.read_text() + "\nbody { --new: 1; }\n")
        served.update(read_site(model, tmp_path / "app"))
        # While somebody counts, the new version only offers itself.
        show(page, "packet.png", plain(150, 200, 60))
        state(page, "sure")
        page.evaluate("navigator.serviceWorker.getRegistration().then((r) => r.update())")
        with page.expect_navigation():
            page.click("#renew")
        page.wait_for_function(
            "() => getComputedStyle(document.body).getPropertyValue('--new') === '1'"
        )
        page.wait_for_function("() => caches.keys().then((names) => names.length === 1)")
        assert page.evaluate("caches.keys()") != [old]


def ignored(_, names):
    return {"node_modules"} & set(names)


def test_the_page_may_fetch_from_nowhere_else(visit, url):
    page = visit(url)
    with socket.create_server(("127.0.0.1", 0)) as other:
        elsewhere = f"http://127.0.0.1:{other.getsockname()[1]}/"
        refused = page.evaluate("url => fetch(url).catch((e) => String(e))", elsewhere)
    assert "Failed to fetch" in refused
    assert any("Content Security Policy" in error for error in page.errors)
    page.errors.clear()


def test_a_host_name_that_is_let_point_to_this_machine_gets_nothing(browser, url):
    port = url.rstrip("/").rpartition(":")[2]
    with browser.new_page() as page:
        assert page.goto(f"http://localhost:{port}/").status == 200
        assert page.goto(f"http://evil.example:{port}/cardpose.onnx").status == 421


def test_the_server_sends_what_threads_and_policies_need(files):
    with running(app.site_server(files, 0)) as url:
        for path, kind in [
            ("", "text/html; charset=utf-8"),
            ("ort/ort-wasm-simd-threaded.wasm", "application/wasm"),
            ("ort/ort.wasm.min.mjs", "text/javascript; charset=utf-8"),
            ("manifest.webmanifest", "application/manifest+json"),
        ]:
            with urlopen(url + path) as response:
                headers = response.headers
                assert headers["Content-Type"] == kind
                assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
                assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
                assert headers["Content-Security-Policy"].startswith("default-src 'self';")
                assert len(response.read()) == int(headers["Content-Length"])
        with pytest.raises(OSError, match="404"):
            urlopen(url + "%2e%2e/pyproject.toml")


def arguments(*words):
    parser = argparse.ArgumentParser()
    app.add_app_arguments(parser)
    return parser.parse_args(words)


def test_the_command_serves_until_it_is_interrupted(monkeypatch, model, files, capsys):
    opened = []

    def interrupted(server):
        opened.append(server.server_port)
        raise KeyboardInterrupt

    monkeypatch.setattr(app.PageServer, "serve_forever", interrupted)
    monkeypatch.setattr(app.webbrowser, "open", opened.append)
    app.run_app(arguments("--model", str(model), "--port", "0"))
    url, port = opened
    assert url == f"http://127.0.0.1:{port}/"
    assert capsys.readouterr().out.startswith(url)
    app.run_app(arguments("--model", str(model), "--port", "0", "--no-browser"))
    assert len(opened) == 3


def test_a_missing_model_is_named(complains, tmp_path):
    with complains("none.onnx: there is no such file", "`make repro`"):
        app.run_app(arguments("--model", str(tmp_path / "none.onnx")))
    (tmp_path / "note.onnx").write_text("no network")
    with complains("note.onnx", "should be a network"):
        app.run_app(arguments("--model", str(tmp_path / "note.onnx")))


def test_missing_packages_are_named(complains, model, tmp_path):
    shutil.copytree(APP, tmp_path / "app", ignore=ignored)
    with complains("onnxruntime-web", "`make app`"):
        read_site(model, tmp_path / "app")


def test_a_taken_port_is_named(complains, files):
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        complains(f"port {taken.getsockname()[1]}", "in use", "--port"),
    ):
        app.site_server(files, taken.getsockname()[1])
    with complains("port 99999", "--port"):
        app.site_server(files, 99999)


def test_a_folder_with_something_else_in_it_is_left_alone(complains, model, files, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with complains("mine", "holds something else"):
        build_site(tmp_path / "mine", files)
    assert (tmp_path / "mine/notes.txt").read_text() == "mine"


def test_building_again_replaces_what_was_built(model, files, tmp_path, capsys):
    words = ("--model", str(model), "--build", str(tmp_path / "page"))
    listed = files["sw.js"].replace(b"FILES = [", b'FILES = ["old.js", ')
    build_site(tmp_path / "page", {**files, "old.js": b"", "sw.js": listed})
    (tmp_path / "page/CNAME").write_text("cards.example")  # what a host may want there
    app.run_app(arguments(*words))
    assert "page: upload this folder" in capsys.readouterr().out
    built = [path for path in (tmp_path / "page").rglob("*") if path.is_file()]
    contents = {path.relative_to(tmp_path / "page").as_posix(): path.read_bytes() for path in built}
    assert contents == {**files, "CNAME": b"cards.example"}
