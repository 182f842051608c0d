"""Fixtures for the page: in a real browser, and small ones without a browser."""

import numpy as np
import pytest
from browser_page import INDEX, chromium, running, write_colour_network, write_film
from support import PATIENCE

from cardpose.cli.app import site_server
from cardpose.cli.site import APP, read_site
from cardpose.rendering.renderer import Renderer
from cardpose.rendering.scenes import random_scene

PACKAGES = {
    "onnxruntime-web/dist": (
        "ort.wasm.min.mjs",
        "ort-wasm-simd-threaded.mjs",
        "ort-wasm-simd-threaded.wasm.zst",
    ),
    "fzstd/esm": ("index.mjs",),
    "qrcode-generator/dist": ("qrcode.mjs",),
}


@pytest.fixture
def small_app(tmp_path):
    """A small folder app/, with all files that `read_site` needs."""
    app = tmp_path / "source"
    for package, names in PACKAGES.items():
        folder = app / "node_modules" / package
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_bytes(b"package")
    (app / "icons").mkdir()
    (app / "icons/icon.svg").write_bytes(b"<svg/>")
    (app / "index.html").write_bytes(INDEX)
    (app / "page.js").write_bytes(b"// page")
    (app / "sw.js").write_bytes(b"// worker\n")
    return app


@pytest.fixture(scope="module")
def recording():
    """(frames, height, width, 3) uint8 BGR: a rendered recording of 24 cards."""
    renderer = Renderer(random_scene(3, 24, 12))
    return np.stack([renderer.frame(index) for index in range(12)])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "stand_in.onnx"
    write_colour_network(path)
    return path


@pytest.fixture(scope="module")
def files(model):
    if not (APP / "node_modules/onnxruntime-web").is_dir():
        pytest.skip("app/node_modules is not there: `make test` installs it, if npm is there")
    return read_site(model)


@pytest.fixture(scope="module")
def browser(recording, tmp_path_factory):
    """Chromium with a camera that shows the recording, over and over."""
    film = tmp_path_factory.mktemp("camera") / "camera.y4m"
    write_film(film, recording, 30)
    with chromium(film) as browser:
        yield browser


@pytest.fixture(scope="module")
def url(files):
    with running(site_server(files, 0)) as url:
        yield url


@pytest.fixture
def visit(browser):
    """visit(url, **context): open a page; no error may be logged and no other host contacted."""
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
