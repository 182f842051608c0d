"""The box of a packet from all pictures of it."""

import numpy as np
import pytest
from support import contributed, seen

from cardpose.geometry import sweep as sweep_module
from cardpose.geometry.sweep import MOST_DOUBTFUL, ROW, SECTORS, Contribution, Sweep, share_box

ROUND = range(0, 360, 15)


def swept(pictures, thickness=None):
    sweep = Sweep(thickness)
    changes = [sweep.add(picture) for picture in pictures]
    return sweep, changes


def shaken(azimuths, thickness, lean=(0, 0), seed=0, blur=0.7):
    """Return contributions of pictures whose keypoints have errors, in pixels."""
    points, visible = seen(azimuths, thickness, lean)
    points = points + np.random.default_rng(seed).normal(0, blur, points.shape)
    return contributed(points, visible)


@pytest.mark.parametrize(
    ("thickness", "lean"), [(3.0, (0, 0)), (6.0, (1.5, -2.0)), (15.0, (-3, 3))]
)
def test_a_way_round_tells_thickness_and_lean(thickness, lean):
    sweep, changes = swept(contributed(*seen(ROUND, thickness, lean)))
    box = sweep.estimate()
    assert box.thickness == pytest.approx(thickness, abs=0.03)
    # The first picture sets the axes, and a half turn of them changes the signs.
    assert abs(box.numbers[1:3]) == pytest.approx(np.abs(lean), abs=0.06)
    assert box.deviation < 0.3
    assert not any(changes)


def test_the_order_of_photographs_does_not_matter():
    pictures = shaken(ROUND, 6.0, (2.0, -1.5))
    in_order = swept(pictures)[0].estimate()
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(pictures))
        box = swept([pictures[i] for i in order])[0].estimate()
        assert box.thickness == pytest.approx(in_order.thickness, abs=0.1)
        assert abs(box.numbers[1:3]) == pytest.approx(abs(in_order.numbers[1:3]), abs=0.25)


def test_half_a_turn_of_single_boxes_does_not_matter():
    """From the other side, the same names belong to the opposite corners of the box."""
    pictures = contributed(*seen(ROUND, 6.0, (2.0, -1.5)))
    flip, signs = np.diag([1.0, -1.0, -1.0, 1.0]), np.array([-1.0, -1.0, 1.0])
    turned = [
        Contribution(flip @ each.information @ flip, flip @ each.vector, signs * each.camera)
        if i % 3 == 0
        else each
        for i, each in enumerate(pictures)
    ]
    expected, box = swept(pictures)[0].estimate(), swept(turned)[0].estimate()
    assert box.thickness == pytest.approx(expected.thickness, abs=1e-6)
    assert abs(box.numbers) == pytest.approx(abs(expected.numbers), abs=1e-6)


def test_many_pictures_of_one_view_count_little():
    """A camera that rests for long must not outvote the others."""
    resting = shaken([0] * 40, 6.0, seed=1)
    wrong = [each._replace(vector=1.05 * each.vector) for each in resting]
    pictures = shaken(ROUND, 6.0, seed=2)
    few = swept(pictures + wrong[:1])[0].estimate()
    many = swept(pictures + wrong)[0].estimate()
    assert many.thickness == pytest.approx(few.thickness, abs=0.05)


def test_more_views_narrow_the_estimate():
    pictures = shaken(ROUND, 6.0)
    deviations = [swept(pictures[:n])[0].estimate().deviation for n in (2, 6, 12, 24)]
    assert sorted(deviations, reverse=True) == deviations


@pytest.mark.parametrize("wild", [[7], [3, 12], [0]])
def test_single_wild_pictures_do_not_move_the_estimate(wild):
    pictures = shaken(ROUND, 6.0)
    expected = swept([p for i, p in enumerate(pictures) if i not in wild])[0].estimate()
    others = shaken(ROUND, 14.0)
    for i in wild:
        pictures[i] = others[i]
    sweep, changes = swept(pictures)
    assert sweep.estimate().thickness == pytest.approx(expected.thickness, abs=0.15)
    assert not any(changes)


