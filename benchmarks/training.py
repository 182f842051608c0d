"""How fast the network trains: pictures a second, and where the time goes.

    python -m benchmarks.training

Measures, in turn and several times over, each encoder on pictures of the whole and of half the
size, the second look on close-ups of the corners, and the tracing of edges in strips, with the
augmentation and the batches of `params.yaml`. The rows of one run compare with each other; rows of
different runs or machines do not.
"""

from time import perf_counter
from types import SimpleNamespace

import numpy as np
import torch

from cardpose.geometry.box import KINDS
from cardpose.network.closeups import SIDE
from cardpose.network.model import CardPose
from cardpose.network.strips import LENGTH, REACH
from cardpose.params import load_params
from cardpose.pictures.letterbox import DETAIL
from cardpose.training.batches import closeup_loader, frame_loader, strip_loader
from cardpose.training.datasets import EdgeTargets
from cardpose.training.fit import best_precision
from cardpose.training.losses import closer_loss, losses, tracer_loss

_STEPS = 6  # measured, in each round
_ROUNDS = 3


def main():
    params = load_params()
    torch.manual_seed(0)
    rows = [(encoder, small) for encoder in ("plain", "inverted") for small in (False, True)]
    steps = {row: first_look(params, *row) for row in rows}
    steps["close-ups", f"8 of {SIDE}x{SIDE}"] = second_look(params)
    steps["strips", f"12 of {LENGTH}x{2 * REACH + 1}"] = tracing(params)
    rows = list(steps)
    times = {row: [] for row in rows}
    for _ in range(_ROUNDS):
        for row in rows:
            times[row] += [steps[row]() for _ in range(_STEPS)]
    print(
        f"{torch.get_num_threads()} threads, {precision()},"
        f" {params.train.batch_size} pictures a step"
    )
    print(
        f"{'encoder':10}{'size':>12}{'pictures/s':>12}{'ratio':>8}   data, forward, backward, step"
    )
    first = np.median(np.sum(times[rows[0]], axis=1))
    for encoder, small in rows:
        parts = np.median(times[encoder, small], axis=0)
        total = parts.sum()
        size = small
        if not isinstance(small, str):
            size = "x".join(str(side // (2 if small else 1)) for side in params.image_size)
        shares = ", ".join(f"{share:.0%}" for share in parts / total)
        rate = params.train.batch_size / total
        print(f"{encoder:10}{size:>12}{rate:12.1f}{first / total:8.2f}   {shares}")


def precision():
    return best_precision("cpu")


def untrained(params, encoder):
    """A new network as `params.yaml` has it, but for its encoder."""
    model = params.model
    return CardPose(
        model.widths,
        params.heatmap_stride,
        params.sigma,
        model.hidden,
        params.image_size,
        encoder,
        params.geometry.focal,
        params.geometry.card,
        52,
    ).to(memory_format=torch.channels_last)


def first_look(params, encoder, small):
    """A function that trains the UNet for one step and returns the seconds that its parts took."""
    options = params.train
    tensors = noise(params, 4 * options.batch_size)
    network = untrained(params, encoder)
    batches = frame_loader(
        tensors,
        np.arange(len(tensors.cards)),
        options.batch_size,
        shuffled=True,
        augmented=options.augment,
        half=small,
    )

    def loss(batch, predicted):
        target = batch["heatmaps"], batch["cards"], batch["visible"]
        return losses(predicted, target, params.loss)["total"]

    return stepper(network, batches, ("pictures",), loss)


def second_look(params):
    """The same of the second look."""
    batch_size = params.train.batch_size
    tensors = noise(params, 4 * batch_size)
    rows = np.arange(len(tensors.cards))
    closer = untrained(params, "plain").closer
    batches = closeup_loader(tensors, tensors.points.astype(float), rows, batch_size, 0, 0)

    def loss(batch, steps):
        points = batch["starts"] + steps.float()
        cards = closer.geometry(points, batch["visible"])
        return closer_loss(points, batch["points"], batch["visible"], cards, batch["cards"])

    return stepper(closer, batches, ("closeups",), loss)


def tracing(params):
    """The same for the tracing of edges."""
    options = params.train
    tensors = noise(params, 4 * options.batch_size)
    n, rng = len(tensors.cards), np.random.default_rng(0)
    edges = EdgeTargets(
        starts=rng.random((n, 12, 2)) * params.image_size,
        ends=rng.random((n, 12, 2)) * params.image_size,
        kinds=rng.random((n, 12, KINDS)) < 0.2,
        heights=rng.random(n) * 50,
    )
    batches = strip_loader(
        tensors, edges, np.arange(n), options.batch_size, 0, params.machine.loader_workers
    )

    def loss(batch, found):
        return tracer_loss(*found, batch["places"], batch["counts"])

    return stepper(untrained(params, "plain").tracer, batches, ("strips", "kinds", "heights"), loss)


def stepper(module, batches, names, loss):
    optimizer = torch.optim.AdamW(module.parameters(), 1e-4)
    waiting = iter(batches)

    def step():
        nonlocal waiting
        clock = [perf_counter()]
        batch = next(waiting, None)
        if batch is None:
            waiting = iter(batches)
            batch = next(waiting)
        clock.append(perf_counter())
        with torch.autocast("cpu", torch.bfloat16, enabled=precision() == "bf16-mixed"):
            predicted = module(*(batch[name] for name in names))
        value = loss(batch, predicted)
        clock.append(perf_counter())
        value.backward()
        clock.append(perf_counter())
        optimizer.step()
        optimizer.zero_grad()
        clock.append(perf_counter())
        return np.diff(clock)

    for _ in range(2):
        step()
    return step


def noise(params, n):
    """`n` made-up frames, as `tensors.read_tensors` would return them."""
    rng = np.random.default_rng(0)
    width, height = params.image_size
    return SimpleNamespace(
        pictures=rng.integers(0, 256, (n, height, width, 3), dtype=np.uint8),
        details=rng.integers(0, 256, (n, DETAIL * height, DETAIL * width, 3), dtype=np.uint8),
        points=(rng.random((n, 8, 2)) * [width, height]).astype(np.float32),
        visible=rng.random((n, 8)) > 0.2,
        mask=np.ones((n, 8), bool),
        cards=rng.random(n, dtype=np.float32),
        longer=np.full(n, width),
        image_size=params.image_size,
        stride=params.heatmap_stride,
        sigma=params.sigma,
    )


if __name__ == "__main__":
    main()
