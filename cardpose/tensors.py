"""What training reads: one memory-mapped file a quantity, written and read in pieces.

A folder of tensors holds, for n labelled frames:

- `pictures.npy` (n, height, width, 3) uint8 RGB, fitted into the network's picture
- `details.npy` (n, 2 height, 2 width, 3) uint8 RGB, the same twice as large, for its second look
- `heatmaps.npy` (n, 8, height / stride, width / stride) float16
- `points.npy` (n, 8, 2) float32 pixels of the fitted picture, 0 where not visible
- `visible.npy` (n, 8) bool
- `cards.npy` (n,) float32, the count as a share of `deck`
- `frames.csv`: `frame, recording, cards_counted, file, width, height`, a row a frame
- `meta.json`: `image_size, stride, sigma, deck`
"""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from cardpose.errors import InputError, some
from cardpose.heatmaps import encode
from cardpose.pictures import DETAIL, fit, resize_to_fit, to_fitted
from cardpose.recordings import read_picture, split_frame_name

_PIECE = 64  # frames in memory at a time


@dataclass(frozen=True)
class Tensors:
    """The folder's contents, memory-mapped; see the module for shapes and units."""

    pictures: np.ndarray
    details: np.ndarray
    heatmaps: np.ndarray
    points: np.ndarray
    visible: np.ndarray
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


_ARRAYS = ("pictures", "details", "heatmaps", "points", "visible", "cards")


def read_tensors(folder):
    """Open a folder that `write_tensors` made."""
    folder = Path(folder)
    meta = json.loads((folder / "meta.json").read_text())
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
    frames = _read(folder / "frames.csv")
    return Tensors(**arrays, frames=frames, **{**meta, "image_size": tuple(meta["image_size"])})


def match_labels(extracted, labelled, path):
    """Join labels to the extracted frames.

    Args:
        extracted: folder that `extract_frames` wrote.
        labelled: list of the labelled frames' names.
        path: the annotations' file, for messages.

    Returns:
        frames: a table with a row for each frame that has a label: `frame, recording,
            cards_counted, total_cards, file, width, height`.
        rows: (n,) which label belongs to each.
        unlabelled: how many extracted frames have no label.

    Raises:
        InputError: a label names a frame that its recording does not have. Labels of frames that
            a video has but that were not sampled are no fault.
    """
    extracted = Path(extracted)
    index = _read(extracted / "index.csv")
    summary = _read(extracted / "recordings.csv")
    label_row = {frame: row for row, frame in enumerate(labelled)}
    known = set(index["frame"])
    videos = {r.recording: r for r in summary.itertuples() if r.kind == "video"}
    lost = []
    for frame in labelled:
        if frame not in known:
            recording, number = split_frame_name(frame)
            video = videos.get(recording)
            if not (video and number < video.frames and number % video.step):
                lost.append(frame)
    if lost:
        raise InputError(
            f"{path}: {len(lost)} label{'s' * (len(lost) > 1)} without a frame: {some(lost)}"
        )
    has_label = index["frame"].isin(label_row.keys())
    frames = index[has_label].merge(summary, on="recording", how="left", validate="m:1")
    if frames.empty:
        raise InputError(f"{path}: no label belongs to any of the {len(index)} sampled frames")
    rows = np.array([label_row[frame] for frame in frames["frame"]])
    columns = ["frame", "recording", "cards_counted", "total_cards", "file", "width", "height"]
    return frames[columns], rows, int((~has_label).sum())


def write_tensors(folder, extracted, frames, points, visible, image_size, stride, sigma):
    """Write the tensors of labelled frames, some at a time.

    Args:
        folder: to be made; see the module for its contents.
        extracted: folder that holds the frames' files.
        frames: n rows as `match_labels` returns them.
        points: (n, 8, 2) fractions of width and height, NaN where not visible.
        visible: (n, 8) bool.
        image_size: (width, height) of the network's picture.
        stride, sigma: see `heatmaps.encode`.
    """
    folder, extracted = Path(folder), Path(extracted)
    folder.mkdir(parents=True)
    n, (width, height) = len(frames), image_size
    sizes = frames[["width", "height"]].to_numpy()
    points = to_fitted(np.nan_to_num(points), sizes, image_size).astype(np.float32)
    points = np.where(visible[..., None], points, np.float32(0))
    deck = int(frames["total_cards"].max())
    small = (height // stride, width // stride)
    np.save(folder / "points.npy", points)
    np.save(folder / "visible.npy", visible)
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
    with ThreadPoolExecutor() as threads, tqdm(total=n, desc="make heatmaps", unit="frame") as bar:
        for start in range(0, n, _PIECE):
            piece = slice(start, min(start + _PIECE, n))
            list(threads.map(fill, range(piece.start, piece.stop)))
            at, seen = torch.from_numpy(points[piece]), torch.from_numpy(visible[piece])
            heatmaps[piece] = encode(at, seen, small, stride, sigma).numpy().astype(np.float16)
            pictures.flush()
            details.flush()
            heatmaps.flush()
            bar.update(piece.stop - piece.start)
    columns = ["frame", "recording", "cards_counted", "file", "width", "height"]
    frames[columns].to_csv(folder / "frames.csv", index=False, lineterminator="\n")
    meta = {"image_size": list(image_size), "stride": stride, "sigma": sigma, "deck": deck}
    (folder / "meta.json").write_text(json.dumps(meta, indent=2) + "\n")


def _read(path):
    """A table of an earlier stage, in which a recording may be named NA."""
    return pd.read_csv(path, dtype={"frame": str, "recording": str}, keep_default_na=False)


def _create(path, dtype, shape):
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
