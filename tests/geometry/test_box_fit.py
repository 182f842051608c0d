"""The box fitted to one picture, against boxes of known thickness seen from known places."""

import numpy as np
import pytest
import torch
from support import CARD, FOCAL, SIZE, seen

from cardpose.geometry.box import BoxModel
from cardpose.geometry.box_fit import BoxFitter, TracedEdges
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.geometry.pose_prior import pose_prior
from cardpose.geometry.projection import camera_position

ALL = torch.ones(1, 8, dtype=torch.bool)


@pytest.fixture
def fitter():
    return BoxFitter(BoxModel(SIZE, FOCAL, CARD, 52))


def tensors(*args, **kwargs):
    points, visible = seen(*args, **kwargs)
    return torch.from_numpy(points), torch.from_numpy(visible)


@pytest.mark.parametrize("azimuth", [-160, -120, -90, -70, -30])
@pytest.mark.parametrize("thickness", [0.9, 6.0, 15.0])
def test_a_box_is_found_from_wherever_it_is_seen(fitter, azimuth, thickness):
    points, visible = tensors([azimuth], thickness)
    pose, names = fitter.fit(points, visible)
    assert (names == torch.arange(8)).all()
    assert (fitter.box.keypoints(pose) - points)[visible].abs().max() < 0.5
    assert pose.numbers[0, 3] == pytest.approx(thickness, abs=0.6)


def test_every_azimuth_explains_the_keypoints(fitter):
    points, visible = tensors(range(0, 360, 10), 9.0)
    pose, names = fitter.fit(points, visible)
    box = fitter.box.keypoints(pose)
    named = points.gather(1, names[..., None].expand(-1, -1, 2))
    off = (box - named).norm(dim=2)[visible.gather(1, names)]
    assert off.max() < 1
    assert abs(pose.numbers[:, 3] - 9).median() < 0.3


@pytest.mark.parametrize("cards", [1, 26, 52])
def test_exact_keypoints_give_the_exact_count(fitter, cards):
    points, visible = tensors(range(-165, -10, 5), 0.3 * cards)
    pose, _ = fitter.fit(points, visible)
    assert abs(pose.thickness / 0.3 - cards).max() < 0.1


def test_a_leaning_packet_is_read_too_thick_from_one_side_and_too_thin_from_the_other(fitter):
    """13 cards that lean by 1.7 mm, as in a recording of the public set."""
    points, visible = tensors(range(-165, -10, 5), 3.9, lean=(1.7, 0.0))
    pose, _ = fitter.fit(points, visible)
    off = pose.thickness / 0.3 - 13
    assert abs(off.mean()) < 0.2
    assert abs(off).max() < 3.4  # 3.6 with 0.3 mm, normally distributed


def test_noise_does_not_change_names(fitter):
    """The picture's edge cuts a thin packet off: only five corners are left."""
    points, _ = tensors(np.linspace(-170, -150, 60), 1.2)
    points += torch.from_numpy(np.random.default_rng(0).normal(0, 1, points.shape))
    left = torch.tensor([1, 0, 1, 1, 1, 0, 1, 0], dtype=torch.bool).expand(60, 8)
    _, names = fitter.fit(points, left)
    assert (names == torch.arange(8)).all()


def test_a_given_thickness_is_kept_and_reveals_the_lean(fitter):
    points, visible = tensors([-110.0], 12.0, lean=(1.5, -2.0))
    pose, _ = fitter.fit(points, visible, torch.tensor([12.0]))
    assert pose.numbers[0, 3] == pytest.approx(12, abs=0.2)
    assert pose.numbers[0, 4:6].tolist() == pytest.approx([1.5, -2.0], abs=0.4)


@pytest.mark.parametrize("mixed", [[2, 0, 3, 1], [0, 3, 1, 2], [3, 1, 2, 0], [0, 1, 3, 2]])
def test_mixed_up_corners_are_renamed(fitter, mixed):
    """However the back's corners were mixed up, and the face's with them."""
    points, _ = tensors([-100.0], 9.0)
    face, back = np.array([0, 1, 4, 5]), np.array([2, 3, 6, 7])
    spoilt = points.clone()
    for layer in (face, back):
        spoilt[0, layer] = points[0, layer[mixed]]
    pose, names = fitter.fit(spoilt, ALL)
    assert (fitter.box.keypoints(pose) - spoilt[0, names[0]]).abs().max() < 1
    order = fitter.box.names(pose)
    assert (spoilt[0, names[0]][order[0]] - points[0]).abs().max() < 1e-6