def test_another_packet_is_noticed_and_counted_alone():
    before, after = shaken(ROUND, 6.0), shaken(ROUND, 10.0, seed=1)
    sweep, changes = swept(before + after)
    first = changes.index(True)
    assert len(before) <= first < len(before) + 2 * ROW
    assert sum(changes) == 1
    assert sweep.estimate().thickness == pytest.approx(10.0, abs=0.2)
    assert len(after) - 2 <= sweep.pictures <= len(after)


def test_another_packet_is_noticed_by_a_camera_at_rest():
    before = shaken([0, 2, 4] * 10, 6.0, blur=0.3)
    after = shaken([0, 2, 4] * 20, 12.0, seed=1, blur=0.3)
    changes = swept(before + after)[1]
    assert changes.index(True) == len(before) + MOST_DOUBTFUL - 1


def test_wrong_pictures_from_few_new_directions_are_no_other_packet():
    """Before MOST_DOUBTFUL pictures, a new packet has to show itself from ROW directions."""
    right, wrong = shaken(ROUND, 6.0), shaken([7, 8, 9, 10] * 4, 14.0, seed=1)
    sweep, changes = swept(right + wrong + shaken(ROUND, 6.0, seed=2))
    assert not any(changes)
    assert sweep.estimate().thickness == pytest.approx(6.0, abs=0.3)


def test_the_same_packet_is_no_other_one():
    for seed in range(5):
        assert not any(swept(shaken([*ROUND, *ROUND], 6.0, (1, 1), seed))[1])


def test_a_given_thickness_holds_where_pictures_tell_little():
    box = swept(shaken([0], 6.0), thickness=9.0)[0].estimate()
    assert box.thickness == pytest.approx(9.0, abs=1.0)
    assert swept([], thickness=9.0)[0].estimate() is None
    free, given = (share_box(shaken([0], 6.0), thickness) for thickness in (None, 9.0))
    assert given.thickness == box.thickness != free.thickness
    assert given.deviation < free.deviation
    assert share_box([], thickness=9.0) is None


def test_a_packet_that_nobody_touched_is_never_begun_again():
    """Wrong labels in a row are not another packet, if all pictures surely show one."""
    pictures = shaken(ROUND, 6.0) + shaken(range(0, 120, 15), 10.0, seed=1)
    sweep, changes = swept(pictures)
    assert any(changes)
    assert sweep.estimate().thickness == pytest.approx(10.0, abs=0.3)
    assert share_box(pictures).thickness < 8.0


def test_a_thick_packet_may_lean_further_than_a_thin_one():
    """One picture hardly tells the lean, so the prior decides on it."""
    thin, thick = (
        share_box(contributed(*seen([-110], thickness, lean=(0, 1.5)))) for thickness in (3.0, 12.0)
    )
    assert abs(thin.numbers[2]) < 0.6 * abs(thick.numbers[2])


def test_memory_stays_constant(monkeypatch):
    monkeypatch.setattr(sweep_module, "MOST_VIEWS", 12)
    pictures = shaken([*ROUND, *ROUND, *ROUND], 6.0, (2.0, -1.5), seed=1)
    sweep, _ = swept(pictures)
    assert len(sweep._views) == 12
    assert sweep.pictures == len(pictures)
    assert sweep.estimate().thickness == pytest.approx(6.0, abs=0.1)
    assert abs(sweep.estimate().numbers[1:3]) == pytest.approx([2.0, 1.5], abs=0.2)
    order = np.random.default_rng(0).permutation(len(pictures))  # as many legs as pictures
    sweep, _ = swept([pictures[i] for i in order])
    assert len(sweep._views) == 12
    assert sweep.estimate().thickness == pytest.approx(6.0, abs=0.15)


def test_the_covered_part_of_the_circle():
    assert not any(Sweep().covered())
    quarter = swept(contributed(*seen(range(0, 90, 5), 6.0)))[0].covered()
    assert sum(quarter) == pytest.approx(SECTORS / 4, abs=1)
    assert sum(swept(contributed(*seen(range(0, 360, 5), 6.0)))[0].covered()) >= SECTORS - 1
