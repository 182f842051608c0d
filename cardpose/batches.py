"""Batches of tensors for training, the same whatever the number of loader workers."""

import signal

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from cardpose.augment import augment
from cardpose.closeups import Closeups
from cardpose.heatmaps import encode
from cardpose.strips import Strips


class Frames(Dataset):
    """Frames of a `Tensors`, by (epoch, row): an augmented frame is another in each epoch."""

    def __init__(self, tensors, augmented, seed, half):
        self.tensors, self.augmented, self.seed, self.half = tensors, augmented, seed, half
        self.redrawn = augmented or half  # with heatmaps that the tensors do not hold

    def __getitem__(self, key):
        epoch, row = key
        t = self.tensors
        picture, points, visible = t.pictures[row], t.points[row], t.visible[row]
        if not self.redrawn:
            return picture, t.heatmaps[row], visible, t.cards[row]
        if self.augmented:
            rng = np.random.default_rng([self.seed, epoch, row])
            picture, points, visible = augment(picture, points, visible, rng)
        if self.half:
            height, width = picture.shape[:2]
            picture = cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
            points = points / 2
        return picture, points, visible, t.cards[row]


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
    """(epoch, row) keys: in a new random order each epoch, or as they come."""

    def __init__(self, rows, shuffled, seed):
        self.rows, self.shuffled, self.seed, self.epoch = np.asarray(rows), shuffled, seed, 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return len(self.rows)

    def __iter__(self):
        rows = self.rows
        if self.shuffled:
            rows = np.random.default_rng([self.seed, self.epoch]).permutation(rows)
        return ((self.epoch, int(row)) for row in rows)


def loader(
    tensors, rows, batch_size, *, shuffled=False, augmented=False, seed=0, workers=0, half=False
):
    """A DataLoader of {"pictures", "heatmaps", "cards", "visible"} over some rows of `tensors`.

    pictures (n, 3, height, width) uint8 RGB, heatmaps (n, 8, h, w) float32, cards (n,) as a share
    of the deck, visible (n, 8) float32. Shuffled loaders drop a last batch of one, which batch
    norm cannot take. `half`: pictures and heatmaps of half the size.
    """
    frames = Frames(tensors, augmented, seed, half)

    def collate(items):
        pictures, second, visible, cards = (np.stack(column) for column in zip(*items, strict=True))
        second, visible = torch.from_numpy(second), torch.from_numpy(visible)
        if frames.redrawn:
            size = [side // tensors.stride for side in pictures.shape[1:3]]
            second = encode(second, visible, size, tensors.stride, tensors.sigma)
        return {
            "pictures": torch.from_numpy(pictures).permute(0, 3, 1, 2),
            "heatmaps": second.float(),
            "cards": torch.from_numpy(cards),
            "visible": visible.float(),
        }

    return _loader(frames, rows, batch_size, shuffled, seed, workers, collate)


def pairs(tensors, rows, batch_size):
    """A DataLoader of {"pictures", "details", "longer"} over some rows of `tensors`: uint8 RGB, (n,
    3, height, width) and (n, 3, DETAIL height, DETAIL width), and (n,), see `Tensors.longer`."""
    return _loader(Pairs(tensors), rows, batch_size)


def closeups(tensors, starts, rows, batch_size, seed, workers):
    """A shuffled DataLoader of close-ups, see `closeups.Closeups`, over some rows of `tensors`."""
    return _loader(Closeups(tensors, starts, seed), rows, batch_size, True, seed, workers)


def strips(tensors, edges, rows, batch_size, seed, workers):
    """A shuffled DataLoader of strips, see `strips.Strips`, over some rows of `tensors`."""
    return _loader(Strips(tensors, edges, seed), rows, batch_size, True, seed, workers)


def _loader(dataset, rows, batch_size, shuffled=False, seed=0, workers=0, collate=None):
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=Order(rows, shuffled, seed),
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_leave_interrupts,
        drop_last=shuffled and len(rows) % batch_size == 1 and len(rows) > 1,
    )


def _leave_interrupts(worker):
    """Ctrl-C reaches all processes; the main one answers it, and ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
