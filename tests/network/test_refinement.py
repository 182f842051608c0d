"""From the heatmaps' keypoints to refined ones, a box and the count `both`."""

import pytest
import torch
from networks import (
    FixedHeatmaps,
    FixedSteps,
    SpotHeatmaps,
    brightest_pixel,
    details,
    fixed_heatmaps,
    landscape_and_portrait,
    large_network,
    pictures,
)
from support import seen

from cardpose.geometry.keypoints import TURNED
from cardpose.network import model
from cardpose.network.model import COUNTS


def test_a_prediction_has_every_count_and_eight_keypoints(network):
    with torch.inference_mode():
        found = network.eval().predict(pictures(), details())
    assert found.cards.shape == (3, len(COUNTS))
    assert (found.points.shape, found.visibility.shape) == ((3, 8, 2), (3, 8))
    assert (found.peaks.shape, found.corners.shape) == ((3, 8), (3, 8))


def test_steps_of_the_closer_are_detail_pixels(network):
    """Two detail pixels are one pixel of the network's picture."""
    network.heatmaps = SpotHeatmaps()
    network.eval().closer.move = FixedSteps()
    points = network.predict(pictures(1), details(1)).points
    # From (14, 10), where the spot is.
    assert torch.allclose(points, torch.tensor([17.0, 9.0]).expand(1, 8, 2), atol=1e-3)


def test_close_ups_are_cut_round_the_keypoints_of_their_own_picture(network, monkeypatch):
    """Each picture has one bright pixel, near its own keypoints, which the closer finds."""
    heatmaps, bright = torch.zeros(2, 8, 12, 16), torch.zeros(2, 3, 96, 128)
    # Middles of heatmap pixels at stride 4: (14, 10) and (38, 26), in detail pixels twice that.
    heatmaps[0, :, 2, 3] = heatmaps[1, :, 6, 9] = 1
    bright[0, :, 20 - 3, 28 + 5] = bright[1, :, 52 + 6, 76 - 4] = 255
    network.heatmaps = FixedHeatmaps(heatmaps)
    monkeypatch.setattr(network.eval().closer, "forward", brightest_pixel)
    points = network.predict(pictures(2), bright).points
    expected = torch.tensor([[33.5, 17.5], [72.5, 58.5]]) / 2
    assert torch.allclose(points, expected[:, None].expand(2, 8, 2), atol=1e-3)


def test_the_count_both_follows_the_refined_keypoints(network):
    network.heatmaps = SpotHeatmaps()
    torch.nn.init.ones_(network.eval().head.visible[-1].bias)
    torch.nn.init.zeros_(network.head.visible[-1].weight)
    batch = pictures(1), details(1)
    with torch.inference_mode():
        before = network.predict(*batch).cards
        torch.nn.init.normal_(network.closer.move.weight)
        torch.nn.init.normal_(network.closer.which)  # or all keypoints move alike
        after = network.predict(*batch).cards
    assert torch.equal(before[0, :2], after[0, :2])
    assert abs(before[0, 2] - after[0, 2]) > 1e-4


def test_keypoints_weigh_in_the_fit_by_the_heights_of_their_peaks(network, monkeypatch):
    network.eval()
    fit, given = network.fitter.fit, []
    monkeypatch.setattr(
        network.fitter, "fit", lambda *args, **more: given.append(args[1]) or fit(*args, **more)
    )
    peaks = torch.tensor([[0.8, 1.1, 0.4, 0.2, 0.0, 0.04, 0.8, 0.6]])
    visible = torch.tensor([[1.0, 1, 1, 1, 1, 1, -1, 1]])
    whole = network.read_whole_pictures(pictures(1))
    found = whole._replace(peaks=peaks, visibility=visible)
    monkeypatch.setattr(network, "read_whole_pictures", lambda *_: found)
    network.predict(pictures(1), details(1))
    [weights] = given
    assert weights[0].tolist() == pytest.approx([1, 1, 0.5, 0.25, 0.05, 0.05, 0, 0.75])


