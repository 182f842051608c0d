"""Split frames into training, validation and test frames.

Validation frames pick the best epoch. Test frames are held out from training. Frames of one
recording are nearly the same picture, so all of them get the same role, unless `split.by` is
"frame". Only a split by recording measures how well the network counts a packet that it has never
seen.
"""

import numpy as np
from jaxtyping import Bool, Int, Num, Shaped
from numpy.typing import ArrayLike
from sklearn.model_selection import KFold, StratifiedKFold

from cardpose.common.errors import InputError, join_names
from cardpose.params import Split


def split_frames(
    recordings: ArrayLike, cards: ArrayLike, split: Split, seed: int
) -> Shaped[np.ndarray, " n"]:
    """Assign each frame to training, validation or test.

    The units of the split are recordings, or single frames if `split.by` is "frame". Folds of
    recordings are stratified by count, so that each holds small, medium and large packets.

    Args:
        recordings: recording of each of n frames.
        cards: count of each frame.
        split: section `split` of params.yaml.
        seed: seed of the random assignment to folds and to validation.

    Returns:
        "train", "validation" or "test" for each frame. No frame is for validation when
        `split.validation` is 0.

    Raises:
        InputError: `split.test_videos` names a recording that is not in `recordings`, there are
            fewer units than folds, or fewer than two frames are left for training.
    """
    recordings, cards = np.asarray(recordings), np.asarray(cards)
    if split.by == "frame" and not split.test_videos:
        units = counts = unit_of_frame = np.arange(len(recordings))
    else:
        units, first, unit_of_frame = np.unique(recordings, return_index=True, return_inverse=True)
        counts = cards[first]
    if split.test_videos:
        test = _named_units(units, split.test_videos)
    else:
        if split.folds > len(units):
            raise InputError(
                f"params.yaml: split.folds: should be at most the number of {split.by}s,"
                f" {len(units)} (got {split.folds})"
            )
        test = _fold_of_units(counts, split.folds, split.by, seed) == split.fold
    role = np.where(test, "test", "train").astype(object)
    rest = np.flatnonzero(~test)
    role[_validation_units(counts, rest, split.validation, seed)] = "validation"
    role = role[unit_of_frame]
    if (role == "train").sum() < 2:  # batch normalization needs two frames
        raise InputError(
            "params.yaml: split: leaves no recording to train on, or one of a single frame"
        )
    return role


def _named_units(units: Shaped[np.ndarray, " n"], names: list[str]) -> Bool[np.ndarray, " n"]:
    """Return whether each unit is named; refuse a name that matches no unit."""
    absent = [name for name in names if name not in units]
    if absent:
        raise InputError(
            "params.yaml: split.test_videos: no labelled recording is named"
            f" {join_names(absent)}; there are {join_names(units)}"
        )
    return np.isin(units, names)


def _fold_of_units(
    counts: Num[np.ndarray, " n"], folds: int, by: str, seed: int
) -> Int[np.ndarray, " n"]:
    """Return the fold of each unit."""
    n = len(counts)
    if by == "frame":
        splitter, strata = KFold(folds, shuffle=True, random_state=seed), None
    else:
        rank = np.argsort(np.argsort(counts, kind="stable"), kind="stable")
        # A stratum holds `folds` recordings of similar counts. The last also gets the remainder.
        strata = np.minimum(rank // folds, max(n // folds - 1, 0))
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    fold = np.empty(n, int)
    for number, (_, held_out) in enumerate(splitter.split(counts, strata)):
        fold[held_out] = number
    return fold


def _validation_units(
    counts: Num[np.ndarray, " n"], rest: Int[np.ndarray, " m"], share: float | int, seed: int
) -> Int[np.ndarray, " k"]:
    """Choose a share of the units that are not held out, `rest`, for validation; never all.

    Sort `rest` by count, cut it into k nearly equal strata, and draw one unit from each.
    """
    if not share or len(rest) < 2:
        return rest[:0]
    k = max(min(round(share * len(rest)), len(rest) - 1), 1)
    by_count = rest[np.argsort(counts[rest], kind="stable")]
    rng = np.random.default_rng(seed)
    return np.array([rng.choice(stratum) for stratum in np.array_split(by_count, k)])
