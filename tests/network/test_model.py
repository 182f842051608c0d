"""The network on whole pictures: shapes, and which loss trains which weights."""

import pytest
import torch
from networks import SpotHeatmaps, pictures
from support import ABOUT
from torch.nn import functional as F

from cardpose.geometry.heatmaps import encode
from cardpose.network.model import COUNTS, CardPose, network_shape
from cardpose.params import load_params
from cardpose.training.losses import losses


@pytest.mark.parametrize("encoder", ["plain", "inverted"])
@pytest.mark.parametrize("stride", [2, 4, 8])
def test_outputs_have_the_promised_shapes(stride, encoder):
    network = CardPose(**network_shape({**ABOUT, "stride": stride, "encoder": encoder}))
    heatmaps, cards, visible = network(pictures())
    assert heatmaps.shape == (3, 8, 48 // stride, 64 // stride)
    assert cards.shape == (3, 2)
    assert visible.shape == (3, 8)


def test_pictures_whose_size_no_level_divides_have_heatmaps():
    network = CardPose(**network_shape({**ABOUT, "image_size": (100, 76)}))
    heatmaps, _, _ = network(torch.zeros(1, 3, 76, 100))
    assert heatmaps.shape == (1, 8, 19, 25)


ENCODER, DECODER = {"stem", "down"}, {"narrow", "up"}
PARTS = ENCODER | DECODER | {"heatmaps", "head.geometry", "head.picture", "head.visible"}
PARTS |= {"closer", "tracer"}
# Which parts each term of the loss trains: all their weights, and no others.
TRAINED = {
    "heatmaps": ENCODER | DECODER | {"heatmaps"},
    "cards": ENCODER | {"head.picture"},
    "visibility": ENCODER | {"head.visible"},
}


def target(n):
    """Heatmaps, counts and visibility to train on, for n pictures."""
    points = torch.rand(n, 8, 2) * torch.tensor([64, 48])
    seen = torch.rand(n, 8) > 0.3
    return encode(points, seen, (12, 16), 4, 1.5), torch.rand(n), seen.float()


@pytest.mark.parametrize("term", TRAINED)
def test_each_term_of_the_loss_trains_exactly_its_own_weights(network, term):
    torch.nn.init.normal_(network.heatmaps.weight)
    losses(network(pictures()), target(3), load_params().loss)[term].backward()
    for name, weight in network.named_parameters():
        [part] = [part for part in PARTS if name.startswith(part + ".")]
        if part in TRAINED[term]:
            assert weight.grad.any(), name
        else:  # not even a gradient of zero, with which AdamW would let the weight decay
            assert weight.grad is None, name


def test_the_count_by_keypoints_depends_on_the_keypoints_alone(network):
    network.eval()
    features = torch.rand(2, network.head.picture[0].in_features)
    points = torch.rand(1, 8, 2).expand(2, 8, 2) * 48
    torch.nn.init.zeros_(network.head.visible[-1].weight)  # the same corners are seen in both
    cards, _ = network.head(points, features)
    difference = (cards[0] - cards[1]).abs()
    assert difference[COUNTS.index("keypoints")] < 1e-6
    assert difference[COUNTS.index("picture")] > 1e-4


def test_keypoints_of_a_picture_of_half_the_size_are_scaled_to_the_whole_size(network):
    """The head's keypoints are in pixels of `image_size`."""
    given = []
    network.head.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    network.heatmaps = SpotHeatmaps()
    network.eval()(pictures(1))
    network(F.interpolate(pictures(1).float(), scale_factor=0.5))
    # Row 2, column 3 of the heatmaps: x = 3.5 x 4 and y = 2.5 x 4 pixels, then twice as many.
    assert torch.allclose(given[0], torch.tensor([14.0, 10.0]).expand(1, 8, 2), atol=1e-3)
    assert torch.allclose(given[1], torch.tensor([28.0, 20.0]).expand(1, 8, 2), atol=1e-3)


def test_one_gradient_step_lowers_the_loss(network):
    batch, wanted, weights = pictures(8), target(8), load_params().loss
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=1e-6)
    before = losses(network(batch), wanted, weights)["total"]
    before.backward()
    optimizer.step()
    assert losses(network(batch), wanted, weights)["total"] < before
