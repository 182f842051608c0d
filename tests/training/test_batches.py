"""Loaders of training batches, on made-up frames."""

import numpy as np
import pytest
import torch
from made_up import made_up_tensors

from cardpose.network.predict import pair_loader
from cardpose.training.batches import EpochOrder, closeup_loader, frame_loader

N = 9
SIZES = [(64, 48), (36, 48), (110, 96)]


@pytest.fixture
def tensors():
    """Nine frames, the originals of which are landscape, portrait and nearly square in turn."""
    rng = np.random.default_rng(0)
    points = (rng.random((N, 8, 2)) * [64, 48]).astype(np.float32)
    cards = (np.arange(N) / N).astype(np.float32)
    return made_up_tensors(N, points, rng.random((N, 8)) > 0.3, cards, SIZES * 3)


def test_a_batch_holds_frames_of_the_tensors_unchanged(tensors):
    batch = next(iter(frame_loader(tensors, [4, 2], 2)))
    assert np.array_equal(batch["pictures"].permute(0, 2, 3, 1), tensors.pictures[[4, 2]])
    assert np.array_equal(batch["heatmaps"], tensors.heatmaps[[4, 2]].astype(np.float32))
    assert np.array_equal(batch["visible"], tensors.visible[[4, 2]])
    assert np.array_equal(batch["cards"], tensors.cards[[4, 2]])


def test_every_epoch_has_all_frames_in_an_order_of_its_own():
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


def test_the_number_of_workers_changes_no_frame(tensors):
    def batches(workers):
        return list(
            frame_loader(
                tensors, range(N), 4, shuffled=True, augmented=True, seed=3, workers=workers
            )
        )

    for alone, shared in zip(batches(0), batches(2), strict=True):
        assert all(torch.equal(alone[name], shared[name]) for name in alone)


def test_the_mask_follows_the_names_of_keypoints_in_mirrored_pictures(tensors):
    """A keypoint that is labelled and visible stays both under its new name."""
    tensors.visible[:] = True
    tensors.points[:] = [32.0, 24.0]  # in the middle they stay in the picture
    tensors.points[:] += 8 * np.random.default_rng(1).random((N, 8, 2)).astype(np.float32)
    tensors.mask[:] = False
    tensors.mask[:, [0, 2, 7]] = True
    tensors.visible[:] &= tensors.mask
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
def test_the_mask_without_augmentation_is_that_of_the_tensors(tensors, half):
    tensors.mask[4, 1:] = False
    batch = next(iter(frame_loader(tensors, [4, 2], 2, half=half)))
    assert batch["mask"].tolist() == [[True] + [False] * 7, [True] * 8]


def test_augmentation_differs_from_epoch_to_epoch(tensors):
    batches = frame_loader(tensors, range(N), N, augmented=True)
    first = next(iter(batches))["pictures"]
    batches.sampler.set_epoch(1)
    assert not torch.equal(first, next(iter(batches))["pictures"])


def test_a_last_batch_of_one_is_dropped_in_training_only(tensors):
    assert [len(b["cards"]) for b in frame_loader(tensors, range(N), 4, shuffled=True)] == [4, 4]
    assert [len(b["cards"]) for b in frame_loader(tensors, range(N), 4)] == [4, 4, 1]


@pytest.mark.parametrize("augmented", [False, True])
def test_keypoints_of_half_size_pictures_are_at_half_their_coordinates(tensors, augmented):
    tensors.points[:] = [30.0, 20.0]
    tensors.visible[:] = True
    batch = next(iter(frame_loader(tensors, [0], 1, augmented=augmented, half=True)))
    assert batch["pictures"].shape == (1, 3, 24, 32)
    assert batch["heatmaps"].shape == (1, 8, 6, 8)
    if not augmented:
        # (30, 20) is (15, 10) at half the size: in heatmap pixels of 4, column 3 and row 2.
        assert divmod(int(batch["heatmaps"][0, 0].argmax()), 8) == (2, 3)


def test_pairs_hold_pictures_and_details_unchanged(tensors):
    batch = next(iter(pair_loader(tensors, np.array([4, 2]), 2)))
    for name in ("pictures", "details"):
        assert np.array_equal(batch[name].permute(0, 2, 3, 1), getattr(tensors, name)[[4, 2]])


def test_pairs_have_the_longer_side_of_their_frames(tensors):
    batch = next(iter(pair_loader(tensors, np.array([3, 1, 5]), 3)))
    assert batch["longer"].tolist() == [64, 48, 55]


def test_the_number_of_workers_changes_no_close_up(tensors):
    alone, shared = (
        list(closeup_loader(tensors, tensors.points, range(N), 4, 3, workers)) for workers in (0, 2)
    )
    for one, other in zip(alone, shared, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
