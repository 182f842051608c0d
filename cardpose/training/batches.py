"""Loaders of training batches. Batches do not depend on the number of loader workers."""

import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch.utils.data import DataLoader, Dataset, Sampler

from cardpose.common.errors import InputError
from cardpose.dataset.tensors import Tensors
from cardpose.geometry.heatmaps import encode
from cardpose.training.datasets import AugmentedFrames, CloseupCrops, EdgeStrips, EdgeTargets
from cardpose.training.distributed import rank, world_size

Rows = Int[np.ndarray, " rows"] | Sequence[int]


class EpochOrder(Sampler):
    """Sampler of keys (epoch, row), in a new random order each epoch if `shuffled`.

    Args:
        rows: frames of an epoch.
        shuffled: draw a random order; otherwise keep the order of `rows`.
        seed: seed of the order. Each epoch has its own order.
        last: number of frames to skip at the end of an epoch.
        rank: number of this process, from 0.
        count: number of processes that share the frames. Their n-th batches, joined, are the n-th
            batch of a single process.
    """

    def __init__(
        self, rows: Rows, shuffled: bool, seed: int, last: int = 0, rank: int = 0, count: int = 1
    ) -> None:
        self.rows, self.shuffled, self.seed, self.epoch = np.asarray(rows), shuffled, seed, 0
        self.share = slice(rank, len(self.rows) - last, count)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.rows[self.share])

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rows = self.rows
        if self.shuffled:
            rows = np.random.default_rng([self.seed, self.epoch]).permutation(rows)
        return ((self.epoch, int(row)) for row in rows[self.share])


def frame_loader(
    tensors: Tensors,
    rows: Rows,
    batch_size: int,
    *,
    shuffled: bool = False,
    augmented: bool = False,
    seed: int = 0,
    workers: int = 0,
    half: bool = False,
) -> DataLoader:
    """Return a loader of whole pictures with heatmaps, counts and visibility.

    A batch has "pictures" (n, 3, height, width) uint8 RGB, "heatmaps" (n, 8, h, w) float32,
    "cards" (n,) as a share of the deck, "visible" (n, 8) float32, and "mask" (n, 8) bool, which
    marks the labelled keypoints.

    Args:
        tensors: frames and labels.
        rows: frames to load.
        batch_size: frames per batch, summed over all processes.
        shuffled: shuffle the frames. Drop a last batch that is too small for batch norm, and
            frames of the last batch that the processes cannot share equally.
        augmented: augment the pictures.
        seed: seed of the order and of the augmentation.
        workers: number of loader processes.
        half: load pictures and heatmaps of half the size.
    """
    frames = AugmentedFrames(tensors, augmented, seed, half)

    def collate(items: list[tuple]) -> dict[str, torch.Tensor]:
        columns = (torch.from_numpy(np.stack(column)) for column in zip(*items, strict=True))
        pictures, heatmaps, visible, mask, cards = columns
        if frames.redrawn:
            points, size = heatmaps, [side // tensors.stride for side in pictures.shape[1:3]]
            heatmaps = encode(points, visible, size, tensors.stride, tensors.sigma)
        return {
            "pictures": pictures.permute(0, 3, 1, 2),
            "heatmaps": heatmaps.float(),
            "cards": cards,
            "visible": visible.float(),
            "mask": mask,
        }

    return _loader(frames, rows, batch_size, shuffled, seed, workers, collate)


def closeup_loader(
    tensors: Tensors,
    starts: Float[np.ndarray, "n 8 2"],
    rows: Rows,
    batch_size: int,
    seed: int,
    workers: int,
    seen: Bool[np.ndarray, "n 8"] | None = None,
    shuffled: bool = True,
) -> DataLoader:
    """Return a loader of `CloseupCrops`."""
    crops = CloseupCrops(tensors, starts, seed, seen)
    return _loader(crops, rows, batch_size, shuffled, seed, workers)


def strip_loader(
    tensors: Tensors,
    edges: EdgeTargets,
    rows: Rows,
    batch_size: int,
    seed: int,
    workers: int,
    shuffled: bool = True,
) -> DataLoader:
    """Return a loader of `EdgeStrips`."""
    return _loader(EdgeStrips(tensors, edges, seed), rows, batch_size, shuffled, seed, workers)


def _loader(
    dataset: Dataset,
    rows: Rows,
    batch_size: int,
    shuffled: bool,
    seed: int,
    workers: int,
    collate: Callable[[list[Any]], Any] | None = None,
) -> DataLoader:
    last, processes = 0, world_size()
    if shuffled:
        if len(rows) < processes:
            raise InputError(
                f"train.devices: {processes} processes cannot share {len(rows)} frames to train on"
            )
        last = len(rows) % batch_size
        # Processes need equal shares. Batch norm needs at least two frames.
        if last >= max(2, processes) or last == len(rows):
            last %= processes
    elif len(rows) < processes:
        processes = 1  # too few frames to share: each process loads all of them
    order = EpochOrder(rows, shuffled, seed, last, rank() % processes, processes)
    return DataLoader(
        dataset,
        batch_size=batch_size // processes,
        sampler=order,
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_leave_interrupts,
    )


def _leave_interrupts(worker: int) -> None:
    """Ignore Ctrl-C and a closed terminal in a worker. They reach all processes, and the main one
    ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
