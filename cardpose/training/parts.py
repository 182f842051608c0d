"""The parts of a training: geometry, corners, edges."""

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import trange

from cardpose.geometry.heatmaps import decode
from cardpose.geometry.keypoints import N_KEYPOINTS
from cardpose.geometry.pose import KINDS
from cardpose.network.predict import pair_loader, predict_frames
from cardpose.network.strips import long_enough, side_heights
from cardpose.training.batches import closeup_loader, strip_loader
from cardpose.training.callbacks import Part
from cardpose.training.checkpoints import read_checkpoint, write_checkpoint
from cardpose.training.distributed import rank
from cardpose.training.fit import fit
from cardpose.training.modules import CloserModule, TracerModule
from cardpose.training.simulation import simulate

_PACKETS_A_STEP = 4  # simulated, to learn geometry from
_BATCH = 32  # where nothing is learnt
_LABELS = 5  # keypoints that a frame has to show for its edges to teach
_LABEL_OFF = 0.02  # picture widths, how far off the box its labels may be


def learn_geometry(geometry, packets, image_size, steps, n=256):
    """Teach a network's `head.geometry` to count simulated packets from their corners.

    The corners are seen as well as the network sees them: a little off, now and then far off, now
    and then not at all.

    Args:
        geometry: a `model.Geometry`.
        packets: what `simulation.simulate` returned.
        image_size: (width, height) of the picture they are in.
        steps: how often to look at `n` of them.
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


def teach_geometry(network, deck, params, checkpoints):
    geometry = network.head.geometry
    taught = checkpoints and read_checkpoint(checkpoints / "geometry")
    if taught:
        geometry.load_state_dict(taught)
    else:
        rng = np.random.default_rng(params.seed)
        known = params.geometry
        n, size = _PACKETS_A_STEP * known.steps, params.image_size
        packets = simulate(rng, n, deck, size, known.focal, known.card)
        learn_geometry(geometry, packets, size, known.steps)
        if checkpoints and rank() == 0:
            write_checkpoint(checkpoints / "geometry", geometry.state_dict())
    network.closer.geometry.load_state_dict(geometry.state_dict())


def refine_corners(network, tensors, rows, params, section, checkpoints):
    """Train the second look, from the corners that the first one finds; which of them are seen, it
    says too where no label does. `section` is that of params.yaml which says how."""
    options = getattr(params, section)
    if not options.closeup_epochs:
        return
    starts, seen = np.zeros((len(tensors.points), N_KEYPOINTS, 2)), np.array(tensors.visible)
    found = []
    with torch.inference_mode():
        for batch in pair_loader(tensors, rows, _BATCH):
            heatmaps, _, visibility = network.eval()(batch["pictures"])
            found.append((decode(heatmaps, network.stride, network.sigma)[0], visibility > 0))
    points, visible = (torch.cat(column).numpy() for column in zip(*found, strict=True))
    starts[rows] = points
    seen[rows] = np.where(tensors.mask[rows], seen[rows], visible)
    workers = params.machine.loader_workers
    batches = closeup_loader(tensors, starts, rows, options.batch_size, params.seed, workers, seen)
    rate = options.closeup_learning_rate
    module = CloserModule(network, rate, options.weight_decay, tensors.deck)
    knob = f"{section}.closeup_learning_rate"
    part = Part("closeups", "close-ups", options.closeup_epochs, knob)
    fit(part, module.train(), batches, params, checkpoints)
    network.eval()


def trace_edges(network, tensors, rows, params, section, checkpoints):
    """Train the tracing of edges, from where labels and counts say that the edges are; where there
    are no labels, from where the network sees the corners and the count makes a box of them.
    `section` is that of params.yaml which says how."""
    options = getattr(params, section)
    if not options.edge_epochs:
        return
    labels = known_corners(network, tensors, rows)
    edges, good = label_edges(network.packet, tensors, rows, network.deck_height, labels)
    if not good.any():
        return
    batches = strip_loader(
        tensors, edges, rows[good], options.batch_size, params.seed, params.machine.loader_workers
    )
    module = TracerModule(network, options.closeup_learning_rate, options.weight_decay)
    knob = f"{section}.closeup_learning_rate"
    part = Part("edges", "strips along edges", options.edge_epochs, knob)
    fit(part, module.train(), batches, params, checkpoints)
    network.tracer.taught.fill_(1)
    network.eval()


def known_corners(network, tensors, rows):
    """Where corners are (n, 8, 2), and which are seen (n, 8): by their labels, and in frames that
    have none, by the network."""
    points, seen = np.array(tensors.points), np.array(tensors.visible)
    unlabelled = rows[~tensors.mask[rows].any(axis=1)]
    if len(unlabelled):
        looked = predict_frames(
            network.eval(), pair_loader(tensors, unlabelled, _BATCH), {"deck": 1}
        )
        points[unlabelled], seen[unlabelled] = looked.points, looked.visible
    return points, seen


def label_edges(packet, tensors, rows, deck_height, labels=None):
    """Where the edges of packets are, by `labels` (as `_labels` returns them; the tensors' own by
    default) and counts: what `strips.Strips` takes, and which of the `rows` are good to learn from.
    Labels that no box explains teach nothing, nor do those too few."""
    labels = labels or (tensors.points, tensors.visible)
    size, n = torch.tensor(tensors.image_size), len(tensors.points)
    edges = {
        "starts": np.zeros((n, 12, 2)),
        "ends": np.zeros((n, 12, 2)),
        "kinds": np.zeros((n, 12, KINDS), bool),
        "heights": np.zeros(n),
    }
    good = []
    for some in np.array_split(rows, -(-len(rows) // _BATCH)):
        points, seen = (torch.from_numpy(a[some]) for a in labels)
        height = torch.from_numpy(tensors.cards[some]) * deck_height
        focal = packet.focal_of(torch.from_numpy(tensors.longer[some]))
        pose, names = packet.fit(points, seen, height, focal)
        starts, ends, kinds, _ = packet.edges(pose)
        box = packet.keypoints(pose)
        off = (box - points.gather(1, names[..., None].expand(-1, -1, 2))).norm(dim=2)
        off = torch.where(seen.gather(1, names), off, 0).amax(dim=1)
        good.append((off < _LABEL_OFF * size[0]) & (seen.sum(dim=1) >= _LABELS))
        inside = ((starts > 0) & (starts < size) & (ends > 0) & (ends < size)).all(dim=2)
        kinds = kinds & (inside & long_enough(starts, ends))[..., None]
        found = (starts, ends, kinds, side_heights(box))
        for name, values in zip(edges, found, strict=True):
            edges[name][some] = values.numpy()
    return edges, torch.cat(good).numpy()
