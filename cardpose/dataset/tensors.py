"""Write and read the tensors of the data set's frames, one memory-mapped file per quantity.

A folder of tensors holds, for n frames:

- `pictures.npy` (n, height, width, 3) uint8 RGB, fitted into the network's picture
- `details.npy` (n, 2 height, 2 width, 3) uint8 RGB, the same at twice the size, for close-ups
- `heatmaps.npy` (n, 8, height / stride, width / stride) float16
- `points.npy` (n, 8, 2) float32 pixels of the fitted picture, 0 where not visible
- `visible.npy` (n, 8) bool
- `known.npy` (n, 8) bool, the mask: which keypoints are labelled. An unlabelled keypoint is not
  `visible`, and its heatmap is zero
- `cards.npy` (n,) float32, the count as a share of `deck`
- `frames.csv`: `frame, recording, cards_counted, file, width, height`, one row per frame
- `meta.json`: `image_size, stride, sigma, deck`
"""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Float16, Float32, Num, UInt8
from tqdm import tqdm

from cardpose.common.errors import InputError
from cardpose.common.json_files import read_json
from cardpose.common.tables import read_own_table
from cardpose.geometry.heatmaps import encode
from cardpose.pictures.letterbox import DETAIL, fit, fractions_to_fitted, resize_to_fit
from cardpose.pictures.reading import read_picture

_FRAMES_IN_MEMORY = 16


@dataclass(frozen=True)
class Tensors:
    """Contents of a folder of tensors, memory-mapped. See the module's docstring for units.

    `image_size` is the (width, height) of the network's picture. `stride` and `sigma` are those of
    `heatmaps.encode`. `deck` is the number of cards for which `cards` is 1.
    """

    pictures: UInt8[np.ndarray, "n h w 3"]
    details: UInt8[np.ndarray, "n detail_h detail_w 3"]
    heatmaps: Float16[np.ndarray, "n 8 heatmap_h heatmap_w"]
    points: Float32[np.ndarray, "n 8 2"]
    visible: Bool[np.ndarray, "n 8"]
    mask: Bool[np.ndarray, "n 8"]
    cards: Float32[np.ndarray, " n"]
    frames: pd.DataFrame
    image_size: tuple[int, int]
    stride: int
    sigma: float
    deck: int

    def __len__(self) -> int:
        return len(self.frames)

    @cached_property
    def longer(self) -> Num[np.ndarray, " n"]:
        """Longer side of each fitted frame in pixels. Focal lengths are shares of it."""
        sizes = self.frames[["width", "height"]].to_numpy()
        return np.array([max(fit(size, self.image_size)[0]) for size in sizes.tolist()])


_META = {"image_size", "stride", "sigma", "deck"}
_COLUMNS = ["frame", "recording", "cards_counted", "file", "width", "height"]
_FILES = {
    "pictures": "pictures.npy",
    "details": "details.npy",
    "heatmaps": "heatmaps.npy",
    "points": "points.npy",
    "visible": "visible.npy",
    "mask": "known.npy",
    "cards": "cards.npy",
}


def read_tensors(folder: str | Path) -> Tensors:
    """Open a folder that `write_tensors` made.

    Raises:
        InputError: a file is missing or damaged, or the files hold different numbers of frames.
    """
    folder = Path(folder)
    meta = read_json(folder / "meta.json", _META)
    size = meta["image_size"]
    whole = (*size, meta["stride"], meta["deck"]) if isinstance(size, list) else ()
    if len(meta) != len(_META) or len(whole) != 4 or any(type(n) is not int for n in whole):
        raise InputError(f"{folder}: is damaged: delete it, and `dvc repro` makes it again")
    frames = read_own_table(folder / "frames.csv", _COLUMNS)
    arrays: dict[str, Any] = {}
    for name, file in _FILES.items():
        path = folder / file
        try:
            arrays[name] = np.load(path, mmap_mode="r")
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        except Exception:  # NumPy raises many kinds of errors for a damaged header
            arrays[name] = None
        if arrays[name] is None or len(arrays[name]) != len(frames):
            raise InputError(f"{path}: is damaged: delete {folder}, and `dvc repro` makes it again")
    return Tensors(**arrays, frames=frames, **{**meta, "image_size": tuple(size)})


