"""Split frames into training, validation and test."""

import numpy as np
import pytest

from cardpose.dataset.splits import split_frames

# 52 packets of 1 to 52 cards; the order of their names is not that of their counts.
CARDS = {f"packet{count * 20 % 53:02}": count for count in range(1, 53)}


def frames_of(recordings, each=4):
    """The recording and the count of every frame, in no particular order."""
    names = np.repeat(list(recordings), each)
    np.random.default_rng(0).shuffle(names)
    return names, np.array([recordings[name] for name in names])


FRAMES = frames_of(CARDS)


@pytest.fixture
def split(params):
    """split(**changes): split the frames of 52 packets, with changes to the usual parameters."""

    def split(frames=FRAMES, seed=0, **changes):
        usual = {"by": "video", "folds": 5, "fold": 0, "test_videos": [], "validation": 0.1}
        return split_frames(*frames, params.split.model_copy(update=usual | changes), seed)

    return split


def recordings_in(role, which):
    return set(FRAMES[0][role == which])


@pytest.mark.parametrize("fold", range(5))
def test_all_frames_of_a_recording_have_the_same_role(split, fold):
    role = split(fold=fold)
    sides = [recordings_in(role, which) for which in ("train", "validation", "test")]
    assert all(sides)
    assert sum(map(len, sides)) == 52
    assert set.union(*sides) == set(CARDS)


@pytest.mark.parametrize("by", ["video", "frame"])
@pytest.mark.parametrize("folds", [2, 3, 5, 10])
def test_every_frame_is_held_out_in_exactly_one_fold(split, by, folds):
    held_out = [split(by=by, folds=folds, fold=fold) == "test" for fold in range(folds)]
    assert (np.sum(held_out, axis=0) == 1).all()
    # As many in each, give or take two recordings of four frames.
    assert all(abs(part.sum() - len(FRAMES[0]) / folds) <= 8 for part in held_out)


@pytest.mark.parametrize("fold", range(5))
@pytest.mark.parametrize("seed", range(3))
def test_each_fold_gets_small_middling_and_large_counts(split, fold, seed):
    held_out = sorted(CARDS[name] for name in recordings_in(split(fold=fold, seed=seed), "test"))
    assert len(held_out) in (10, 11)
    # One of the counts 1 to 5, one of 6 to 10, and so on.
    assert [(count - 1) // 5 for count in held_out[:9]] == list(range(9))
    assert held_out[9] > 45


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_validation_gets_its_share_of_the_recordings_that_are_not_held_out(split, share):
    role = split(validation=share)
    others = 52 - len(recordings_in(role, "test"))
    assert abs(len(recordings_in(role, "validation")) - share * others) <= 0.5


def test_validation_is_at_least_one_recording_unless_its_share_is_0(split):
    assert len(recordings_in(split(validation=0.001), "validation")) == 1
    assert len(recordings_in(split(validation=0), "validation")) == 0


def test_validation_does_not_change_what_is_held_out(split):
    held_out = [split(validation=share) == "test" for share in (0, 0.1, 0.5)]
    assert (held_out[0] == held_out[1]).all()
    assert (held_out[0] == held_out[2]).all()


@pytest.mark.parametrize("by", ["video", "frame"])
@pytest.mark.parametrize("changes", [{"fold": 3}, {"test_videos": ["packet07", "packet50"]}])
def test_no_unit_of_the_held_out_ones_trains_or_validates(split, by, changes):
    held_out = split(by=by, validation=0, **changes) == "test"
    role = split(by=by, validation=0.3, **changes)
    assert (role[held_out] == "test").all()
    assert (role[~held_out] != "test").all()
    if by == "video" or "test_videos" in changes:
        names = FRAMES[0]
        assert not set(names[held_out]) & set(names[~held_out])


def test_validation_gets_small_and_large_counts(split):
    role = split()
    validation = recordings_in(role, "validation")
    others = sorted(CARDS[name] for name in validation | recordings_in(role, "train"))
    # One of each quarter.
    quarters = [others.index(CARDS[name]) * 4 // len(others) for name in validation]
    assert sorted(quarters) == [0, 1, 2, 3]


def test_validation_is_drawn_at_random_within_each_stratum(split):
    thinnest = set()
    for seed in range(30):
        counts = [CARDS[name] for name in recordings_in(split(seed=seed), "validation")]
        thinnest.add(min(counts))
    # The thinnest is one of the 10 or 11 thinnest that are not held out, not always the middle one.
    assert min(thinnest) <= 3
    assert max(thinnest) >= 10
    assert len(thinnest) >= 6


def test_recordings_are_held_out_by_name(split):
    for by in ("video", "frame"):
        role = split(by=by, test_videos=["packet07", "packet50"])
        assert recordings_in(role, "test") == {"packet07", "packet50"}
        assert (role == "test").sum() == 8


def test_an_unknown_held_out_recording_is_named_with_the_existing_ones(split, complains):
    words = ["params.yaml: split.test_videos: ", "packet53", "packet01, packet02, packet03 and 49"]
    with complains(*words):
        split(test_videos=["packet07", "packet53"])


def test_a_split_by_frame_separates_the_frames_of_a_recording(split):
    role = split(by="frame")
    assert (role == "test").sum() in (41, 42)  # a fifth of 208
    both = recordings_in(role, "test") & recordings_in(role, "train")
    assert len(both) > 20
    assert (role == "validation").sum() in (16, 17)  # a tenth of the others


def test_a_split_depends_on_the_seed_alone(split):
    assert split(seed=1).tolist() == split(seed=1).tolist()
    assert split(seed=1).tolist() != split(seed=2).tolist()
    by_frame = [split(by="frame", seed=seed).tolist() for seed in (1, 1, 2)]
    assert by_frame[0] == by_frame[1] != by_frame[2]


def test_the_order_of_the_frames_does_not_matter(split):
    turned = tuple(values[::-1] for values in FRAMES)
    assert split(frames=turned)[::-1].tolist() == split().tolist()


@pytest.mark.parametrize("count", [5, 6, 7, 9, 11])
def test_few_recordings_are_spread_evenly_over_the_folds(split, count):
    frames = frames_of({name: CARDS[name] for name in list(CARDS)[:count]})
    for fold in range(5):
        role = split(frames=frames, fold=fold)
        assert len(set(frames[0][role == "test"])) in (count // 5, count // 5 + 1)
        assert (role == "train").any()


def test_two_recordings_are_enough_to_train_on_one_and_test_on_the_other(split):
    frames = frames_of({"a": 1, "b": 2})
    tested = []
    for fold in (0, 1):
        role = split(frames=frames, folds=2, fold=fold)
        assert len(set(frames[0][role == "train"])) == 1
        tested += set(frames[0][role == "test"])
    assert sorted(tested) == ["a", "b"]


def test_more_folds_than_recordings_are_an_error(split, complains):
    with complains("params.yaml: split.folds: ", "at most", "videos, 4 ", "(got 5)"):
        split(frames=frames_of({"a": 1, "b": 2, "c": 3, "d": 4}))
    with complains("params.yaml: split.folds: ", "frames, 4 ", "(got 5)"):
        split(frames=frames_of({"a": 1}), by="frame")


def test_holding_out_everything_is_an_error(split, complains):
    with complains("params.yaml: split", "train"):
        split(test_videos=list(CARDS))
