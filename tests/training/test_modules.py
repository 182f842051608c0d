"""One training step of each part of the network."""

import numpy as np
import pytest
import torch
from made_up import simulated_tensors
from torch import nn

from cardpose.network.model import CardPose
from cardpose.pictures.letterbox import DETAIL
from cardpose.training.batches import closeup_loader, frame_loader, strip_loader
from cardpose.training.losses import tracer_loss
from cardpose.training.modules import CloserModule, TracerModule, WholePictureModule
from cardpose.training.parts import train_parts
from cardpose.training.targets import edge_targets

DECK = 52


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = CardPose(
        widths=[8, 8, 8, 8],
        stride=4,
        sigma=1.5,
        hidden=8,
        image_size=[64, 48],
        encoder="plain",
        focal=1.06,
        card=[63.0, 88.0, 0.3],
        deck=DECK,
    )
    return network.eval()  # batch norm takes no single frame


def quiet(module):
    """A module that logs nothing, as it has no trainer."""
    module.log = module.log_dict = lambda *args, **kwargs: None
    return module


def gradients(module, tensors, row):
    """The gradients of one step of training on one frame."""
    module.zero_grad()
    module.training_step(next(iter(frame_loader(tensors, [row], 1)))).backward()
    return {n: p.grad for n, p in module.network.named_parameters() if p.grad is not None}


def test_a_frame_without_labels_teaches_the_count_and_no_heatmap(partly, network):
    params, tensors = partly
    whole, *_ = train_parts(params.train)
    module = quiet(WholePictureModule(network, whole, params.loss, DECK))
    for row, labelled in ((3, True), (4, False)):
        found = gradients(module, tensors, row)
        for name in ("heatmaps.weight", "head.visible.0.weight", "head.visible.2.bias"):
            assert found[name].any() == labelled
        assert found["head.picture.2.weight"].any()
        assert found["stem.0.weight"].any()  # by way of the count


class ExactCloser(nn.Module):
    """Stands in for a closer: its answers are those that the labels ask for.

    Where a corner has no label it answers nonsense, which must not cost anything. It counts right
    from the corners that are seen, and from no others.
    """

    def __init__(self, batch):
        super().__init__()
        self.batch, self.usual = batch, None

    def forward(self, closeups):
        # A step in the close-up, turned, leads from its middle to the label.
        wanted = DETAIL * (self.batch["points"] - self.batch["starts"])
        steps = torch.linalg.solve(self.batch["turn"], wanted.transpose(1, 2)).transpose(1, 2)
        return torch.where(self.batch["visible"][..., None], steps, 1e3)

    def geometry(self, usual, seen):
        self.usual = usual
        right = (seen == self.batch["seen"]).all(dim=1)
        return torch.where(right, self.batch["cards"], self.batch["cards"] + 1)


@pytest.fixture
def closeups():
    """A batch of close-ups. What is labelled and what is seen differ in every frame."""
    tensors = simulated_tensors()
    tensors.visible[:, ::2] = True
    tensors.visible[:, 1::2] = False
    starts = tensors.points.astype(float)
    batches = closeup_loader(tensors, starts, np.arange(12), 12, 0, 0, ~tensors.visible)
    return next(iter(batches))


def test_a_closer_that_answers_exactly_costs_nothing(params, network, closeups):
    _, part, _ = train_parts(params.train)
    module = quiet(CloserModule(network, part, DECK))
    module.closer = exact = ExactCloser(closeups)
    assert module.training_step(closeups).item() == pytest.approx(0, abs=1e-4)
    labelled = closeups["visible"]
    assert torch.allclose(exact.usual[labelled], closeups["points"][labelled], atol=1e-3)


def test_a_closer_that_errs_by_a_pixel_pays_for_a_pixel(params, network, closeups):
    _, part, _ = train_parts(params.train)
    module = quiet(CloserModule(network, part, DECK))
    module.closer = ExactCloser(closeups)
    closeups["points"] = closeups["points"].clone()
    wanted = module.closer.forward(None)
    module.closer.forward = lambda _: wanted  # as before, though labels have moved
    closeups["points"][closeups["visible"]] += torch.tensor([1.0, 0.0]) / DETAIL
    # Below 2 px, Huber's loss of d is d^2 / 4; one of two coordinates is off.
    assert module.training_step(closeups).item() == pytest.approx(1 / 4 / 2, abs=1e-4)


def test_corners_of_portrait_frames_are_seen_with_their_own_focal_length(params, network, closeups):
    _, part, _ = train_parts(params.train)
    module = quiet(CloserModule(network, part, DECK))
    module.closer = exact = ExactCloser(closeups)
    closeups["longer"] = torch.full_like(closeups["longer"], 48)
    module.training_step(closeups)
    # The shorter the focal length in pixels, the more the packet is magnified about the middle.
    middle, labelled = torch.tensor([32.0, 24.0]), closeups["visible"]
    expected = middle + (closeups["points"] - middle) * 64 / 48
    assert torch.allclose(exact.usual[labelled], expected[labelled], atol=1e-3)


@pytest.fixture
def strips(network):
    """A batch of strips along the edges of simulated packets."""
    tensors = simulated_tensors()
    tensors.visible[:] = True
    rows = np.arange(12)
    labels = tensors.points, tensors.visible
    edges, _ = edge_targets(network.fitter, tensors, rows, network.deck_height, *labels)
    edges.kinds[:, :, 0] = True
    return next(iter(strip_loader(tensors, edges, rows, 12, 0, 0)))


def test_a_tracer_that_answers_exactly_costs_nothing(params, network, strips):
    *_, part = train_parts(params.train)
    module = quiet(TracerModule(network, part))
    places = strips["places"]
    module.tracer.forward = lambda *batch: (places, torch.zeros_like(places))
    assert strips["counts"].any()
    assert module.training_step(strips).item() == 0


def test_the_tracer_learns_from_strips_kinds_and_heights(params, network, strips):
    *_, part = train_parts(params.train)
    module = quiet(TracerModule(network, part))
    with torch.no_grad():
        found = network.tracer(strips["strips"], strips["kinds"], strips["heights"])
        expected = tracer_loss(*found, strips["places"], strips["counts"]).item()
        assert module.training_step(strips).item() == expected
        for name in ("strips", "kinds", "heights"):
            other = {**strips, name: torch.zeros_like(strips[name])}
            assert module.training_step(other).item() != expected
