"""The real Label Studio, and somebody who labels in a real browser.

Takes minutes; `make test-label-studio` installs Label Studio into an environment of its own and
runs it, `make soak` runs it where that is installed.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from support import ARGUMENTS, BROWSERS, PATIENCE

from cardpose.dataset.annotations import read_annotations
from cardpose.dataset.extraction import extract_frames
from cardpose.dataset.recordings import read_recordings
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.labelling import studio_format, studio_server
from cardpose.labelling.proposals import Proposals, write_proposals
from cardpose.rendering.renderer import Renderer
from cardpose.rendering.scenes import random_scene

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
pytestmark = pytest.mark.soak

ROOT = Path(__file__).parents[2]
NEAR = 0.01  # pixels of the picture
SIZE = np.array([640, 480])
DATASET = "data/50% & more"
FRAMES = [f"packet 24_frame_{index}" for index in range(5)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder to work in, with a data set of five rendered frames; what is proposed is right."""
    program = ROOT / studio_server.PROGRAM
    if not program.exists():
        pytest.skip("Label Studio is not there: `make test-label-studio` installs it")
    folder = tmp_path_factory.mktemp("labelling")
    (folder / program.parts[-3]).symlink_to(program.parents[1])
    dataset = folder / DATASET
    (dataset / "videos" / "packet 24").mkdir(parents=True)
    renderer = Renderer(random_scene(3, 24, 5))
    for index in range(5):
        picture = dataset / "videos" / "packet 24" / f"frame_{index}.png"
        cv2.imwrite(str(picture), renderer.frame(index))
    rows = "video,cards_counted,total_cards\npacket 24,24,52\n"
    (dataset / "videos.csv").write_text(rows)
    extract_frames(read_recordings(dataset), 1, dataset / "labelling" / "frames", jobs=1)
    points, visible = map(np.array, zip(*map(renderer.keypoints, range(5)), strict=True))
    proposals = Proposals(FRAMES, points / SIZE, visible, np.full((5, 8), 0.75))
    write_proposals(dataset / "labelling" / "proposals.csv", proposals)
    return folder


@pytest.fixture(scope="module")
def proposed(folder):
    """{frame: (points in pixels, visible)}."""
    frames, points, visible, _ = read_annotations(
        folder / DATASET / "labelling" / "proposals.csv", outside=True
    )
    return {frame: (points[row] * SIZE, visible[row]) for row, frame in enumerate(frames)}


