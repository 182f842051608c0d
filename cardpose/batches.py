"""Batches of tensors for training, the same whatever the number of loader workers."""

import signal

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from cardpose.augment import augment
from cardpose.closeups import Closeups
from cardpose.errors import InputError
from cardpose.heatmaps import encode
from cardpose.processes import count, rank
from cardpose.strips import Strips


class Frames(Dataset):
    """Frames of a `Tensors`, by (epoch, row): an augmented frame is another in each epoch."""

    def __init__(self, tensors, augmented, seed, half):
        self.tensors, self.augmented, self.seed, self.half = tensors, augmented, seed, half
        self.redrawn = augmented or half  # with heatmaps that the tensors do not hold

    def __getitem__(self, key):
        epoch, row = key
        t = self.tensors
        picture, points = t.pictures[row], t.points[row]
        visible, known = t.visible[row], t.known[row]
        if not self.redrawn:
            return picture, t.heatmaps[row], visible, known, t.cards[row]
        if self.augmented:
            rng = np.random.default_rng([self.seed, epoch, row])
            # A place that nobody knows stays unknown wherever it moves, and whatever it is called.
            points = np.where(known[:, None], points, np.nan)
            picture, points, visible = augment(picture, points, visible, rng)
            known = np.isfinite(points[:, 0])
        if self.half:
            height, width = picture.shape[:2]
            picture = cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
            points = points / 2
        return picture, points, visible, known, t.cards[row]


class Pairs(Dataset):
    """Frames of a `Tensors`, by (epoch, row), to be looked at twice: "pictures", "details" and
    "longer"."""

    def __init__(self, tensors):
        self.tensors = tensors

    def __getitem__(self, key):
        t, (_, row) = self.tensors, key
        arrays = {"pictures": t.pictures[row], "details": t.details[row]}
        arrays = {name: array.transpose(2, 0, 1).copy() for name, array in arrays.items()}
        return {**arrays, "longer": t.longer[row]}


class Order(Sampler):
    """(epoch, row) keys: in a new random order each epoch, or as they come.

    Args:
        last: how many to leave out at the end of an epoch.
        rank, count: of the processes that share them, and which of these this is: together,
            their nth batches are the nth batch of a single one.
    """

    def __init__(self, rows, shuffled, seed, last=0, rank=0, count=1):
        self.rows, self.shuffled, self.seed, self.epoch = np.asarray(rows), shuffled, seed, 0
        self.share = slice(rank, len(self.rows) - last, count)

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return len(self.rows[self.share])

    def __iter__(self):
        rows = self.rows
        if self.shuffled:
            rows = np.random.default_rng([self.seed, self.epoch]).permutation(rows)
        return ((self.epoch, int(row)) for row in rows[self.share])


def loader(
    tensors, rows, batch_size, *, shuffled=False, augmented=False, seed=0, workers=0, half=False
):
    """A DataLoader of {"pictures", "heatmaps", "cards", "visible", "known"} over some rows of
    `tensors`.

    pictures (n, 3, height, width) uint8 RGB, heatmaps (n, 8, h, w) float32, cards (n,) as a share
    of the deck, visible (n, 8) float32, known (n, 8) bool. Shuffled loaders drop a last batch of
    one, which batch norm cannot take. Processes that train together share each batch. `half`:
    pictures and heatmaps of half the size.
    """
    frames = Frames(tensors, augmented, seed, half)

    def collate(items):
        columns = (np.stack(column) for column in zip(*items, strict=True))
        pictures, second, visible, known, cards = columns
        second, visible = torch.from_numpy(second), torch.from_numpy(visible)
        if frames.redrawn:
            size = [side // tensors.stride for side in pictures.shape[1:3]]
            second = encode(second, visible, size, tensors.stride, tensors.sigma)
        return {
            "pictures": torch.from_numpy(pictures).permute(0, 3, 1, 2),
            "heatmaps": second.float(),
            "cards": torch.from_numpy(cards),
            "visible": visible.float(),
            "known": torch.from_numpy(known),
        }

    return _loader(frames, rows, batch_size, shuffled, seed, workers, collate)


def pairs(tensors, rows, batch_size):
    """A DataLoader of {"pictures", "details", "longer"} over some rows of `tensors`: uint8 RGB, (n,
    3, height, width) and (n, 3, DETAIL height, DETAIL width), and (n,), see `Tensors.longer`."""
    return DataLoader(Pairs(tensors), batch_size, sampler=Order(rows, shuffled=False, seed=0))


def closeups(tensors, starts, rows, batch_size, seed, workers, seen=None):
    """A shuffled DataLoader of close-ups, see `closeups.Closeups`, over some rows of `tensors`."""
    return _loader(Closeups(tensors, starts, seed, seen), rows, batch_size, True, seed, workers)


def strips(tensors, edges, rows, batch_size, seed, workers):
    """A shuffled DataLoader of strips, see `strips.Strips`, over some rows of `tensors`."""
    return _loader(Strips(tensors, edges, seed), rows, batch_size, True, seed, workers)


def _loader(dataset, rows, batch_size, shuffled, seed, workers, collate=None):
    last, everybody = 0, count()
    if shuffled:
        if len(rows) < everybody:
            raise InputError(
                f"train.devices: {everybody} processes cannot share {len(rows)} frames to train on"
            )
        last = len(rows) % batch_size
        # Shares are equal, and batch norm needs two.
        if last >= max(2, everybody) or last == len(rows):
            last %= everybody
    elif len(rows) < everybody:
        everybody = 1  # too few to share: each looks at all of them
    order = Order(rows, shuffled, seed, last, rank() % everybody, everybody)
    return DataLoader(
        dataset,
        batch_size=batch_size // everybody,
        sampler=order,
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_leave_interrupts,
    )


def _leave_interrupts(worker):
    """Ctrl-C reaches all processes; the main one answers it, and ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
