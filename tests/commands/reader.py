"""What a reader of the pages brings, and does between their commands."""

import re
import shutil
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from support import REPOSITORY

from cardpose.rendering.renderer import Renderer
from cardpose.rendering.scenes import random_scene
from cardpose.rendering.videos import render_dataset

OWN_VIDEOS = 6
FRAMES = 41
_RENDERED = re.compile(r"data/(synthetic/videos/packet_\d+\.mp4|frames/packet_\d+/\w+\.jpg)")


def bring_files(folder: Path) -> list[str]:
    """Put the files into a folder that the pages expect from their readers; return their names."""
    packet = Renderer(random_scene(1, 30, 8))
    cv2.imwrite(str(folder / "photo.jpg"), packet.frame(2))
    cv2.imwrite(str(folder / "another.jpg"), packet.frame(4))
    (folder / "photos").mkdir()
    for index in (0, 60):
        shutil.copy(folder / "photo.jpg", folder / f"photos/packet_34_frame_{index}.jpg")
    shutil.copy(REPOSITORY / "tests/files/corner.heic", folder / "photo.heic")
    for name in ("sweep.mp4", "packet_1.mp4", "packet_2.mp4"):
        shutil.copy(folder / "data/synthetic/videos/packet_07.mp4", folder / name)
    names = [path.name for path in folder.iterdir()]
    return [n for n in names if n.startswith(("photo", "another", "sweep", "packet_"))]


def lend_renderings(text: str, folder: Path) -> list[Path]:
    """Make the rendered videos and frames of a command that a small data set lacks.

    Returns:
        the paths of these files, to be deleted after the command.
    """
    words = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {text.split('>')[0]}"], capture_output=True, text=True
    ).stdout
    lent = []
    for match in _RENDERED.finditer(words):
        path = folder / match[0]
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            source = "videos/packet_07.mp4" if path.suffix == ".mp4" else "packet_07/*.jpg"
            shutil.copy(next((folder / "data").glob(f"*/{source}")), path)
            lent.append(path)
    return lent


def film(folder: Path) -> None:
    """Film packets and list them: data/mine/videos and data/mine/videos.csv."""
    mine = folder / "data/mine"
    if not (mine / "videos.csv").exists():
        shutil.rmtree(mine / "videos", ignore_errors=True)
        truth = folder.parent / "truth.csv"
        render_dataset(mine / "videos", truth, mine / "videos.csv", OWN_VIDEOS, FRAMES, seed=9)


def correct(folder: Path) -> None:
    """Look at each proposed row of labels.csv, put the corners where they are, and say so."""
    path = folder / "data/mine/labelling/labels.csv"
    table = pd.read_csv(path)
    assert (table["annotated"] == 0).all()
    exact = pd.read_csv(folder.parent / "truth.csv").set_index("frame").loc[table["frame"]]
    exact = exact.reset_index()
    exact.insert(1, "annotated", 1)
    exact[table.columns].to_csv(path, index=False)


def submit_some(folder: Path) -> None:
    """Write what Label Studio leads to once somebody has labelled half of the frames."""
    truth = pd.read_csv(folder.parent / "truth.csv")
    frames = [f"packet_{k:02d}_frame_{i}" for k in range(1, 7) for i in (0, 20)]
    truth[np.isin(truth["frame"], frames)].to_csv(folder / "data/mine/annotations.csv", index=False)


# What readers do before a command, and instead of one that is not run.
BEFORE = {
    "cardpose label start mine*": film,
    "cardpose label import mine data/mine/labelling/labels.csv": correct,
}
INSTEAD = {"cardpose label import mine http://127.0.0.1:8080": submit_some}


def act(actions: dict, text: str, folder: Path) -> None:
    """Do what a reader does about a command."""
    for pattern, action in actions.items():
        if fnmatchcase(text, pattern):
            action(folder)
