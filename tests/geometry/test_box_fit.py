"""The box fitted to one picture, against boxes of known thickness seen from known places."""

import numpy as np
import pytest
import torch
from support import CARD, FOCAL, SIZE, seen

from cardpose.geometry.box import KINDS, BoxModel
from cardpose.geometry.box_fit import BoxFitter, TracedEdges
from cardpose.geometry.card import CORNER_INSET, card_corners
from cardpose.geometry.keypoints import EDGES, KEYPOINTS, TURNED
from cardpose.geometry.projection import Pose, camera_position

BACK_BY_SIDE, BACK_BY_NONE, FACE, OUTLINE, CORNER = range(KINDS)
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


def test_a_known_thickness_is_kept_and_tells_how_the_packet_leans(fitter):
    points, visible = tensors([-110.0], 12.0, lean=(1.5, -2.0))
    pose, _ = fitter.fit(points, visible, torch.tensor([12.0]))
    assert pose.numbers[0, 3] == pytest.approx(12, abs=0.2)
    assert pose.numbers[0, 4:6].tolist() == pytest.approx([1.5, -2.0], abs=0.4)


@pytest.mark.parametrize("mixed", [[2, 0, 3, 1], [0, 3, 1, 2], [3, 1, 2, 0], [0, 1, 3, 2]])
def test_corners_mixed_up_are_named_anew(fitter, mixed):
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


def test_names_are_given_as_the_rule_for_labels_gives_them(fitter):
    points, visible = tensors(range(0, 360, 7), 9.0)
    pose, names = fitter.fit(points, visible)
    order = names.gather(1, fitter.box.names(pose))
    assert (order == torch.arange(8)).all()


@pytest.mark.parametrize("few", [0, 1, 2, 3, 4])
def test_names_stay_where_too_little_is_seen_to_tell(fitter, few):
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


def test_a_mirrored_back_is_named_anew(fitter):
    """Its four corners would be too few to tell; but seen so, the packet would hang above."""
    points, _ = tensors(range(-170, -110, 5), 9.0)
    mirrored = points[:, [1, 0, 3, 2, 5, 4, 7, 6]]
    back = torch.tensor(["back" in name for name in KEYPOINTS]).expand(len(points), 8)
    pose, names = fitter.fit(mirrored, back)
    assert (fitter.box.keypoints(pose) - points)[back].abs().max() < 1
    assert (mirrored.gather(1, names[..., None].expand(-1, -1, 2)) == points).all()


def test_five_keypoints_are_enough_to_tell_however_little_each_is_believed(fitter):
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


def test_one_keypoint_far_off_does_little_harm(fitter, monkeypatch):
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


def test_how_far_off_a_lost_keypoint_is_makes_no_difference(fitter):
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
def test_the_gradient_is_half_the_slope_of_the_misfit(fitter, far):
    """Also where a keypoint strays."""
    points, visible = tensors([-110.0], 9.0)
    pose, _ = fitter.fit(points, visible)
    points[0, 6] += far
    usual = fitter.prior(visible)
    _, gradient, _ = fitter.calculate_gradient_and_hessian(pose, points, visible, None, usual)
    # The place and the thickness. How firmly a lean is held goes with the thickness, and is given.
    for i in (3, 4, 5, 9, 10):
        step = torch.zeros(1, 8, dtype=torch.float64)
        step[:, i - 3] = 1e-5
        up, down = (
            fitter.calculate_gradient_and_hessian(moved, points, visible, None, usual)[0]
            for moved in (pose._replace(numbers=pose.numbers + s) for s in (step, -step))
        )
        assert (up - down) / 2e-5 == pytest.approx(2 * gradient[:, i].numpy(), rel=1e-4, abs=1e-4)


def test_a_keypoint_that_counts_less_does_less_harm(fitter):
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
def test_nonsense_has_a_pose_too(fitter, seed):
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


def test_the_derivatives_are_the_slopes(fitter):
    points, visible = tensors([-110.0, -60.0], 9.0)
    pose, _ = fitter.fit(points, visible)
    _, slopes = fitter.box.project_with_slopes(pose, fitter.box.keypoint_places())
    for i in range(11):
        by = []
        for side in (1, -1):
            step = torch.zeros(2, 11, dtype=torch.float64)
            step[:, i] = side * 1e-5
            x, y, z = step[:, :3].unbind(dim=1)
            o = torch.zeros_like(x)
            cross = torch.stack([o, -z, y, z, o, -x, -y, x, o], dim=1).reshape(-1, 3, 3)
            turned = torch.matrix_exp(cross) @ pose.rotation
            by.append(fitter.box.keypoints(Pose(turned, pose.numbers + step[:, 3:])))
        assert torch.allclose((by[0] - by[1]) / 2e-5, slopes[..., i], atol=1e-5, rtol=1e-5)


def posed(fitter, azimuth, thickness=9.0):
    points, visible = tensors([azimuth], thickness)
    return fitter.fit(points, visible, torch.tensor([thickness]))[0]


def test_an_edge_is_of_the_kind_that_the_camera_sees(fitter):
    """From -110 degrees, the lower short side and the left long one are seen."""
    _, _, kinds, _ = fitter.box.edges(posed(fitter, -110.0))
    kind = {edge: kinds[0, i].nonzero()[:, 0].tolist() for i, edge in enumerate(EDGES)}
    assert [kind[e] for e in ((2, 3), (3, 7))] == [[BACK_BY_NONE]] * 2
    assert [kind[e] for e in ((7, 6), (6, 2))] == [[BACK_BY_SIDE]] * 2
    assert [kind[e] for e in ((0, 1), (1, 5))] == [[]] * 2
    assert [kind[e] for e in ((5, 4), (4, 0))] == [[FACE]] * 2
    assert [kind[e] for e in ((0, 2), (1, 3), (4, 6), (5, 7))] == [
        [OUTLINE],
        [],
        [CORNER],
        [OUTLINE],
    ]


def test_a_camera_straight_before_a_side_sees_one_side_and_two_outlines(fitter):
    _, _, kinds, _ = fitter.box.edges(posed(fitter, -90.0))
    assert kinds[0, :, FACE].sum() == 1
    assert kinds[0, :, OUTLINE].sum() == 2
    assert kinds[0, :, CORNER].sum() == 0


def test_edges_run_between_the_card_s_corners_not_the_rounded_ones(fitter):
    """The back's edges, extended, meet where the card's corners would be without the rounding."""
    pose = posed(fitter, -110.0)
    starts, ends, _, _ = fitter.box.edges(pose)
    grown = BoxModel(SIZE, FOCAL, (63 + 2 * CORNER_INSET, 88 + 2 * CORNER_INSET, 0.3), 52)
    corners = grown.keypoints(pose)
    for i, (a, b) in enumerate(EDGES[:8]):
        assert torch.allclose(starts[0, i], corners[0, a], atol=1e-6)
        assert torch.allclose(ends[0, i], corners[0, b], atol=1e-6)


def test_edges_tell_the_thickness_where_keypoints_are_off(fitter):
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


def test_half_a_turn_leaves_a_box_the_same():
    """TURNED is what a packet's own symmetry does to its keypoints."""
    corners = card_corners()
    box = np.array([[*corners[i], z] for i, z in ((0, 0), (1, 0), (0, 1), (1, 1))])
    low = np.array([[*corners[i], z] for i, z in ((2, 0), (3, 0), (2, 1), (3, 1))])
    box = np.concatenate([box, low])
    assert box[list(TURNED)] == pytest.approx(box * [-1, -1, 1])
