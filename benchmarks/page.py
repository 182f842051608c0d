"""How many pictures a second the page counts, by its own meter.

    python -m benchmarks.page [--cores 0]

Serves the page, shows it a rendered recording through a made-up camera in headless Chromium, which
gets the named processor cores and no other, and prints what the meter says. Needs `make browser`
and a trained network.
"""

import argparse
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import sync_playwright

from cardpose.cli import app
from cardpose.cli.page_server import ADDRESS
from cardpose.cli.site import read_site
from cardpose.inference.networks import ONNX_NETWORK
from cardpose.rendering.renderer import Renderer
from cardpose.rendering.scenes import random_scene

_FRAMES = 60  # of the recording, over and over
_WARM, _SECONDS = 5, 10
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cores", default="0", help="processor cores, like 0 or 0,1")
    parser.add_argument("--model", type=Path, default=Path(ONNX_NETWORK))
    chosen = parser.parse_args()
    served = app.site_server(read_site(chosen.model), 0)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    url = f"http://{ADDRESS}:{served.server_port}/"
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "camera.y4m"
        record(film)
        os.sched_setaffinity(0, [int(core) for core in chosen.cores.split(",")])
        rates = measure(url, film)
    print(f"{np.median(rates):.1f} pictures a second (from {min(rates):.1f} to {max(rates):.1f})")


def record(path):
    """Write a rendered recording as the raw video that Chromium's made-up camera takes."""
    renderer = Renderer(random_scene(3, 24, _FRAMES))
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W640 H480 F30:1 Ip A1:1 C420mpeg2\n")
        for index in range(_FRAMES):
            frame = cv2.cvtColor(renderer.frame(index), cv2.COLOR_BGR2YUV_I420)
            file.write(b"FRAME\n" + frame.tobytes())


def measure(url, film):
    """What the page's meter shows, a number a second."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    flags = [*_FLAGS, f"--use-file-for-fake-video-capture={film}"]
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=executable, args=flags)
        context = browser.new_context(permissions=["camera"])
        page = context.new_page()
        page.goto(url)
        page.click("#camera")
        page.wait_for_selector("#rate:visible", timeout=120_000)
        time.sleep(_WARM)
        rates = []
        for _ in range(_SECONDS):
            time.sleep(1)
            rates.append(float(page.inner_text("#rate").split()[0]))
        browser.close()
    return rates


if __name__ == "__main__":
    main()
