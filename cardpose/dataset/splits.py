"""Which frames train the network, which pick its best epoch, and which are held out."""

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold

from cardpose.common.errors import InputError, join_names


def split_frames(recordings, cards, split, seed):
    """Split frames into training, validation and test, by recording or by frame.

    Frames of one recording are nearly the same picture, so only a split by recording measures
    what the network makes of a packet it has never seen. The folds deal recordings out in order
    of their counts, so that each holds small, middling and large packets.

    Args:
        recordings: (n,) the recording of each frame.
        cards: (n,) its count.
        split: `split` of params.yaml.
        seed: which of the equally good splits to take.

    Returns:
        (n,) array of "train", "validation" or "test". Validation is empty when
        `split.validation` is 0.

    Raises:
        InputError: a recording that is not there is to be held out, there are fewer recordings
            than folds, or fewer than two frames are left to train on.
    """
    recordings, cards = np.asarray(recordings), np.asarray(cards)
    if split.by == "frame" and not split.test_videos:
        units = counts = np.arange(len(recordings))
        unit_of_frame = units
    else:
        units, first, unit_of_frame = np.unique(recordings, return_index=True, return_inverse=True)
        counts = cards[first]
    if split.test_videos:
        absent = [name for name in split.test_videos if name not in units]
        if absent:
            raise InputError(
                "params.yaml: split.test_videos: no labelled recording is named"
                f" {join_names(absent)}; there are {join_names(units)}"
            )
        test = np.isin(units, split.test_videos)
    else:
        if split.folds > len(units):
            raise InputError(
                f"params.yaml: split.folds: should be at most the number of {split.by}s,"
                f" {len(units)} (got {split.folds})"
            )
        test = _fold_of_units(counts, split.folds, split.by, seed) == split.fold
    role = np.where(test, "test", "train").astype(object)
    rest = np.flatnonzero(~test)
    wanted = min(round(split.validation * len(rest)), len(rest) - 1)
    if split.validation and len(rest) > 1:
        wanted = max(wanted, 1)
        # The middle of each of `wanted` equal stretches of the counts.
        by_count = rest[np.argsort(counts[rest], kind="stable")]
        places = ((np.arange(wanted) + 0.5) * len(rest) / wanted).astype(int)
        role[by_count[places]] = "validation"
    role = role[unit_of_frame]
    if (role == "train").sum() < 2:  # batch norm cannot take a single one
        raise InputError(
            "params.yaml: split: leaves no recording to train on, or one of a single frame"
        )
    return role


def _fold_of_units(counts, folds, by, seed):
    """(n,) the fold of each unit."""
    n = len(counts)
    if by == "frame":
        splitter, strata = KFold(folds, shuffle=True, random_state=seed), None
    else:
        rank = np.argsort(np.argsort(counts, kind="stable"), kind="stable")
        # Strata of `folds` recordings with neighbouring counts, the last taking what is over.
        strata = np.minimum(rank // folds, max(n // folds - 1, 0))
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    fold = np.empty(n, int)
    for number, (_, held_out) in enumerate(splitter.split(counts, strata)):
        fold[held_out] = number
    return fold
