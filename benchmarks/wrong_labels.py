"""How many wrong labels and counts `cardpose check` finds, and how many right ones it accuses.

    python -m benchmarks.wrong_labels [--every 20] [--seeds 3]

Takes the rendered recordings (`dvc repro data/synthetic/dvc.yaml`), whose labels are exact, leaves
labels in every n-th frame, and spoils 5 % of the rows on purpose: two visible corners
swapped, one visible corner shifted by 15 pixels, left and right exchanged, or the labels of the
picture's mirror image; and besides the counts of 5 % of the recordings, by 10 cards. Then checks.
Everything is drawn from a seed.
"""

import argparse
import shutil
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd

from cardpose.checking.check import check
from cardpose.checking.findings import WRONG
from cardpose.dataset.annotations import read_annotations, write_annotations
from cardpose.dataset.names import split_frame_name
from cardpose.geometry.keypoints import FLIP
from cardpose.params import load_params

SOURCE = Path("data/synthetic")
KINDS = ("swapped", "shifted", "exchanged", "mirrored")
SHARE = 0.05  # of the rows, and of the recordings
SHIFT = 15  # pixels
CARDS = 10
SIZE = np.array([640, 480])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=20, help="label every n-th frame")
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    total = dict.fromkeys((*KINDS, "count"), (0, 0))
    print(f"{'seed':6}" + "".join(f"{kind:>14}" for kind in total), "  clean rows accused  seconds")
    for seed in range(chosen.seeds):
        with tempfile.TemporaryDirectory() as folder:
            spoilt, clean = spoil(SOURCE, Path(folder), chosen.every, np.random.default_rng(seed))
            start = perf_counter()
            found, accused = check_spoilt(folder, spoilt, clean)
            seconds = perf_counter() - start
        cells = "".join(f"{f'{a} of {b}':>14}" for a, b in found.values())
        print(f"{seed:<6}{cells}   {f'{accused} of {len(clean)}':>18}{seconds:9.0f}", flush=True)
        total = {
            kind: tuple(np.add(before, found[kind]).tolist()) for kind, before in total.items()
        }
    a, b = np.sum(list(total.values()), axis=0)
    cells = "".join(f"{f'{a / b:.1%}':>14}" for a, b in total.values())
    print(f"{'all':<6}{cells}   found in all: {a / b:.1%}")


def spoil(source, folder, every, rng):
    """Write a data set like `source` with some labels and counts spoilt.

    Returns:
        {frame's or recording's name: kind} of what is spoilt, and the names of the other frames
        and recordings.
    """
    shutil.copytree(source / "videos", folder / "videos", copy_function=link)
    frames, points, visible, _ = read_annotations(source / "annotations.csv")
    rows = [k for k, frame in enumerate(frames) if split_frame_name(frame)[1] % every == 0]
    frames, points, visible = [frames[k] for k in rows], points[rows], visible[rows]
    spoilt = {}
    enough = np.flatnonzero(visible.sum(axis=1) >= 2)
    for number, row in enumerate(rng.permutation(enough)[: round(SHARE * len(rows))]):
        kind = KINDS[number % len(KINDS)]
        points[row], visible[row] = spoil_row(kind, points[row], visible[row], rng)
        spoilt[frames[row]] = kind
    write_annotations(folder / "annotations.csv", frames, points, visible)
    table = pd.read_csv(source / "videos.csv")
    for row in rng.permutation(len(table))[: max(1, round(SHARE * len(table)))]:
        cards, deck = table.loc[row, ["cards_counted", "total_cards"]]
        ways = [n for n in (cards - CARDS, cards + CARDS) if 1 <= n <= deck]
        table.loc[row, "cards_counted"] = rng.choice(ways)
        spoilt[Path(table.loc[row, "video"]).stem] = "count"
    table.to_csv(folder / "videos.csv", index=False)
    names = [*frames, *(Path(name).stem for name in table["video"])]
    return spoilt, [name for name in names if name not in spoilt]


def link(source, target):
    Path(target).symlink_to(Path(source).resolve())


def spoil_row(kind, points, visible, rng):
    """One frame's labels, (8, 2) fractions and (8,) bool, spoilt."""
    shown = np.flatnonzero(visible)
    points, visible = points.copy(), visible.copy()
    if kind == "swapped":
        a, b = rng.choice(shown, 2, replace=False)
        points[[a, b]] = points[[b, a]]
    elif kind == "shifted":
        angle = rng.uniform(0, 2 * np.pi)
        moved = points[shown] * SIZE + SHIFT * np.array([np.cos(angle), np.sin(angle)])
        inside = np.flatnonzero(((moved >= 0) & (moved <= SIZE)).all(axis=1))
        if not len(inside):
            return spoil_row(kind, points, visible, rng)
        k = rng.choice(inside)
        points[shown[k]] = moved[k] / SIZE
    elif kind == "exchanged":
        points, visible = points[list(FLIP)], visible[list(FLIP)]
    else:
        points, visible = points[list(FLIP)] * [-1, 1] + [1, 0], visible[list(FLIP)]
    return points, visible


def check_spoilt(folder, spoilt, clean):
    """{kind: (found, spoilt)} and how many clean names are accused."""
    known = load_params()

    def complain(error):
        raise error

    found = check(folder, known.frame_step, known.geometry.focal, known.geometry.card, complain)
    accused = {one.name or one.recording for one in found if one.level == WRONG}
    kinds = {
        kind: (
            sum(name in accused for name in spoilt if spoilt[name] == kind),
            sum(each == kind for each in spoilt.values()),
        )
        for kind in (*KINDS, "count")
    }
    for name, kind in spoilt.items():
        if name not in accused:
            print("missed:", name, kind)
    for name in clean:
        if name in accused:
            print("accused:", name, [o.what for o in found if (o.name or o.recording) == name])
    return kinds, sum(name in accused for name in clean)


if __name__ == "__main__":
    main()
