"""Measure the page in headless Chromium: pictures a second, and the seconds of a first visit.

    python -m benchmarks.page [--cores 0] [--model FILE]
    python -m benchmarks.page --visit [--megabits 10] [--latency 40] [--slowdown 4]

Without `--visit`, show the page a rendered recording through a made-up camera and print what its
meter says. Chromium gets the named processor cores and no other.

With `--visit`, serve the page as GitHub Pages does and visit it twice over a slow connection. Print
the bytes sent and the seconds until the first count of a photo. Chromium throttles the connection,
and its processes are paused so that they run for one `--slowdown`-th of the time.

Needs `make browser` and a network.
"""

import argparse
import gzip
import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import psutil
from jaxtyping import UInt8
from playwright.sync_api import Browser, Page, sync_playwright

from cardpose.cli.app import site_server
from cardpose.cli.page_server import ADDRESS, TYPES
from cardpose.cli.shared import chosen_network
from cardpose.cli.site import read_site
from cardpose.rendering.renderer import Renderer
from cardpose.rendering.scenes import random_scene

Frame = UInt8[np.ndarray, "height width 3"]
_FRAMES = 60  # of the recording, over and over
_WARM, _SECONDS = 5, 10
_SLICE = 0.1  # seconds between two pauses of Chromium
_PATIENCE = 300_000  # ms
_COMPRESSED = (".css", ".html", ".js", ".mjs", ".svg", ".wasm", ".webmanifest")  # by GitHub Pages
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, help="ONNX file (default: as `cardpose app`)")
    parser.add_argument("--cores", default="0", help="processor cores, like 0 or 0,1")
    parser.add_argument("--visit", action="store_true", help="measure a first and a second visit")
    parser.add_argument("--megabits", type=float, default=10, help="received per second")
    parser.add_argument("--latency", type=float, default=40, help="of a request, in ms")
    parser.add_argument("--slowdown", type=float, default=4, help="of the processor")
    chosen = parser.parse_args()
    files = read_site(chosen.model or chosen_network(".onnx"))
    frames = [Renderer(random_scene(3, 24, _FRAMES)).frame(index) for index in range(_FRAMES)]
    os.sched_setaffinity(0, [int(core) for core in chosen.cores.split(",")])
    if chosen.visit:
        _print_visits(files, frames[0], chosen.megabits, chosen.latency, chosen.slowdown)
    else:
        _print_rate(files, frames)


def _print_rate(files: dict[str, bytes], frames: list[Frame]) -> None:
    """Print what the page's meter says once a second."""
    server = site_server(files, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "camera.y4m"
        write_film(film, frames)
        with chromium(f"--use-file-for-fake-video-capture={film}") as browser:
            page = browser.new_context(permissions=["camera"]).new_page()
            page.goto(f"http://{ADDRESS}:{server.server_port}/")
            page.click("#camera")
            page.wait_for_selector("#rate:visible", timeout=_PATIENCE)
            time.sleep(_WARM)
            rates = []
            for _ in range(_SECONDS):
                time.sleep(1)
                rates.append(float(page.inner_text("#rate").split()[0]))
    print(f"{np.median(rates):.1f} pictures a second (from {min(rates):.1f} to {max(rates):.1f})")


def _print_visits(
    files: dict[str, bytes], photo: Frame, megabits: float, latency: float, slowdown: float
) -> None:
    """Print what a first and a second visit download, and the seconds until the first count."""
    server = _GitHubLike(files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with chromium() as browser, tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "photo.png"
        cv2.imwrite(str(picture), photo)
        page = browser.new_page()
        network = page.context.new_cdp_session(page)
        network.send("Network.enable")
        rate = megabits * 1e6 / 8
        network.send(
            "Network.emulateNetworkConditions",
            {
                "offline": False,
                "latency": latency,
                "downloadThroughput": rate,
                "uploadThroughput": rate,
            },
        )
        for visit in ("first", "second"):
            server.sent = 0
            with _slowed(slowdown):
                seconds = _first_count(page, f"http://{ADDRESS}:{server.server_port}/", picture)
            page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")
            print(f"{visit} visit: {server.sent / 1e6:.2f} MB, {seconds:.1f} s to the first count")


def _first_count(page: Page, url: str, picture: Path) -> float:
    """Return the seconds from the request of the page to the count of a photo."""
    began = time.monotonic()
    page.goto(url)
    page.set_input_files("#picker", picture)
    page.wait_for_selector("body[data-cards]:not([data-cards=''])", timeout=_PATIENCE)
    return time.monotonic() - began


class _GitHubLike(ThreadingHTTPServer):
    """Serve files with the compression and caching of GitHub Pages.

    Attributes:
        sent: bytes of the bodies that were sent.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.sent = 0
        self.bodies = {
            path: gzip.compress(body, 6) if path.endswith(_COMPRESSED) else body
            for path, body in files.items()
        }
        super().__init__((ADDRESS, 0), _GitHubLikeHandler)


class _GitHubLikeHandler(BaseHTTPRequestHandler):
    server: _GitHubLike
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].removeprefix("/") or "index.html"
        body = self.server.bodies.get(path, b"")
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        fresh = self.headers.get("If-None-Match") == tag
        self.send_response(304 if fresh else 200 if body else 404)
        self.send_header("ETag", tag)
        self.send_header("Cache-Control", "max-age=600")
        if not fresh:
            self.send_header("Content-Type", TYPES.get(Path(path).suffix, "text/plain"))
            self.send_header("Content-Length", str(len(body)))
            if path.endswith(_COMPRESSED):
                self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        if not fresh:
            self.wfile.write(body)
            self.server.sent += len(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def _slowed(factor: float) -> Iterator[None]:
    """Pause all processes of Chromium so that they run for one `factor`-th of the time."""
    done = threading.Event()

    def pause() -> None:
        while not done.is_set():
            began = time.monotonic()
            processes = [
                each for each in psutil.Process().children(recursive=True) if "chrom" in each.name()
            ]
            done.wait(max(0, began + _SLICE / factor - time.monotonic()))
            for process in processes:
                process.suspend()
            done.wait(_SLICE * (1 - 1 / factor))
            for process in processes:
                process.resume()

    thread = threading.Thread(target=pause)
    if factor > 1:
        thread.start()
    try:
        yield
    finally:
        done.set()
        if factor > 1:
            thread.join()


def write_film(path: Path, frames: list[Frame], rate: int = 30) -> None:
    """Write BGR frames as the raw video that Chromium's made-up camera plays, `rate` per second."""
    height, width = frames[0].shape[:2]
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{rate}:1 Ip A1:1 C420mpeg2\n".encode())
        for frame in frames:
            file.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420).tobytes())


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """Yield headless Chromium."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=executable, args=[*_FLAGS, *flags])
        yield browser
        browser.close()


if __name__ == "__main__":
    main()
