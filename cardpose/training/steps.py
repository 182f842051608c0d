"""Steps of a training: teach geometry, fit pictures, refine corners, trace edges.

Each step trains one part of the network and leaves the others unchanged. A step resumes from its
checkpoint if there is one. A step does nothing if its part has no epochs. After every epoch, the
losses of the training frames and of the frames in `validating` are logged in `live`.
"""

from collections.abc import Iterable
from pathlib import Path

import lightning
import numpy as np
import torch
from dvclive import Live
from torch.nn import functional as F
from torch.utils.data import DataLoader
from tqdm import trange

from cardpose.dataset.tensors import Tensors
from cardpose.network.heads import GeometryHead
from cardpose.network.model import CardPose
from cardpose.params import Params
from cardpose.training.batches import Rows, closeup_loader, frame_loader, strip_loader
from cardpose.training.checkpoints import read_checkpoint, write_checkpoint
from cardpose.training.distributed import rank
from cardpose.training.fit import fit_module
from cardpose.training.modules import CloserModule, TracerModule, WholePictureModule
from cardpose.training.parts import Part
from cardpose.training.simulation import SimulatedPackets, simulate
from cardpose.training.targets import closeup_starts, corner_targets, edge_targets

_PACKETS_PER_STEP = 4  # simulated packets per training step of a geometry head


def teach_geometry(
    network: CardPose, deck: int, params: Params, checkpoints: Path | None = None
) -> None:
    """Train both geometry heads of a network to count simulated packets of 1 to `deck` cards."""
    geometry = network.head.geometry
    taught = checkpoints and read_checkpoint(checkpoints / "geometry")
    if taught:
        geometry.load_state_dict(taught)
    else:
        rng = np.random.default_rng(params.seed)
        options = params.geometry
        n, size = _PACKETS_PER_STEP * options.steps, params.image_size
        packets = simulate(rng, n, deck, size, options.focal, options.card)
        learn_geometry(geometry, packets, size, options.steps)
        if checkpoints and rank() == 0:
            write_checkpoint(checkpoints / "geometry", geometry.state_dict())
    network.closer.geometry.load_state_dict(geometry.state_dict())


def learn_geometry(
    geometry: GeometryHead,
    packets: SimulatedPackets,
    image_size: list[int] | tuple[int, int],
    steps: int,
    n: int = 256,
) -> None:
    """Train a geometry head to count simulated packets from their corners.

    Noise imitates the errors of predicted corners. Most corners are moved slightly, 1 % are moved
    far, and 5 % of the visible ones are hidden.

    Args:
        geometry: the head; its weights are frozen afterwards.
        image_size: (width, height) of the picture in pixels.
        steps: number of training steps.
        n: packets per step.
    """
    points, visible, cards = (torch.from_numpy(array) for array in packets)
    pixel = image_size[0] / 640
    optimizer = torch.optim.AdamW(geometry.requires_grad_(True).parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for _ in trange(steps, desc="learn geometry", unit="step", disable=rank() > 0):
        chosen = torch.randint(len(cards), (n,))
        blur = 2 * pixel * torch.rand(n, 1, 1)
        stray = torch.rand(n, 8, 1) < 0.01
        noise = torch.randn(n, 8, 2) * torch.where(stray, 40 * pixel, blur)
        seen = visible[chosen] & (torch.rand(n, 8) > 0.05)
        loss = F.mse_loss(geometry(points[chosen] + noise, seen), cards[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    geometry.requires_grad_(False)


def fit_pictures(
    network: CardPose,
    tensors: Tensors,
    rows: np.ndarray,
    part: Part,
    params: Params,
    checkpoints: Path | None,
    half: bool = False,
    validating: Rows = (),
    live: Live | None = None,
    callbacks: Iterable[lightning.Callback] = (),
) -> None:
    """Train heatmaps, count and visibility on whole pictures, at half the size if `half`."""
    if not part.epochs:
        return
    workers = params.machine.loader_workers
    batches = frame_loader(
        tensors,
        rows,
        part.options.batch_size,
        shuffled=True,
        augmented=part.options.augment,
        seed=params.seed,
        workers=workers,
        half=half,
    )
    validation = None
    if len(validating):
        validation = frame_loader(tensors, validating, part.options.batch_size, workers=workers)
    module = WholePictureModule(network.train(), part, params.loss, tensors.deck)
    fit_module(part, module, batches, params, checkpoints, validation, live, callbacks)


def refine_corners(
    network: CardPose,
    tensors: Tensors,
    rows: np.ndarray,
    part: Part,
    params: Params,
    checkpoints: Path | None,
    validating: Rows = (),
    live: Live | None = None,
) -> None:
    """Train `network.closer` on close-ups around the peaks of the heatmaps."""
    if not part.epochs:
        return

    def load(rows: Rows, shuffled: bool) -> DataLoader:
        starts, seen = closeup_starts(network, tensors, np.asarray(rows))
        size, workers = part.options.batch_size, params.machine.loader_workers
        return closeup_loader(tensors, starts, rows, size, params.seed, workers, seen, shuffled)

    batches = load(rows, True)
    validation = load(validating, False) if len(validating) else None
    module = CloserModule(network, part, tensors.deck)
    fit_module(part, module.train(), batches, params, checkpoints, validation, live)
    network.eval()


def trace_edges(
    network: CardPose,
    tensors: Tensors,
    rows: np.ndarray,
    part: Part,
    params: Params,
    checkpoints: Path | None,
    validating: Rows = (),
    live: Live | None = None,
) -> None:
    """Train `network.tracer` on strips along the edges of a box fitted to each frame.

    The box is fitted to the corners and the count. Corners are labels, or predictions in frames
    without labels. If no frame's corners fit a box, the tracer stays marked as untaught and is not
    used.
    """
    if not part.epochs:
        return

    def load(rows: Rows, shuffled: bool) -> DataLoader | None:
        rows = np.asarray(rows)
        corners = corner_targets(network, tensors, rows)
        edges, usable = edge_targets(network.fitter, tensors, rows, network.deck_height, *corners)
        if not usable.any():
            return None
        size, workers = part.options.batch_size, params.machine.loader_workers
        return strip_loader(tensors, edges, rows[usable], size, params.seed, workers, shuffled)

    batches = load(rows, True)
    if batches is None:
        return
    validation = load(validating, False) if len(validating) else None
    module = TracerModule(network, part)
    fit_module(part, module.train(), batches, params, checkpoints, validation, live)
    network.tracer.taught.fill_(1)
    network.eval()
