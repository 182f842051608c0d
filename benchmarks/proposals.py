"""How good proposals are: `cardpose label start` against labels.

    python -m benchmarks.proposals [--model models/pretrained.safetensors] [--tuned MAQ01036 ...]
    python -m benchmarks.proposals --calibrate 1001

Takes every 20th frame of the rendered recordings that fold 0 holds out, so that
models/cardpose.safetensors can be measured, too, and the labelled frames of the real set, if it has
been converted to data/cardcut: both networks have seen no real picture. Prints, for what the
network says and for what is proposed, the share of visible labelled corners within 5 pixels (of a
picture whose longer side has 640), the share of frames that need no correction at all, and how
often visibility is right; and how far the confidence can be relied on: in each range of it, how
many corners, what it says on average, and how many are right. Recordings named after --tuned, which
somebody looked at while making this, are left out and reported apart.

With --calibrate it renders 52 other recordings from that seed, fits the confidence's weights to
them, and prints them for cardpose/labelling/evidence.py.
"""

import argparse
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from cardpose.cli.label import MODEL
from cardpose.dataset.annotations import read_annotations
from cardpose.dataset.names import frame_name
from cardpose.dataset.recordings import read_recordings, sampled_pictures
from cardpose.dataset.splits import split_frames
from cardpose.labelling.evidence import weigh
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
        report("real, looked at", tuned)


def measured(dataset, model, params, step, only):
    """What is known of each recording: its `Evidence`, what the network alone says (points and
    visibility), and the labels, all in pixels of UNIT; a list of tuples of arrays."""
    network, about = load_network(model)
    focal, card, size = about["focal"], about["card"], about["image_size"]
    frames, points, visible, _ = read_annotations(dataset / "annotations.csv")
    label = {frame: row for row, frame in enumerate(frames)}
    found = []
    chosen = [r for r in read_recordings(dataset) if only is None or r.name in only]
    for recording in tqdm(chosen, "look", unit="recording"):
        pictures, rows = [], []
        for index, picture in sampled_pictures(recording, step, set()):
            if (name := frame_name(recording.name, index)) in label:
                pictures.append(picture)
                rows.append(label[name])
        sizes = np.array([picture.shape[1::-1] for picture in pictures])
        thickness = recording.cards * card[2]
        view = view_recording(network, pictures, len(pictures), thickness)
        weighed = weigh(view, sizes, size, thickness, focal, card)
        scale = sizes[:, None] * (UNIT[0] / sizes.max(axis=1))[:, None, None]
        raw = fitted_to_original(view.points.astype(float), sizes, size) / sizes[:, None] * scale
        proposed = unit_to_fractions(weighed.points, sizes) * scale
        found.append((weighed, proposed, raw, view.logits > 0, points[rows] * scale, visible[rows]))
    return found


def report(title, found):
    labels, shown = (np.concatenate([row[k] for row in found]) for k in (4, 5))
    raw, seen = (np.concatenate([row[k] for row in found]) for k in (2, 3))
    points = np.concatenate([row[1] for row in found])
    visible, confidence = (
        np.concatenate(part) for part in zip(*(row[0].proposed() for row in found), strict=True)
    )
    print(f"\n{title}: {len(found)} recordings, {len(labels)} frames, {shown.sum()} corners")
    print(f"{'':12}{'within 5 px':>12}{'median px':>11}{'frames right':>14}{'visibility':>12}")
    for name, at, said in (("network", raw, seen), ("proposed", points, visible)):
        right, off = judged(at, said, labels, shown)
        print(
            f"{name:12}{(off[shown] < CLOSE).mean():12.1%}{np.median(off[shown]):11.2f}"
            f"{right.all(axis=1).mean():14.1%}{(said == shown).mean():12.1%}"
        )
    right, _ = judged(points, visible, labels, shown)
    print(f"confidence: AUC {roc_auc_score(right.ravel(), confidence.ravel()):.3f}")
    print(f"{'range':>14}{'corners':>9}{'says':>7}{'right':>7}")
    for low, high in pairwise(RANGES):
        some = (confidence >= low) & ((confidence < high) | (high == 1))
        if some.any():
            says, are = confidence[some].mean(), right[some].mean()
            print(f"{f'{low} to {high}':>14}{some.sum():9}{says:7.2f}{are:7.2f}")


def judged(points, visible, labels, shown):
    """(n, 8) bool, whether a corner needs no correction, and (n, 8) how far off it is in pixels,
    NaN where there is no label."""
    off = np.linalg.norm(points - labels, axis=2)
    return (visible == shown) & (~shown | (off < CLOSE)), off


def calibrate(found):
    """Print the weights of the confidence that fit best."""
    labels, shown = (np.concatenate([row[k] for row in found]) for k in (4, 5))
    points = np.concatenate([row[1] for row in found])
    near = np.linalg.norm(points - labels, axis=2)[shown] < CLOSE
    for name, target, keep in (("shown", shown.ravel(), slice(None)), ("placed", near, shown)):
        values = np.concatenate([getattr(row[0], name) for row in found])
        values = values.reshape(-1, values.shape[-1]) if name == "shown" else values[keep]
        fitted = LogisticRegression(C=100).fit(values, target)
        slopes = ", ".join(f"{value:.3f}" for value in fitted.coef_[0])
        print(f"_{name.upper()} = ({slopes}), {fitted.intercept_[0]:.3f}")


if __name__ == "__main__":
    main()
