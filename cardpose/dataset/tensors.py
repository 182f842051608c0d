"""What training reads: one memory-mapped file a quantity, written and read in pieces.

A folder of tensors holds, for n frames:

- `pictures.npy` (n, height, width, 3) uint8 RGB, fitted into the network's picture
- `details.npy` (n, 2 height, 2 width, 3) uint8 RGB, the same twice as large, for its second look
- `heatmaps.npy` (n, 8, height / stride, width / stride) float16
- `points.npy` (n, 8, 2) float32 pixels of the fitted picture, 0 where not visible
- `visible.npy` (n, 8) bool
- `known.npy` (n, 8) bool, whether a label says anything of the keypoint; where not, it is not
  `visible`, and its heatmap is zero
- `cards.npy` (n,) float32, the count as a share of `deck`
- `frames.csv`: `frame, recording, cards_counted, file, width, height`, a row a frame
- `meta.json`: `image_size, stride, sigma, deck`
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from cardpose.common.errors import InputError
from cardpose.common.json_files import read_json
from cardpose.common.tables import read_own_table
from cardpose.geometry.heatmaps import encode
from cardpose.pictures.letterbox import DETAIL, fit, fractions_to_fitted, resize_to_fit
from cardpose.pictures.reading import read_picture

_PIECE = 16  # frames in memory at a time


@dataclass(frozen=True)
class Tensors:
    """The folder's contents, memory-mapped; see the module for shapes and units."""

    pictures: np.ndarray
    details: np.ndarray
    heatmaps: np.ndarray
    points: np.ndarray
    visible: np.ndarray
    mask: np.ndarray
    cards: np.ndarray
    frames: pd.DataFrame
    image_size: tuple
    stride: int
    sigma: float
    deck: int

    def __len__(self):
        return len(self.frames)

    @cached_property
    def longer(self):
        """(n,) pixels of a frame's longer side in the network's picture: of that, focal lengths are
        given."""
        sizes = self.frames[["width", "height"]].to_numpy()
        return np.array([max(fit(size, self.image_size)[0]) for size in sizes.tolist()])


_META = {"image_size", "stride", "sigma", "deck"}
_COLUMNS = ["frame", "recording", "cards_counted", "file", "width", "height"]
_ARRAYS = ("pictures", "details", "heatmaps", "points", "visible", "mask", "cards")
_FILES = {name: f"{name}.npy" for name in _ARRAYS} | {"mask": "known.npy"}


def read_tensors(folder):
    """Open a folder that `write_tensors` made.

    Raises:
        InputError: one of its files is missing or damaged, or they are not of the same frames.
    """
    folder = Path(folder)
    meta = read_json(folder / "meta.json", _META)
    size = meta["image_size"]
    whole = (*size, meta["stride"], meta["deck"]) if isinstance(size, list) else ()
    if len(meta) != len(_META) or len(whole) != 4 or any(type(n) is not int for n in whole):
        raise InputError(f"{folder}: is damaged: delete it, and `dvc repro` makes it again")
    frames = read_own_table(folder / "frames.csv", _COLUMNS)
    arrays = {}
    for name, file in _FILES.items():
        path = folder / file
        try:
            arrays[name] = np.load(path, mmap_mode="r")
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        except Exception:  # NumPy fails in a dozen ways on a header that is none
            arrays[name] = None
        if arrays[name] is None or len(arrays[name]) != len(frames):
            raise InputError(f"{path}: is damaged: delete {folder}, and `dvc repro` makes it again")
    return Tensors(**arrays, frames=frames, **{**meta, "image_size": tuple(size)})


def write_tensors(folder, extracted, frames, points, visible, image_size, stride, sigma, mask=None):
    """Write the tensors of frames, some at a time.

    Args:
        folder: to be made; see the module for its contents.
        extracted: folder that holds the frames' files.
        frames: n rows as `match_labels` returns them.
        points: (n, 8, 2) fractions of width and height, NaN where not visible.
        visible: (n, 8) bool.
        image_size: (width, height) of the network's picture.
        stride, sigma: see `heatmaps.encode`.
        mask: (n, 8) bool, where `points` and `visible` are labels; everywhere by default.
    """
    folder, extracted = Path(folder), Path(extracted)
    folder.mkdir(parents=True)
    n, (width, height) = len(frames), image_size
    sizes = frames[["width", "height"]].to_numpy()
    mask = np.ones_like(visible) if mask is None else mask
    visible = visible & mask
    points = fractions_to_fitted(np.nan_to_num(points), sizes, image_size).astype(np.float32)
    points = np.where(visible[..., None], points, np.float32(0))
    deck = int(frames["total_cards"].max())
    small = (height // stride, width // stride)
    np.save(folder / "points.npy", points)
    np.save(folder / "visible.npy", visible)
    np.save(folder / "known.npy", mask)
    np.save(folder / "cards.npy", (frames["cards_counted"].to_numpy() / deck).astype(np.float32))
    pictures = _create(folder / "pictures.npy", np.uint8, (n, height, width, 3))
    details = _create(folder / "details.npy", np.uint8, (n, DETAIL * height, DETAIL * width, 3))
    heatmaps = _create(folder / "heatmaps.npy", np.float16, (n, 8, *small))

    files = frames["file"].tolist()

    def fill(row):
        picture = cv2.cvtColor(read_picture(extracted / files[row]), cv2.COLOR_BGR2RGB)
        pictures[row] = resize_to_fit(picture, image_size)
        details[row] = resize_to_fit(picture, image_size, DETAIL)

    cv2.setNumThreads(1)
    with (
        ThreadPoolExecutor(os.cpu_count()) as threads,
        tqdm(total=n, desc="make heatmaps", unit="frame") as bar,
    ):
        for start in range(0, n, _PIECE):
            piece = slice(start, min(start + _PIECE, n))
            list(threads.map(fill, range(piece.start, piece.stop)))
            at, seen = torch.from_numpy(points[piece]), torch.from_numpy(visible[piece])
            heatmaps[piece] = encode(at, seen, small, stride, sigma).numpy().astype(np.float16)
            pictures.flush()
            details.flush()
            heatmaps.flush()
            bar.update(piece.stop - piece.start)
    frames[_COLUMNS].to_csv(folder / "frames.csv", index=False, lineterminator="\n")
    meta = {"image_size": list(image_size), "stride": stride, "sigma": sigma, "deck": deck}
    (folder / "meta.json").write_text(json.dumps(meta, indent=2) + "\n")


def _create(path, dtype, shape):
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        # A full disk is an error here; later, when a page finds no room, it ends the process.
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array
