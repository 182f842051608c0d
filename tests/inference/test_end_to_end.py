"""Pictures of any size in, keypoints out in their pixels."""

import cv2
import numpy as np
import pytest
import torch
from support import ABOUT, seen

from cardpose.geometry.heatmaps import encode
from cardpose.inference.end_to_end import EndToEnd
from cardpose.inference.resize import resize
from cardpose.network import model
from cardpose.network.model import CardPose, network_shape
from cardpose.pictures.letterbox import fit, resize_to_fit

SIZES = [(640, 480), (320, 240), (480, 640), (1920, 1080), (333, 517), (1001, 77), (200, 150)]


def textured(width, height, seed=0):
    """A picture with details as fine as cameras give them."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 1)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("size", SIZES)
def test_pictures_are_fitted_as_opencv_fits_them(size, times):
    picture, target = textured(*size), (320, 240)
    whole = [torch.tensor(side) for side in size]
    inner, margin = ([torch.tensor(a) for a in pair] for pair in fit(size, target))
    batch = torch.from_numpy(picture)[None]
    found = resize(batch, whole, inner, margin, target, times)[0].permute(1, 2, 0).numpy()
    off = abs(found - resize_to_fit(picture, target, times))
    assert off.max() <= 1  # OpenCV enlarges with weights of 11 bits
    assert (off > 0).mean() < 0.15
    assert (found == found.round()).all()


def steady_network(image_size=(64, 48)):
    """An untrained network to which all keypoints are visible, and whose closer moves none."""
    torch.manual_seed(0)
    network = CardPose(**network_shape({**ABOUT, "image_size": image_size})).eval()
    for last in (network.closer.move, network.head.visible[-1]):
        torch.nn.init.zeros_(last.weight)
        torch.nn.init.zeros_(last.bias)
    torch.nn.init.ones_(network.head.visible[-1].bias)
    return network


@pytest.fixture
def network():
    return steady_network()


class Spots(torch.nn.Module):
    """Heatmaps with one bright pixel each: of a given height, in a column of its own."""

    def __init__(self, heights):
        super().__init__()
        self.heights = heights

    def forward(self, x):
        heatmaps = torch.zeros(x.shape[0], 8, *x.shape[2:])
        for i, height in enumerate(self.heights):
            heatmaps[:, i, 3 + i // 2, 2 * i] = height
        return heatmaps


def count(network, pictures, about=ABOUT, way="both"):
    with torch.inference_mode():
        return EndToEnd(network, about, way)(torch.from_numpy(pictures))


@pytest.mark.parametrize(
    ("size", "scale", "margin"),
    [
        ((64, 48), (1, 1), (0, 0)),
        ((640, 480), (10, 10), (0, 0)),
        ((48, 64), (48 / 36, 64 / 48), (14, 0)),  # 36 x 48 in the middle of 64 x 48
        ((128, 50), (2, 2), (0, 11)),  # 64 x 25; 23 rows are left over
    ],
)
def test_keypoints_are_in_pixels_of_the_picture(network, size, scale, margin):
    network.heatmaps = Spots([1.0] * 8)
    found = count(network, textured(*size)[None]).keypoints[0].numpy()
    # The middle of heatmap pixel (column, row) at stride 4.
    spots = 4 * (np.array([(2 * i, 3 + i // 2) for i in range(8)]) + 0.5)
    expected = (spots - margin) * scale
    # The box may give them other names.
    assert np.array(sorted(found.tolist())) == pytest.approx(
        np.array(sorted(expected.tolist())), abs=1e-3
    )


@pytest.mark.parametrize(("size", "focal"), [((64, 48), 64), ((192, 108), 64), ((48, 64), 48)])
def test_the_focal_length_is_a_share_of_the_longer_side(network, monkeypatch, size, focal):
    """A portrait picture fitted into 64 x 48 pixels is 48 pixels high."""
    given = []
    predict = network.predict
    monkeypatch.setattr(network, "predict", lambda *args: given.append(args[2]) or predict(*args))
    count(network, np.stack([textured(*size)] * 2))
    assert given[0].tolist() == pytest.approx([1.06 * focal] * 2)


class FixedHeatmaps(torch.nn.Module):
    """The same heatmaps for all pictures."""

    def __init__(self, points):
        super().__init__()
        self.heatmaps = encode(points, torch.ones(1, 8, dtype=torch.bool), (120, 160), 4, 1.5)

    def forward(self, x):
        return self.heatmaps


def test_a_packet_has_the_same_count_in_landscape_and_in_portrait(monkeypatch):
    """One camera: its focal length in pixels and the packet's size are the same in both frames."""
    monkeypatch.setattr(model, "_PICTURE_ERROR", 1e6)  # the picture's count differs
    metadata = {**ABOUT, "image_size": (640, 480)}
    network = steady_network(metadata["image_size"])
    points = torch.from_numpy(seen([-100.0], 9.0)[0])
    counts = []
    for width, height in ((640, 480), (480, 640)):
        middle = torch.tensor([320.0, 240.0])
        # The portrait frame is fitted into 360 x 480 pixels of the network's picture.
        network.heatmaps = FixedHeatmaps(middle + (480 / height) * (points - middle))
        found = count(network, np.zeros((1, height, width, 3), np.uint8), metadata)
        expected = points - middle + torch.tensor([width / 2, height / 2])
        assert torch.allclose(found.keypoints, expected.float(), atol=0.05)
        counts.append(float(found.cards))
    assert counts[0] == pytest.approx(counts[1], abs=0.05)


def test_a_batch_has_the_counts_of_its_pictures_alone(network):
    pictures = np.stack([textured(90, 70, seed) for seed in range(3)])
    batch = count(network, pictures)
    for i in range(3):
        alone = count(network, pictures[i : i + 1])
        for one, all_of_them in zip(alone, batch, strict=True):
            assert torch.allclose(one[0], all_of_them[i], atol=1e-4, equal_nan=True)


def test_each_way_of_counting_has_its_own_count_and_margin(network):
    picture = textured(64, 48)[None]
    margins = {"picture": 1.0, "keypoints": 2.0, "both": 3.0}
    counted = [count(network, picture, {**ABOUT, "margins": margins}, way) for way in margins]
    assert len({float(c.cards) for c in counted}) == 3
    for found, margin in zip(counted, margins.values(), strict=True):
        ends = np.clip([float(found.cards) - margin, float(found.cards) + margin], 1, 52)
        assert [float(found.low), float(found.high)] == pytest.approx(ends, abs=1e-5)


def test_a_network_without_margins_gives_no_interval(network):
    counted = count(network, textured(64, 48)[None])
    assert counted.low.isnan().all()
    assert counted.high.isnan().all()


@pytest.mark.parametrize(
    ("heights", "confidence"),
    [
        ([1.0] * 8, 1.0),
        ([1.2] * 8, 1.0),
        ([0.0] * 8, 0.0),
        ([0.9, 0.7, 0.8, 0.6, 0.1, 0.1, 0.0, 0.2], 0.75),  # the mean of the four highest
    ],
)
def test_the_confidence_is_the_mean_of_the_four_highest_peaks(network, heights, confidence):
    network.heatmaps = Spots(heights)
    counted = count(network, textured(64, 48)[None])
    assert float(counted.confidence) == pytest.approx(confidence, abs=1e-5)
