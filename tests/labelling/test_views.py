"""What the network sees in the frames of a recording."""

import numpy as np
import pytest
import torch
from support import ABOUT

from cardpose.geometry.projection import THICKNESS
from cardpose.labelling.views import view_recording
from cardpose.network.model import CardPose, network_shape


def test_batches_give_the_same_as_single_pictures():
    torch.manual_seed(0)
    network = CardPose(**network_shape(ABOUT)).eval()
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (48 + k, 64, 3), np.uint8) for k in range(11)]
    done = []
    together = view_recording(network, pictures, 3.0, done.append)
    assert sum(done) == 11
    assert len(done) > 1  # some at a time
    alone = view_recording(network, pictures[9:10], 3.0)
    for whole, one in zip(together, alone, strict=True):
        assert len(whole) == 11
        assert np.allclose(whole[9], one[0], atol=1e-2)
    channels = network(torch.from_numpy(pictures[0][None, ..., ::-1].copy()).permute(0, 3, 1, 2))
    assert np.allclose(together.logits[0], channels[2].detach().numpy()[0], atol=1e-4)


@pytest.mark.parametrize("thickness", [3.0, 12.0])
def test_the_box_is_as_thick_as_the_count_says(thickness):
    torch.manual_seed(0)
    network = CardPose(**network_shape(ABOUT)).eval()
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(3)]
    view = view_recording(network, pictures, thickness)
    assert view.numbers[:, THICKNESS] == pytest.approx(thickness, abs=0.5)


def test_portrait_pictures_have_the_focal_length_of_their_longer_side(monkeypatch):
    torch.manual_seed(0)
    network = CardPose(**network_shape(ABOUT)).eval()  # of 64 x 48 pixels
    focals, fit_boxes = [], network.fit_boxes

    def recorded(pictures, details, focal, thickness):
        focals.extend(focal.tolist())
        return fit_boxes(pictures, details, focal, thickness)

    monkeypatch.setattr(network, "fit_boxes", recorded)
    view_recording(network, [np.zeros(size, np.uint8) for size in ((48, 64, 3), (64, 48, 3))], 3.0)
    assert focals == pytest.approx([ABOUT["focal"] * 64, ABOUT["focal"] * 48])