def cardpose(folder, *arguments):
    """What `cardpose ...` prints."""
    command = [sys.executable, "-m", "cardpose", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Studio:
    """`cardpose label studio`, running in a folder; `address` and `said` are what it tells."""

    def __init__(self, folder, *arguments):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [sys.executable, "-m", "cardpose", "label", "studio", DATASET]
        self.process = subprocess.Popen(
            [*command, "--port", str(port), *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        self.said = []
        for line in self.process.stdout:
            self.said.append(line)
            if line.startswith("or end"):
                break
        else:
            raise AssertionError("".join(self.said))
        self.address = f"http://127.0.0.1:{port}"
        access = folder / DATASET / "labelling" / "label-studio" / "access.json"
        self.access = json.loads(access.read_text())

    def end(self, how=signal.SIGINT):
        """End it; what it says then, and its status."""
        self.process.send_signal(how)
        said = self.process.stdout.read()
        return said, self.process.wait()


@pytest.fixture(scope="module")
def studio(folder):
    studio = Studio(folder)
    yield studio
    if studio.process.poll() is None:
        studio.end()


@pytest.fixture(scope="module")
def page(studio):
    """A page of a browser in which the labeller has logged in."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip("no Chromium: `make test-label-studio` installs it on Debian as root")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=executable, args=ARGUMENTS, timeout=PATIENCE
        )
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.asked = set()
        context.on("request", lambda request: page.asked.add(request.url))
        page.goto(f"{studio.address}/user/login/")
        page.fill("input[name=email]", "labeller@localhost")
        page.fill("input[name=password]", studio.access["password"])
        page.click("[type=submit]")
        page.wait_for_url(f"{studio.address}/")
        yield page
        browser.close()


class Task:
    """The task that the labelling stream shows: its `frame`, and where its picture lies in the
    page."""

    def __init__(self, page, show):
        with page.expect_response(lambda response: "id=next_task" in response.url) as answer:
            show()
        self.page, self.task = page, answer.value.json()
        self.frame = self.task["data"]["frame"]
        self.picture = page.locator("img[alt=image]")
        self.picture.wait_for()
        self.has(len(self.task["predictions"][0]["result"]))

    def has(self, marks):
        """Wait until it has so many marks."""
        expect(self.page.locator(".lsf-outliner-item__title")).to_have_count(
            marks, timeout=PATIENCE
        )

    def at(self, points):
        """Places in the page, in its pixels, from places in the picture."""
        box = self.settled()
        return np.asarray(points) / SIZE * (box["width"], box["height"]) + (box["x"], box["y"])

    def settled(self):
        """Where the picture lies, once it stays there."""
        before, end = None, time.monotonic() + PATIENCE / 1000
        while (box := self.picture.bounding_box()) != before and time.monotonic() < end:
            before = box
            self.page.wait_for_timeout(500)
        return box

    def scale(self):
        return self.settled()["width"] / SIZE[0]

    def drag(self, start, by):
        """Drag with the mouse from a place in the picture, by pixels of the page."""
        x, y = self.at(start)
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + by[0] / 2, y + by[1] / 2, steps=4)
        self.page.mouse.move(x + by[0], y + by[1], steps=4)
        self.page.mouse.up()
        expect(self.page.get_by_role("button", name="Undo")).to_be_enabled(timeout=PATIENCE)

    def submit(self):
        """Submit it; gives the next."""
        return Task(self.page, self.page.get_by_test_id("bottombar-submit-button").click)

    def screenshot(self, path):
        return cv2.imdecode(
            np.frombuffer(self.page.screenshot(path=path), np.uint8), cv2.IMREAD_COLOR
        )


def test_somebody_labels_in_the_browser(studio, page, folder, proposed, tmp_path):
    annotations = folder / DATASET / "annotations.csv"
    task = Task(page, lambda: page.goto(f"{studio.address}/projects/1/data?labeling=1"))
    expected = {}

    # The first: every proposal is to be seen in its colour, where it is proposed.
    assert task.frame == FRAMES[0]
    points, visible = proposed[task.frame]
    shot = task.screenshot(tmp_path / "proposals.png").astype(int)
    for k in np.flatnonzero(visible):
        x, y = task.at(points[k]).astype(int)
        colour = [int(studio_format.COLOURS[KEYPOINTS[k]][i : i + 2], 16) for i in (5, 3, 1)]
        near = abs(shot[y - 4 : y + 5, x - 4 : x + 5] - colour).max(axis=2)
        assert near.min() < 60, KEYPOINTS[k]
    # One of them is dragged, and only that one moves.
    k, by = np.flatnonzero(visible)[2], np.array([24, -18])
    task.drag(points[k], by)
    places = points.copy()
    places[k] += by / task.scale()
    expected[task.frame] = places, visible
    task.screenshot(tmp_path / "dragged.png")
    task = task.submit()

    # The second: a mark is deleted, another is put in with its key.
    assert task.frame == FRAMES[1]
    points, visible = proposed[task.frame]
    (hidden,) = np.flatnonzero(~visible)[:1]
    gone = np.flatnonzero(visible)[0]
    places, shows = points.copy(), visible.copy()
    page.mouse.click(*task.at(points[gone]))
    page.keyboard.press("Backspace")
    shows[gone] = False
    task.has(int(shows.sum()))
    page.keyboard.press(str(hidden + 1))
    chosen = page.locator(".lsf-label_selected")
    expect(chosen).to_contain_text(KEYPOINTS[hidden], timeout=PATIENCE)
    places[hidden], shows[hidden] = (40, 30), True
    page.mouse.click(*task.at(places[hidden]))
    task.has(int(shows.sum()))
    expected[task.frame] = places, shows
    task.screenshot(tmp_path / "put_in.png")
    task = task.submit()

    # The third is approved as it is, the fourth skipped; the fifth nobody gets to see.
    assert task.frame == FRAMES[2]
    expected[task.frame] = proposed[task.frame]
    task = task.submit()
    assert task.frame == FRAMES[3]
    Task(page, page.get_by_test_id("bottombar-skip-button").click)

    said = cardpose(folder, "label", "import", DATASET, studio.address)
    assert said.splitlines()[:3] == [
        "3 labels: 3 added",
        "left out: 1 skipped",
        "left out: 1 not submitted",
    ]
    frames, points, visible, known = read_annotations(annotations)
    assert frames == FRAMES[:3]
    assert known.all()
    for row, frame in enumerate(frames):
        places, shows = expected[frame]
        np.testing.assert_array_equal(visible[row], shows)
        off = np.linalg.norm(points[row] * SIZE - places, axis=1)
        if frame == FRAMES[1]:  # a click is on a whole pixel of the page
            assert off[hidden] <= 1 / task.scale()
            off[hidden] = 0
        assert np.nanmax(off) <= NEAR

    # Nothing was asked of anybody else.
    asked = {urllib.parse.urlsplit(url) for url in page.asked}
    assert {url.netloc for url in asked if url.scheme in ("http", "https", "ws", "wss")} == {
        studio.address.removeprefix("http://")
    }


def test_it_listens_on_this_machine_only_and_shows_nothing_but_the_frames(studio, folder):
    children = psutil.Process(studio.process.pid).children(recursive=True)
    listening = {
        connection.laddr.ip
        for process in children
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}

    def status(path, token=studio.access["token"]):
        address = f"{studio.address}/data/local-files/?d={urllib.parse.quote(path)}"
        headers = {"Authorization": f"Token {token}"} if token else {}
        try:
            return urllib.request.urlopen(urllib.request.Request(address, headers=headers)).status
        except urllib.error.HTTPError as error:
            return error.code

    name = Path(DATASET).name
    picture = f"{name}/labelling/frames/packet 24/{FRAMES[0]}.png"
    assert status(picture) == 200
    assert status(picture, None) in (401, 403)
    assert status(f"{name}/videos.csv") in (403, 404)
    assert status(f"{name}/labelling/label-studio/access.json") in (403, 404)


def test_ctrl_c_saves_and_the_next_start_goes_on(studio, folder, proposed):
    said, status = studio.end()
    assert status == 130
    done = Path(DATASET) / "labelling" / studio_server.DONE
    assert said == f"saved; to take it: cardpose label import {DATASET} {done}\n"
    again = cardpose(folder, "label", "import", DATASET, done)
    assert again.startswith("3 labels: 3 the same as before\n")
    # Frames that have no label come anew; those that somebody has begun stay as they are.
    next_one = Studio(folder)
    try:
        tasks = json.loads(studio_server.export_studio(folder / DATASET, next_one.address))
        begun = {task["data"]["frame"]: bool(task["annotations"]) for task in tasks}
        assert begun == dict(zip(FRAMES, [True, True, True, True, False], strict=True))
        again = cardpose(folder, "label", "import", DATASET, next_one.address)
        assert again.startswith("3 labels: 3 the same as before\n")
    finally:
        said, status = next_one.end(signal.SIGTERM)
    assert status == 130
    assert not [p for p in psutil.process_iter() if str(next_one.process.pid) == str(p.ppid())]


def test_a_port_that_is_taken_is_said_in_one_line(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "cardpose", "label", "studio", DATASET, "--port", port]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"error: --port {port}: Address already in use; name another\n"


def test_a_server_that_kill_9_left_running_is_named_at_the_next_start(folder):
    killed = Studio(folder)
    (server,) = psutil.Process(killed.process.pid).children()
    killed.process.kill()
    killed.process.wait()
    try:
        command = [sys.executable, "-m", "cardpose", "label", "studio", DATASET, "--port", "0"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        said = cardpose(folder, "label", "import", DATASET, killed.address)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
    assert done.returncode == 1
    assert f"process {server.pid} at {killed.address}: " in done.stderr
    assert f"`kill -- -{server.pid}`" in done.stderr
    assert done.stderr.count("\n") == 1
    assert said.startswith("3 labels: 3 the same as before\n")