def write_tensors(
    folder: str | Path,
    extracted: str | Path,
    frames: pd.DataFrame,
    points: Float[np.ndarray, "n 8 2"],
    visible: Bool[np.ndarray, "n 8"],
    image_size: Sequence[int],
    stride: int,
    sigma: float,
    mask: Bool[np.ndarray, "n 8"] | None = None,
) -> None:
    """Write the tensors of frames, a few frames at a time.

    Args:
        folder: folder to create; see the module's docstring for its contents.
        extracted: folder with the pictures of the frames.
        frames: table of n frames as `match_labels` returns it.
        points: fractions of width and height, NaN where not visible.
        image_size: (width, height) of the network's picture.
        stride, sigma: see `heatmaps.encode`.
        mask: which keypoints are labelled; by default all.
    """
    folder, extracted = Path(folder), Path(extracted)
    folder.mkdir(parents=True)
    (width, height), sizes = image_size, frames[["width", "height"]].to_numpy()
    mask = np.ones_like(visible) if mask is None else mask
    visible = visible & mask
    points = fractions_to_fitted(np.nan_to_num(points), sizes, image_size).astype(np.float32)
    points = np.where(visible[..., None], points, np.float32(0))
    deck = int(frames["total_cards"].max())
    np.save(folder / "points.npy", points)
    np.save(folder / "visible.npy", visible)
    np.save(folder / "known.npy", mask)
    np.save(folder / "cards.npy", (frames["cards_counted"].to_numpy() / deck).astype(np.float32))
    files = [extracted / file for file in frames["file"]]
    _write_pictures(folder, files, points, visible, (width, height), stride, sigma)
    frames[_COLUMNS].to_csv(folder / "frames.csv", index=False, lineterminator="\n")
    meta = {"image_size": list(image_size), "stride": stride, "sigma": sigma, "deck": deck}
    (folder / "meta.json").write_text(json.dumps(meta, indent=2) + "\n")


def _write_pictures(
    folder: Path,
    files: list[Path],
    points: Float32[np.ndarray, "n 8 2"],
    visible: Bool[np.ndarray, "n 8"],
    image_size: tuple[int, int],
    stride: int,
    sigma: float,
) -> None:
    """Write pictures.npy, details.npy and heatmaps.npy."""
    n, (width, height) = len(files), image_size
    heatmap_size = (height // stride, width // stride)
    pictures = _create(folder / "pictures.npy", np.uint8, (n, height, width, 3))
    details = _create(folder / "details.npy", np.uint8, (n, DETAIL * height, DETAIL * width, 3))
    heatmaps = _create(folder / "heatmaps.npy", np.float16, (n, 8, *heatmap_size))

    def fill(row):
        picture = cv2.cvtColor(read_picture(files[row]), cv2.COLOR_BGR2RGB)
        pictures[row] = resize_to_fit(picture, image_size)
        details[row] = resize_to_fit(picture, image_size, DETAIL)

    cv2.setNumThreads(1)
    with (
        ThreadPoolExecutor(os.cpu_count()) as threads,
        tqdm(total=n, desc="make heatmaps", unit="frame") as bar,
    ):
        for start in range(0, n, _FRAMES_IN_MEMORY):
            piece = slice(start, min(start + _FRAMES_IN_MEMORY, n))
            list(threads.map(fill, range(piece.start, piece.stop)))
            encoded = encode(
                torch.from_numpy(points[piece]),
                torch.from_numpy(visible[piece]),
                heatmap_size,
                stride,
                sigma,
            )
            heatmaps[piece] = encoded.numpy().astype(np.float16)
            for array in (pictures, details, heatmaps):
                array.flush()
            bar.update(piece.stop - piece.start)


def _create(path: Path, dtype: type, shape: tuple[int, ...]) -> np.memmap:
    """Create a .npy file and map it into memory."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        # Reserve disk space: a full disk raises an error here, but would kill the process later.
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array
