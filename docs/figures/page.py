"""Take pictures of the page that counts in the browser.

    python -m docs.figures.page

Films two rendered packets of a seed that no network has seen, shows them to the page with the
network of `make repro` through Chromium's made-up camera, and writes three pictures: a phone whose
count has locked, a screen halfway round, and a phone in stage mode. Needs `make browser`.
"""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page

from benchmarks.page import chromium, write_film
from cardpose.cli.app import site_server
from cardpose.cli.page_server import ADDRESS
from cardpose.cli.site import read_site
from cardpose.geometry.card import CARD
from cardpose.inference.networks import ONNX_NETWORK
from cardpose.rendering.renderer import Renderer
from cardpose.rendering.scenes import random_scene
from docs.figures.style import PICTURES, ROOT

_SEED = 9001
_PHONE_CARDS, _SCREEN_CARDS = 21, 37
_FRAMES, _STEP = 900, 9  # of the camera's path once round the packet
_RATE = 10  # pictures a second
_PHONE, _SCREEN = (390, 844), (1000, 640)  # width and height in pixels
_HALFWAY = 18  # sectors of the ring
_PATIENCE = 600_000  # ms


@contextmanager
def counting_page(
    cards: int, size: tuple[int, int], scheme: Literal["light", "dark"]
) -> Iterator[Page]:
    """Yield the page while its camera goes round a packet of `cards` cards."""
    renderer = Renderer(random_scene(_SEED, cards, _FRAMES, card=CARD))
    server = site_server(read_site(ROOT / ONNX_NETWORK), 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "camera.y4m"
        write_film(film, [renderer.frame(i) for i in range(0, _FRAMES, _STEP)], _RATE)
        with chromium(f"--use-file-for-fake-video-capture={film}") as browser:
            page = browser.new_page(
                viewport={"width": size[0], "height": size[1]},
                color_scheme=scheme,
                permissions=["camera"],
                reduced_motion="reduce",
            )
            page.set_default_timeout(_PATIENCE)
            page.goto(f"http://{ADDRESS}:{server.server_port}/")
            page.click("#camera")
            yield page
    server.shutdown()
    server.server_close()


def main() -> None:
    with counting_page(_PHONE_CARDS, _PHONE, "light") as page:
        page.wait_for_selector("body[data-state=sure]")
        page.screenshot(path=PICTURES / "page-phone.png")
        page.click("#dark")
        page.click("text=Go black")
        page.wait_for_selector("body[data-state=sure]")
        page.click("#black")
        page.screenshot(path=PICTURES / "page-stage.png")
    with counting_page(_SCREEN_CARDS, _SCREEN, "dark") as page:
        page.wait_for_function(
            f"() => document.querySelectorAll('#ring .seen').length >= {_HALFWAY}"
        )
        page.screenshot(path=PICTURES / "page-desktop.png")


if __name__ == "__main__":
    main()
