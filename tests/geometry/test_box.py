"""What a box looks like in a picture: keypoints, edges, names and lenses."""

import numpy as np
import pytest
import torch
from support import CARD, FOCAL, SIZE, seen

from cardpose.geometry.box import KINDS, BoxModel
from cardpose.geometry.box_fit import BoxFitter
from cardpose.geometry.card import CORNER_INSET, card_corners
from cardpose.geometry.keypoints import EDGES, TURNED
from cardpose.geometry.projection import Pose

BACK_BY_SIDE, BACK_BY_NONE, FACE, OUTLINE, CORNER = range(KINDS)


@pytest.fixture
def fitter():
    return BoxFitter(BoxModel(SIZE, FOCAL, CARD, 52))


def tensors(*args, **kwargs):
    points, visible = seen(*args, **kwargs)
    return torch.from_numpy(points), torch.from_numpy(visible)


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


@pytest.mark.parametrize(("lean", "sides"), [(0.0, 2), (2.0, 1), (-2.0, 2)])
def test_an_undercut_side_is_hidden(fitter, lean, sides):
    """From -110 degrees, the left long side is seen, unless the face lies to the right of it.

    The packet is 3 mm thick. The camera stands 30 mm left of that side and 128 mm high: an overhang
    of 2 mm in 3 hides it.
    """
    pose = posed(fitter, -110.0, thickness=3.0)
    numbers = pose.numbers.clone()
    numbers[:, 4] = lean
    kinds = fitter.box.edges(Pose(pose.rotation, numbers)).kinds
    assert kinds[0, :, FACE].sum() == sides


def test_edges_run_between_the_card_s_corners_not_the_rounded_ones(fitter):
    """The back's edges, extended, meet where the card's corners would be without the rounding."""
    pose = posed(fitter, -110.0)
    starts, ends, _, _ = fitter.box.edges(pose)
    grown = BoxModel(SIZE, FOCAL, (63 + 2 * CORNER_INSET, 88 + 2 * CORNER_INSET, 0.3), 52)
    corners = grown.keypoints(pose)
    for i, (a, b) in enumerate(EDGES[:8]):
        assert torch.allclose(starts[0, i], corners[0, a], atol=1e-6)
        assert torch.allclose(ends[0, i], corners[0, b], atol=1e-6)


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


def test_half_a_turn_leaves_a_box_the_same():
    """TURNED is what a packet's own symmetry does to its keypoints."""
    corners = card_corners()
    box = np.array([[*corners[i], z] for i, z in ((0, 0), (1, 0), (0, 1), (1, 1))])
    low = np.array([[*corners[i], z] for i, z in ((2, 0), (3, 0), (2, 1), (3, 1))])
    box = np.concatenate([box, low])
    assert box[list(TURNED)] == pytest.approx(box * [-1, -1, 1])


def test_the_focal_length_goes_with_the_longer_side_of_a_picture():
    """A portrait picture of 3 : 4 is 180 x 240 in a network's picture of 320 x 240."""
    box = BoxModel((320, 240), 1.06, CARD, 52)
    focal = box.focal_of(torch.tensor([320.0, 240.0]))
    assert focal.tolist() == pytest.approx([339.2, 254.4])


def test_points_move_away_from_the_middle_where_the_focal_length_is_shorter_than_usual():
    box = BoxModel((320, 240), 1.06, CARD, 52)
    points = torch.tensor([[[160.0, 120.0], [190.0, 90.0]]] * 2)
    moved = box.at_usual_focal(points, torch.tensor([254.4, 339.2]))
    # 339.2 / 254.4 = 4 / 3 moves (30, -30) off the middle to (40, -40); 339.2 is the usual one.
    assert moved[0].flatten().tolist() == pytest.approx([160, 120, 200, 80])
    assert moved[1].flatten().tolist() == pytest.approx([160, 120, 190, 90])
    assert box.at_usual_focal(points, None) is points