@pytest.mark.parametrize(("error", "share"), [(0.0, 0), (12.0, 1 / 2), (1e6, 1)])
def test_the_count_both_weighs_shape_and_picture_by_their_errors(
    network, monkeypatch, error, share
):
    """An error of the shape of 12 cards is as large as that of the picture's count."""
    monkeypatch.setattr(network.closer.geometry, "forward", lambda points, visible: torch.zeros(3))
    variance = torch.full((3,), (error * network.card_height) ** 2)
    monkeypatch.setattr(model, "thickness_variance", lambda *_: variance)
    with torch.inference_mode():
        found = network.eval().predict(pictures(), details())
    box = (found.pose.thickness / (52 * 0.3)).clamp(0, 1).float()
    expected = (1 - share) * 2 / 3 * box + share * found.cards[:, COUNTS.index("picture")]
    assert torch.allclose(found.cards[:, COUNTS.index("both")], expected, atol=1e-6)


MIXED = [4, 0, 6, 2, 5, 1, 7, 3]  # as if the long sides were the short edges


@pytest.mark.parametrize("mixed", [MIXED, [MIXED[i] for i in TURNED]], ids=["mixed", "and turned"])
def test_keypoints_under_mixed_names_get_the_right_ones(mixed):
    """Each heatmap shows another keypoint than its own; the box tells which is which."""
    network, points = large_network(), torch.from_numpy(seen([-100.0], 9.0)[0])
    network.heatmaps = fixed_heatmaps(points[:, mixed])
    with torch.inference_mode():
        batch = torch.zeros(1, 3, 480, 640), torch.zeros(1, 3, 960, 1280)
        found = network.predict(*batch)
        network.heatmaps = fixed_heatmaps(points)
        usual = network.predict(*batch)
    assert torch.allclose(found.points, points.float(), atol=0.1)
    assert found.cards[0, 2] == pytest.approx(usual.cards[0, 2].item(), abs=0.01)
    assert (found.visibility > 0).all()


def test_corners_are_indices_of_points_whatever_the_naming_rule(monkeypatch):
    network, points = large_network(), torch.from_numpy(seen([-100.0], 9.0)[0])
    network.heatmaps = fixed_heatmaps(points[:, MIXED])
    rule = torch.tensor([[4, 5, 7, 6, 1, 0, 3, 2]])  # not its own inverse
    monkeypatch.setattr(network.fitter.box, "names", lambda pose: rule)
    with torch.inference_mode():
        found = network.predict(torch.zeros(1, 3, 480, 640), torch.zeros(1, 3, 960, 1280))
    box = network.fitter.box.keypoints(found.pose)[0]
    assert (box - found.points[0, found.corners[0]]).abs().max() < 1
    assert (box[rule[0]] - found.points[0]).abs().max() < 1


def test_a_packet_has_the_same_box_and_counts_in_landscape_and_in_portrait(monkeypatch):
    monkeypatch.setattr(model, "_PICTURE_ERROR", 1e6)  # its count differs
    network = large_network()
    network.heatmaps, focal = landscape_and_portrait()
    given = []
    for part in (network.head.geometry, network.closer.geometry):
        part.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    batch = torch.zeros(2, 3, 480, 640), torch.zeros(2, 3, 960, 1280)
    with torch.inference_mode():
        fit = network.fit_boxes(*batch, focal)
        found = network.predict(*batch, focal)
    for pose in (fit.corner_pose, fit.pose, found.pose):
        landscape, portrait = pose.numbers[:, :7]  # in mm
        assert landscape.tolist() == pytest.approx(portrait.tolist(), abs=0.02)
        assert landscape[3] == pytest.approx(9.0, abs=0.2)
    # Both geometries count as if the focal length were the usual one.
    for points in given:
        assert torch.allclose(points[0], points[1], atol=0.01)
    landscape, portrait = found.cards[:, 1:]
    assert landscape.tolist() == pytest.approx(portrait.tolist(), abs=1e-3)
