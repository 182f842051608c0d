"""Batches for training, from tensors made by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cardpose.network.predict import pair_loader
from cardpose.training.batches import EpochOrder, closeup_loader, frame_loader

N = 9


@pytest.fixture
def tensors():
    rng = np.random.default_rng(0)
    return SimpleNamespace(
        pictures=rng.integers(0, 256, (N, 48, 64, 3), dtype=np.uint8),
        details=rng.integers(0, 256, (N, 96, 128, 3), dtype=np.uint8),
        heatmaps=rng.random((N, 8, 12, 16)).astype(np.float16),
        points=(rng.random((N, 8, 2)) * [64, 48]).astype(np.float32),
        visible=rng.random((N, 8)) > 0.3,
        mask=np.ones((N, 8), bool),
        cards=(np.arange(N) / N).astype(np.float32),
        longer=np.array([64, 48, 40] * 3),
        image_size=(64, 48),
        stride=4,
        sigma=1.5,
    )


def test_a_batch_is_the_tensors_as_they_are(tensors):
    batch = next(iter(frame_loader(tensors, [4, 2], 2)))
    assert np.array_equal(batch["pictures"].permute(0, 2, 3, 1), tensors.pictures[[4, 2]])
    assert np.array_equal(batch["heatmaps"], tensors.heatmaps[[4, 2]].astype(np.float32))
    assert np.array_equal(batch["visible"], tensors.visible[[4, 2]])
    assert np.array_equal(batch["cards"], tensors.cards[[4, 2]])


def test_every_frame_comes_once_an_epoch_in_another_order_each_time():
    order = EpochOrder(np.arange(50), shuffled=True, seed=0)
    first = list(order)
    order.set_epoch(1)
    second = list(order)
    assert sorted(row for _, row in first) == sorted(row for _, row in second) == list(range(50))
    assert [row for _, row in first] != [row for _, row in second]
    assert {epoch for epoch, _ in second} == {1}


def test_augmented_heatmaps_are_zero_where_the_keypoint_is_not_visible(tensors):
    batch = next(iter(frame_loader(tensors, range(N), N, augmented=True)))
    peaks = batch["heatmaps"].amax(dim=(2, 3))
    assert torch.equal(peaks > 0, batch["visible"] > 0)


def test_the_number_of_workers_changes_nothing(tensors):
    def batches(workers):
        return list(
            frame_loader(
                tensors, range(N), 4, shuffled=True, augmented=True, seed=3, workers=workers
            )
        )

    for alone, shared in zip(batches(0), batches(2), strict=True):
        assert all(torch.equal(alone[name], shared[name]) for name in alone)


def test_what_is_known_goes_along_with_its_name_when_a_picture_is_mirrored(tensors):
    """A keypoint that is known and seen stays both, whatever it is called afterwards."""
    tensors.visible[:] = True
    tensors.points[:] = [32.0, 24.0]  # in the middle they stay in the picture
    tensors.points += 8 * np.random.default_rng(1).random((N, 8, 2)).astype(np.float32)
    tensors.mask[:] = False
    tensors.mask[:, [0, 2, 7]] = True
    tensors.visible &= tensors.mask
    found = set()
    for epoch in range(6):
        batches = frame_loader(tensors, range(N), N, augmented=True)
        batches.sampler.set_epoch(epoch)
        batch = next(iter(batches))
        assert (batch["mask"].sum(dim=1) == 3).all()
        assert torch.equal(batch["mask"], batch["visible"] > 0)
        assert torch.equal(batch["mask"], batch["heatmaps"].amax(dim=(2, 3)) > 0)
        found |= {tuple(np.flatnonzero(row)) for row in batch["mask"]}
    # As they were, and mirrored: FLIP takes keypoints 0, 2 and 7 to 1, 3 and 6.
    assert found == {(0, 2, 7), (1, 3, 6)}


@pytest.mark.parametrize("half", [False, True])
def test_pictures_as_they_are_tell_what_is_known(tensors, half):
    tensors.mask[4, 1:] = False
    batch = next(iter(frame_loader(tensors, [4, 2], 2, half=half)))
    assert batch["mask"].tolist() == [[True] + [False] * 7, [True] * 8]


def test_an_augmented_frame_is_another_in_each_epoch(tensors):
    batches = frame_loader(tensors, range(N), N, augmented=True)
    first = next(iter(batches))["pictures"]
    batches.sampler.set_epoch(1)
    assert not torch.equal(first, next(iter(batches))["pictures"])


def test_a_last_batch_of_one_is_dropped_where_batch_norm_would_need_more(tensors):
    assert [len(b["cards"]) for b in frame_loader(tensors, range(N), 4, shuffled=True)] == [4, 4]
    assert [len(b["cards"]) for b in frame_loader(tensors, range(N), 4)] == [4, 4, 1]


@pytest.mark.parametrize("augmented", [False, True])
def test_half_the_size_has_the_keypoints_at_half_the_place(tensors, augmented):
    tensors.points[:] = [30.0, 20.0]
    tensors.visible[:] = True
    batch = next(iter(frame_loader(tensors, [0], 1, augmented=augmented, half=True)))
    assert batch["pictures"].shape == (1, 3, 24, 32)
    assert batch["heatmaps"].shape == (1, 8, 6, 8)
    if not augmented:
        # (30, 20) is (15, 10) at half the size: in heatmap pixels of 4, column 3 and row 2.
        assert divmod(int(batch["heatmaps"][0, 0].argmax()), 8) == (2, 3)


def test_pairs_are_the_tensors_as_they_are(tensors):
    batch = next(iter(pair_loader(tensors, [4, 2], 2)))
    for name in ("pictures", "details"):
        assert np.array_equal(batch[name].permute(0, 2, 3, 1), getattr(tensors, name)[[4, 2]])


def test_pairs_tell_how_long_the_longer_side_is_in_the_picture(tensors):
    batch = next(iter(pair_loader(tensors, [3, 1, 5], 3)))
    assert batch["longer"].tolist() == [64, 48, 40]


def test_the_number_of_workers_changes_no_close_up(tensors):
    alone, shared = (
        list(closeup_loader(tensors, tensors.points, range(N), 4, 3, workers)) for workers in (0, 2)
    )
    for one, other in zip(alone, shared, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
