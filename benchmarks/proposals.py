"""Measure how good the proposals of `cardpose label start` are, against labels.

    python -m benchmarks.proposals [--model models/pretrained.safetensors] [--tuned MAQ01036 ...]
    python -m benchmarks.proposals --calibrate 1001

Process every 20th frame of the rendered recordings that fold 0 holds out, and the labelled frames
of the real set, if it has been converted to data/cardcut. Neither models/pretrained.safetensors nor
models/cardpose.safetensors was trained on them.

Print for the network alone and for the proposals: the share of visible labelled corners within 5
pixels (of a picture whose longer side has 640), the median distance, the share of frames that need
no correction, and how often the visibility is right. Then print, for ranges of the confidence, the
number of corners, the mean confidence, and the share that is right. Recordings named after --tuned,
which somebody looked at while developing, are left out and reported apart.

With --calibrate, render 52 other recordings from that seed, fit the coefficients of the confidence
to them, and print them for cardpose/labelling/evidence.py.
"""

import argparse
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from cardpose.cli.label import MODEL
from cardpose.dataset.annotations import read_annotations
from cardpose.dataset.names import frame_name
from cardpose.dataset.recordings import read_recordings, sampled_pictures
from cardpose.dataset.splits import split_frames
from cardpose.labelling.evidence import Evidence, PlaceModel, VisibilityModel, weigh
from cardpose.labelling.propose import CLOSE
from cardpose.labelling.views import view_recording
from cardpose.network.weights import load_network
from cardpose.params import load_params
from cardpose.pictures.letterbox import UNIT, fitted_to_original, unit_to_fractions
from cardpose.rendering.videos import render_dataset

RENDERED, REAL = Path("data/synthetic"), Path("data/cardcut")
RANGES = (0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
FRAMES, STEP = 61, 6  # of recordings to calibrate with


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--tuned", nargs="*", default=[], metavar="RECORDING")
    parser.add_argument("--calibrate", type=int, metavar="SEED")
    chosen = parser.parse_args()
    params = load_params()
    if chosen.calibrate is not None:
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / name for name in ("videos", "annotations.csv", "videos.csv")]
            render_dataset(*files, 52, FRAMES, chosen.calibrate)
            calibrate(measured(Path(folder), chosen.model, params, STEP, None))
        return
    held_out = params.split.model_copy(update={"fold": 0, "test_videos": []})
    recordings = read_recordings(RENDERED)
    names, cards = ([getattr(r, name) for r in recordings] for name in ("name", "cards"))
    role = split_frames(names, cards, held_out, params.seed)
    test = [name for name, part in zip(names, role, strict=True) if part == "test"]
    report("rendered", measured(RENDERED, chosen.model, params, params.frame_step, test))
    if not (REAL / "videos.csv").exists():
        print(f"{REAL}: there is no real set, see {REAL}/README.md")
        return
    names = [recording.name for recording in read_recordings(REAL)]
    others = [name for name in names if name not in chosen.tuned]
    report("real", measured(REAL, chosen.model, params, params.frame_step, others))
    if chosen.tuned:
        tuned = measured(REAL, chosen.model, params, params.frame_step, chosen.tuned)
        report("real, used while developing", tuned)


class Measured(NamedTuple):
    """Proposals and labels of the frames of one recording; places in pixels, longer side UNIT[0].

    `network` and `network_visible` are what the network alone says.
    """

    evidence: Evidence
    proposed: np.ndarray
    network: np.ndarray
    network_visible: np.ndarray
    labels: np.ndarray
    visible: np.ndarray


def measured(dataset, model, params, step, only):
    """Propose corners in the labelled frames of recordings: a list of `Measured`.

    Args:
        only: names of the recordings, or None for all.
    """
    network, metadata = load_network(model)
    focal, card, size = metadata["focal"], metadata["card"], metadata["image_size"]
    frames, points, visible, _ = read_annotations(dataset / "annotations.csv")
    label = {frame: row for row, frame in enumerate(frames)}
    found = []
    chosen = [r for r in read_recordings(dataset) if only is None or r.name in only]
    for recording in tqdm(chosen, "propose", unit="recording"):
        pictures, rows = [], []
        for index, picture in sampled_pictures(recording, step, set()):
            if (name := frame_name(recording.name, index)) in label:
                pictures.append(picture)
                rows.append(label[name])
        sizes = np.array([picture.shape[1::-1] for picture in pictures])
        thickness = recording.cards * card[2]
        view = view_recording(network, pictures, thickness)
        evidence = weigh(view, sizes, size, thickness, focal, card)
        scale = sizes[:, None] * (UNIT[0] / sizes.max(axis=1))[:, None, None]
        raw = fitted_to_original(view.points.astype(float), sizes, size) / sizes[:, None] * scale
        proposed = unit_to_fractions(evidence.points, sizes) * scale
        found.append(
            Measured(evidence, proposed, raw, view.logits > 0, points[rows] * scale, visible[rows])
        )
    return found


def joined(found, field):
    return np.concatenate([getattr(each, field) for each in found])


def report(title, found):
    labels, visible = joined(found, "labels"), joined(found, "visible")
    points = joined(found, "proposed")
    said, confidence = (
        np.concatenate(part)
        for part in zip(*(each.evidence.judge() for each in found), strict=True)
    )
    print(f"\n{title}: {len(found)} recordings, {len(labels)} frames, {visible.sum()} corners")
    print(f"{'':12}{'within 5 px':>12}{'median px':>11}{'frames right':>14}{'visibility':>12}")
    for name, places, shown in (
        ("network", joined(found, "network"), joined(found, "network_visible")),
        ("proposed", points, said),
    ):
        right, off = judged(places, shown, labels, visible)
        print(
            f"{name:12}{(off[visible] < CLOSE).mean():12.1%}{np.median(off[visible]):11.2f}"
            f"{right.all(axis=1).mean():14.1%}{(shown == visible).mean():12.1%}"
        )
    right, _ = judged(points, said, labels, visible)
    print(f"confidence: AUC {roc_auc_score(right.ravel(), confidence.ravel()):.3f}")
    print(f"{'range':>14}{'corners':>9}{'says':>7}{'right':>7}")
    for low, high in pairwise(RANGES):
        rows = (confidence >= low) & ((confidence < high) | (high == 1))
        if rows.any():
            says, are = confidence[rows].mean(), right[rows].mean()
            print(f"{f'{low} to {high}':>14}{rows.sum():9}{says:7.2f}{are:7.2f}")


def judged(points, shown, labels, visible):
    """Return whether each corner needs no correction, and how far off it is in pixels.

    The distance is NaN where there is no label.
    """
    off = np.linalg.norm(points - labels, axis=2)
    return (shown == visible) & (~visible | (off < CLOSE)), off


def calibrate(found):
    """Fit the coefficients of the confidence to labels, and print them."""
    labels, visible = joined(found, "labels"), joined(found, "visible")
    near = np.linalg.norm(joined(found, "proposed") - labels, axis=2) < CLOSE
    visibility = np.concatenate([each.evidence.visibility_features for each in found])
    place = np.concatenate([each.evidence.place_features for each in found])
    print("VISIBILITY_MODEL =", fitted(VisibilityModel, visibility.reshape(-1, 4), visible.ravel()))
    print("PLACE_MODEL =", fitted(PlaceModel, place[visible], near[visible]))


def fitted(model, features, target):
    regression = LogisticRegression(C=100).fit(features, target)
    return model(*regression.coef_[0].round(3).tolist(), round(float(regression.intercept_[0]), 3))


if __name__ == "__main__":
    main()