def test_names_follow_the_rule_for_labels(fitter):
    points, visible = tensors(range(0, 360, 7), 9.0)
    pose, names = fitter.fit(points, visible)
    order = names.gather(1, fitter.box.names(pose))
    assert (order == torch.arange(8)).all()


@pytest.mark.parametrize("few", [0, 1, 2, 3, 4])
def test_names_stay_where_too_few_keypoints_are_visible(fitter, few):
    """Unless by them, the packet would be seen from below."""
    generator = torch.Generator().manual_seed(few)
    points, _ = tensors(range(-170, -10, 5), 9.0)
    points = points + 3 * torch.randn(points.shape, generator=generator)
    mixed = points[:, [1, 0, 6, 2, 5, 4, 3, 7]]
    visible = torch.rand(len(mixed), 8, generator=generator).argsort(dim=1) < few
    pose, names = fitter.fit(mixed, visible)
    fitter.namings = fitter.namings[:1]
    as_named, _ = fitter.fit(mixed, visible)
    above = eye_height(fitter, as_named) > 0
    assert above.all() if few < 2 else above.any()
    assert (names[above] == torch.arange(8)).all()
    renamed = (names != torch.arange(8)).any(dim=1)
    assert (eye_height(fitter, pose) > 0)[renamed].all()


def test_a_mirrored_back_is_renamed(fitter):
    """Its four corners would be too few to tell; but seen so, the packet would hang above."""
    points, _ = tensors(range(-170, -110, 5), 9.0)
    mirrored = points[:, [1, 0, 3, 2, 5, 4, 7, 6]]
    back = torch.tensor(["back" in name for name in KEYPOINTS]).expand(len(points), 8)
    pose, names = fitter.fit(mirrored, back)
    assert (fitter.box.keypoints(pose) - points)[back].abs().max() < 1
    assert (mirrored.gather(1, names[..., None].expand(-1, -1, 2)) == points).all()


def test_five_keypoints_of_little_weight_are_enough_to_rename(fitter):
    """Named as if the long edges were the short ones."""
    points, visible = tensors(range(-170, -10, 5), 9.0)
    across = [4, 0, 6, 2, 5, 1, 7, 3]
    believed = torch.where(visible[:, across], 0.6, 0.0)
    assert (visible.sum(dim=1) >= 5).all()
    assert (believed.sum(dim=1) < 5).all()
    _, names = fitter.fit(points[:, across], believed)
    assert (names != torch.arange(8)).any(dim=1).all()


def eye_height(fitter, pose):
    return camera_position(pose)[:, 2] - pose.numbers[:, 3]


def test_a_card_of_another_size_and_another_lens_are_fitted_as_well():
    fitter = BoxFitter(BoxModel(SIZE, FOCAL / 2, [2 * side for side in CARD], 52))
    points, visible = tensors(range(-150, -30, 10), 9.0)
    points = (points - torch.tensor(SIZE) / 2) / 2 + torch.tensor(SIZE) / 2
    pose, _ = fitter.fit(points, visible)  # twice as large, seen from as far, by half the zoom...
    # ... is as a half of it would be: the same directions, all lengths doubled.
    assert (fitter.box.keypoints(pose) - points)[visible].abs().max() < 1
    assert abs(pose.numbers[:, 3] - 18).median() < 1.5


def test_a_robust_loss_limits_the_harm_of_a_stray_keypoint(fitter, monkeypatch):
    points, visible = tensors([-110.0], 9.0)
    points[0, 6] += torch.tensor([40.0, -30.0])
    pose, _ = fitter.fit(points, visible)
    true, _ = tensors([-110.0], 9.0)
    off = (fitter.box.keypoints(pose) - true).norm(dim=2)[0]
    # Plain least squares would spread an error of 50 pixels much further.
    monkeypatch.setattr("cardpose.geometry.box_fit.KEYPOINT_SCALE", 1e6)
    plain, _ = fitter.fit(points, visible)
    worse = (fitter.box.keypoints(plain) - true).norm(dim=2)[0]
    assert off.median() < worse.median() / 2


def test_the_distance_of_a_stray_keypoint_makes_no_difference(fitter):
    points, visible = tensors([-110.0], 9.0)
    corner = int(visible[0].nonzero()[-1])
    found = []
    for far in (100, 400):
        lost = points.clone()
        lost[0, corner, 1] -= far
        pose, _ = fitter.fit(lost, visible)
        found.append(fitter.box.keypoints(pose)[0])
    others = [k for k in range(8) if k != corner]
    assert (found[0] - found[1]).norm(dim=1)[others].max() < 1
    assert (found[1] - points[0]).norm(dim=1)[others].max() < 3


