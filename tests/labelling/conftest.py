"""A small data set with proposals, exported, and imported again."""

import contextlib
import json

import cv2
import numpy as np
import pytest
from raw_server import TOKEN, Server
from tool_files import FRAMES, HIDDEN

from cardpose.cli import main
from cardpose.dataset.annotations import write_annotations
from cardpose.dataset.extraction import extract_frames
from cardpose.dataset.recordings import read_recordings
from cardpose.labelling import task_export
from cardpose.labelling.proposals import Proposals, write_proposals


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two recordings of odd names, of landscape and portrait pictures, with frames and proposals:
    5 frames, 40 corners, of which 6 are hidden. Proposals name corners as the rule wants it."""
    folder = tmp_path_factory.mktemp("made") / "data" / "mine"
    for name, (width, height) in (("50% & more", (640, 480)), ("phone", (1080, 1920))):
        (folder / "videos" / name).mkdir(parents=True)
        for frame in (frame for frame in FRAMES if frame.startswith(name)):
            picture = np.zeros((height, width, 3), np.uint8)
            index = frame.rpartition("_")[2]
            cv2.imwrite(str(folder / "videos" / name / f"shot{index}.png"), picture)
    rows = "video,cards_counted,total_cards\n50% & more,3,52\nphone,52,52\n"
    (folder / "videos.csv").write_text(rows)
    extract_frames(read_recordings(folder), 1, folder / "labelling" / "frames", jobs=1)
    rng = np.random.default_rng(1)
    xs = np.array([0.2, 0.8, 0.2, 0.8, 0.25, 0.75, 0.25, 0.75])
    ys = np.array([0.3, 0.3, 0.2, 0.2, 0.8, 0.8, 0.7, 0.7])
    points = np.stack([xs, ys], axis=1) + rng.uniform(-0.04, 0.04, (5, 8, 2))
    visible = np.ones((5, 8), bool)
    for row, keypoints in HIDDEN.items():
        visible[row, keypoints] = False
    points[3, 1] = 1.2, 0.5  # hidden, and outside the picture
    confidence = rng.uniform(0.1, 1, (5, 8))
    proposals = Proposals(FRAMES, points.round(6), visible, confidence.round(6))
    write_proposals(folder / "labelling" / "proposals.csv", proposals)
    return folder, proposals


@pytest.fixture
def proposals(made):
    return made[1]


@pytest.fixture
def mine(made, tmp_path, monkeypatch):
    """The folder of a data set of one's own, `data/mine` of the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data" / "mine"
    folder.parent.mkdir()
    # Pictures are read only, and need no copy.
    for path in made[0].rglob("*.csv"):
        target = folder / path.relative_to(made[0])
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return folder


@pytest.fixture
def label(capsys):
    """label(*arguments): runs `cardpose label ...`; gives the status, and what it says."""

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main.main(["label", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return end.value.code, out + err

    return run


@pytest.fixture
def exported(mine, label):
    """exported(format, *arguments): the content of the file that `cardpose label export` writes."""

    def export(kind, *arguments):
        path = mine / "labelling" / task_export.FORMATS[kind]
        assert label("export", "mine", kind, *arguments)[0] == 0
        text = path.read_text()
        return text if kind == "csv" else json.loads(text)

    return export


@pytest.fixture
def taken(mine, label, tmp_path):
    """taken(content, *arguments): imports it, and gives the status, and what is said."""

    def take(content, *arguments):
        path = tmp_path / "from the tool"
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text)
        return label("import", "mine", path, *arguments)

    return take


@pytest.fixture
def one_label(mine):
    """annotations.csv with one label, of the first frame: the first keypoint at x = 0.25 and
    y = 0.5 of 640 x 480 pixels, the others hidden."""
    points, visible = np.full((1, 8, 2), np.nan), np.zeros((1, 8), bool)
    points[0, 0], visible[0, 0] = (0.25, 0.5), True
    write_annotations(mine / "annotations.csv", FRAMES[:1], points, visible)
    return mine


@pytest.fixture
def serve():
    """serve(answer): a running `Server`."""
    with contextlib.ExitStack() as stack:

        def start(answer):
            server = Server(answer)
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture
def studio_dataset(tmp_path):
    """A data set `mine` whose Label Studio has the token TOKEN."""
    path = tmp_path / "mine" / "labelling" / "label-studio" / "access.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"password": "secret-word", "token": TOKEN}))
    return tmp_path / "mine"
