"""Batches of tensors for training, the same whatever the number of loader workers."""

import signal

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from cardpose.common.errors import InputError
from cardpose.geometry.heatmaps import encode
from cardpose.training.datasets import AugmentedFrames, CloseupCrops, EdgeStrips
from cardpose.training.distributed import rank, world_size


class EpochOrder(Sampler):
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


def frame_loader(
    tensors, rows, batch_size, *, shuffled=False, augmented=False, seed=0, workers=0, half=False
):
    """A DataLoader of {"pictures", "heatmaps", "cards", "visible", "mask"} over some rows of
    `tensors`.

    pictures (n, 3, height, width) uint8 RGB, heatmaps (n, 8, h, w) float32, cards (n,) as a share
    of the deck, visible (n, 8) float32, mask (n, 8) bool. Shuffled loaders drop a last batch of
    one, which batch norm cannot take. Processes that train together share each batch. `half`:
    pictures and heatmaps of half the size.
    """
    frames = AugmentedFrames(tensors, augmented, seed, half)

    def collate(items):
        columns = (np.stack(column) for column in zip(*items, strict=True))
        pictures, second, visible, mask, cards = columns
        second, visible = torch.from_numpy(second), torch.from_numpy(visible)
        if frames.redrawn:
            size = [side // tensors.stride for side in pictures.shape[1:3]]
            second = encode(second, visible, size, tensors.stride, tensors.sigma)
        return {
            "pictures": torch.from_numpy(pictures).permute(0, 3, 1, 2),
            "heatmaps": second.float(),
            "cards": torch.from_numpy(cards),
            "visible": visible.float(),
            "mask": torch.from_numpy(mask),
        }

    return _loader(frames, rows, batch_size, shuffled, seed, workers, collate)


def closeup_loader(tensors, starts, rows, batch_size, seed, workers, seen=None):
    """A shuffled DataLoader of close-ups, see `closeups.Closeups`, over some rows of `tensors`."""
    return _loader(CloseupCrops(tensors, starts, seed, seen), rows, batch_size, True, seed, workers)


def strip_loader(tensors, edges, rows, batch_size, seed, workers):
    """A shuffled DataLoader of strips, see `strips.Strips`, over some rows of `tensors`."""
    return _loader(EdgeStrips(tensors, edges, seed), rows, batch_size, True, seed, workers)


def _loader(dataset, rows, batch_size, shuffled, seed, workers, collate=None):
    last, everybody = 0, world_size()
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
    order = EpochOrder(rows, shuffled, seed, last, rank() % everybody, everybody)
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