@pytest.mark.parametrize("far", [0.5, 30.0])
def test_the_gradient_is_half_the_slope_of_the_cost(fitter, far):
    """Also where a keypoint strays."""
    points, visible = tensors([-110.0], 9.0)
    pose, _ = fitter.fit(points, visible)
    points[0, 6] += far
    numbers = pose.numbers.clone()
    numbers[0, 4:6] = torch.tensor([0.7, -2.5])
    pose = pose._replace(numbers=numbers)
    usual = pose_prior(fitter.box, visible)
    _, gradient, _ = fitter.calculate_gradient_and_hessian(pose, points, visible, None, usual)
    # All but the thickness, which the gradient takes as given in the scale of the lean.
    for i in (3, 4, 5, 7, 8, 9, 10):
        step = torch.zeros(1, 8, dtype=torch.float64)
        step[:, i - 3] = 1e-5
        up, down = (
            fitter.calculate_gradient_and_hessian(moved, points, visible, None, usual)[0]
            for moved in (pose._replace(numbers=pose.numbers + s) for s in (step, -step))
        )
        assert (up - down) / 2e-5 == pytest.approx(2 * gradient[:, i].numpy(), rel=1e-4, abs=1e-4)


def test_a_keypoint_of_less_weight_does_less_harm(fitter):
    points, visible = tensors([-110.0], 9.0)
    moved = points.clone()
    corner = int(visible[0].nonzero()[0])
    moved[0, corner, 1] += 4
    off = []
    for weight in (1.0, 0.5, 0.05):
        counts = visible.double()
        counts[0, corner] = weight
        pose, _ = fitter.fit(moved, counts)
        off.append(float((fitter.box.keypoints(pose) - points)[visible].norm()))
    assert off[0] > 1.2 * off[1] > 1.2 * 1.2 * off[2]


@pytest.mark.parametrize("seed", range(5))
def test_random_keypoints_give_a_finite_pose(fitter, seed):
    """An untrained network's corners: anything may come out, but nothing may break."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(6, 8, 2, generator=generator) * torch.tensor(SIZE)
    points[0] = 7.0
    points[1, :, 0] = points[1, :, 1]
    visible = torch.rand(6, 8, generator=generator) > 0.4
    visible[2] = False
    pose, names = fitter.fit(points, visible)
    assert all(torch.isfinite(part).all() for part in pose)
    assert (names.sort(dim=1).values == torch.arange(8)).all()
    assert torch.isfinite(fitter.box.keypoints(pose)).all()


def posed(fitter, azimuth, thickness=9.0):
    points, visible = tensors([azimuth], thickness)
    return fitter.fit(points, visible, torch.tensor([thickness]))[0]


def test_exact_edges_correct_the_thickness_of_inexact_keypoints(fitter):
    """Keypoints three pixels off, edges exact: the fit believes the edges."""
    true = posed(fitter, -110.0)
    starts, ends, kinds, lines = fitter.box.edges(true)
    along = ends - starts
    across = torch.stack([along[..., 1], -along[..., 0]], dim=2)
    across = across / across.norm(dim=2, keepdim=True)
    share = torch.linspace(0, 1, 6, dtype=torch.float64)
    at = starts[:, :, None] + along[:, :, None] * share[:, None]
    place = (at * across[:, :, None]).sum(dim=3)
    weight = kinds.any(dim=2)[..., None].expand(-1, -1, 6) * 5.0
    generator = torch.Generator().manual_seed(3)
    points = fitter.box.keypoints(true) + 3 * torch.randn(1, 8, 2, generator=generator)
    _, visible = tensors([-110.0], 9.0)
    before, _ = fitter.fit(points, visible)
    edges = TracedEdges(share, across, place, weight, lines)
    after = fitter.refine(before, points, visible, edges)
    off = [abs(pose.numbers[0, 3] - true.numbers[0, 3]).item() for pose in (before, after)]
    assert off[1] < off[0] / 3
    assert (fitter.box.edges(after)[0] - starts)[kinds.any(dim=2)].abs().max() < 1.5


def test_a_portrait_picture_is_fitted_with_its_own_focal_length(fitter):
    """A picture with three quarters of the focal length shows everything so much smaller."""
    points, visible = tensors(range(-140, -40, 20), 9.0)
    usual, _ = fitter.fit(points, visible)
    middle = torch.tensor(SIZE) / 2
    focal = torch.full((len(points),), 0.75 * FOCAL * SIZE[0], dtype=torch.float64)
    pose, _ = fitter.fit(middle + 0.75 * (points - middle), visible, focal=focal)
    assert pose.thickness.numpy() == pytest.approx(usual.thickness.numpy(), abs=0.3)
    assert pose.place.numpy() == pytest.approx(usual.place.numpy(), rel=0.02, abs=1)
