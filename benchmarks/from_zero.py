"""From fresh recordings to a network of one's own: what there is to correct, and what it brings.

    python -m benchmarks.from_zero [--look marble] [--proposer cardpose] [--folds 3]

Six packets are rendered in a look that the network has not seen, in dim warm light, 1280 x 720
pixels: "marble", a veined table and a back with two medallions and a white border; "terrazzo", a
table full of corners and that back, printed to its very edge; "tiles", a tiled table and a back
with rays. They are labelled by the commands of docs/tutorials/your-own-recordings.md: `cardpose
label start` proposes, somebody corrects, `cardpose label import` takes the labels.
Somebody is simulated: a corner that is more than 5 pixels off or wrong in visibility is put where
it is, but for 2 pixels (standard deviation of x and of y); all pixels are of a picture 640 wide.

Then the network goes on learning from four of the recordings, and is measured on the other two,
with exact labels, before and after. `models/` has to hold what `dvc repro` makes.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import cv2
import joblib
import numpy as np
import pandas as pd
from dvc.utils.serialize import dump_yaml

from cardpose.common.yaml_files import read_yaml
from cardpose.dataset.annotations import write_annotations
from cardpose.dataset.layout import labelling_folder
from cardpose.dataset.names import frame_name, split_frame_name
from cardpose.dataset.splits import split_frames
from cardpose.dataset.tensors import read_tensors
from cardpose.evaluation.evaluate import evaluate
from cardpose.labelling.proposals import read_proposals
from cardpose.network.weights import load_network
from cardpose.params import load_params
from cardpose.rendering.backs import BACK_SCALE
from cardpose.rendering.deck import size_ratio
from cardpose.rendering.scenes import random_scene
from cardpose.rendering.textures import TABLE_SIZE
from cardpose.rendering.videos import render_video

ROOT = Path(__file__).parents[1]
COUNTS = (7, 14, 23, 31, 40, 49)
FRAMES, SIZE = 300, (1280, 720)
SEED = 1000
FAR, CARELESS = 5.0, 2.0  # pixels of a picture 640 wide
UNIT = 640


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--look", choices=LOOKS, default="marble")
    parser.add_argument("--folder", type=Path, help="work here, and leave it (default: a new one)")
    parser.add_argument("--models", type=Path, default=Path("models"), help="what dvc repro made")
    parser.add_argument("--proposer", choices=("cardpose", "pretrained"), default="pretrained")
    parser.add_argument("--folds", type=int, default=3, help="of three, how many to train; 0: none")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (chosen.folder or Path(scratch)).resolve()
        trial(folder, chosen.models.resolve(), chosen.proposer, LOOKS[chosen.look], chosen.folds)


def trial(folder, models, proposer, look, folds):
    mine = folder / "data" / "mine"
    (folder / "models").mkdir(parents=True, exist_ok=True)
    shutil.copy(models / "pretrained.safetensors", folder / "models")
    truth = record(mine, look)
    proposing = models / f"{proposer}.safetensors"
    command(folder, "cardpose", "label", "start", "mine", "--model", proposing)
    frames, points, visible, effort = correct(mine, truth)
    print(json.dumps({"proposals": effort}, indent=2), flush=True)
    names = [f"packet_{cards:02d}" for cards in COUNTS]
    reports = []
    for fold in range(folds):
        held_out = names[fold :: len(names) // 2]
        of = np.array([split_frame_name(frame)[0] in held_out for frame in frames])
        (mine / "annotations.csv").unlink(missing_ok=True)
        exact, shown = (np.array([truth[frame][k] for frame in frames]) for k in (0, 1))
        for rows, (p, v) in ((~of, (points, visible)), (of, (exact, shown))):
            labels = folder / "labels.csv"
            write_annotations(labels, np.array(frames)[rows], p[rows], v[rows])
            command(folder, "cardpose", "label", "import", "mine", labels)
        params = write_params(folder, held_out)
        for stage in ("extract_frames", "make_heatmaps"):
            command(folder, f"stages.{stage}")
        before = measure(folder, params, models / CARDPOSE)
        command(folder, "stages.train")
        after = measure(folder, params, folder / "models" / CARDPOSE)
        reports.append({"held_out": held_out, "before": before, "after": after})
        print(json.dumps(reports[-1], indent=2), flush=True)
    if not reports:
        return
    mean = {
        when: {key: float(np.mean([r[when][key] for r in reports])) for key in reports[0][when]}
        for when in ("before", "after")
    }
    print(json.dumps({"mean": mean}, indent=2))


CARDPOSE = "cardpose.safetensors"


def command(folder, module, *arguments):
    """Run a module of this repository in the trial's folder."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{module}: {done.stdout}{done.stderr}")
    return done.stdout


def write_params(folder, held_out):
    """The repository's params.yaml, of the data set mine, with the held-out recordings named."""
    params = read_yaml(ROOT / "params.yaml")
    params["dataset"] = "mine"
    params["split"]["test_videos"] = held_out
    dump_yaml(folder / "params.yaml", params)
    return load_params(folder / "params.yaml")


def record(mine, look):
    """Film the packets into a data set: videos and videos.csv.

    Returns:
        {frame: (8, 2) fractions and (8,) visibility} of every frame.
    """
    (mine / "videos").mkdir(parents=True, exist_ok=True)
    filmed = joblib.Parallel(n_jobs=-1)(joblib.delayed(film)(mine, cards, look) for cards in COUNTS)
    videos = [f"packet_{cards:02d}.mp4" for cards in COUNTS]
    rows = {"video": videos, "cards_counted": COUNTS, "total_cards": 52}
    pd.DataFrame(rows).to_csv(mine / "videos.csv", index=False)
    return {
        frame_name(f"packet_{cards:02d}", index): (p[index], v[index])
        for cards, (p, v) in zip(COUNTS, filmed, strict=True)
        for index in range(FRAMES)
    }


def film(mine, cards, look):
    cloth, back = look
    scene = random_scene(SEED, cards, FRAMES, *SIZE, cloth=cloth, back=back)
    scene.tone[:] *= [0.55, 0.75, 0.95]  # a lamp in the evening
    return render_video(mine / "videos" / f"packet_{cards:02d}.mp4", scene, FRAMES, SIZE)


def terrazzo(_):
    """A table of coloured chips of stone, (TABLE_SIZE, TABLE_SIZE, 3) float32: always the same."""
    rng = np.random.default_rng(SEED)
    table = np.full((TABLE_SIZE, TABLE_SIZE, 3), (205, 212, 218), np.float32)
    colours = [(70, 80, 150), (60, 60, 65), (140, 150, 120), (90, 160, 200), (240, 240, 240)]
    for _ in range(2500):
        middle, reach = rng.uniform(0, TABLE_SIZE, 2), rng.uniform(4, 22)
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(4, 8)))
        chip = np.column_stack([np.cos(angles), np.sin(angles)]) * rng.uniform(0.6, 1, (1, 2))
        chip = np.round((middle + reach * chip) * 16).astype(np.int32)
        colour = np.array(colours[rng.integers(len(colours))]) * rng.uniform(0.85, 1.1)
        cv2.fillConvexPoly(table, cv2.convexHull(chip), colour.tolist(), cv2.LINE_AA, 4)
    return cv2.GaussianBlur(table, (0, 0), 0.8) + rng.normal(0, 2, table.shape).astype(np.float32)


def marble(_):
    """A grey table with veins, (TABLE_SIZE, TABLE_SIZE, 3) float32: always the same."""
    rng = np.random.default_rng(SEED)
    table = np.full((TABLE_SIZE, TABLE_SIZE), 190, np.float32)
    for _ in range(60):
        steps = rng.normal(rng.normal(0, 8, 2), 9, (200, 2))
        vein = rng.uniform(0, TABLE_SIZE, 2) + np.cumsum(steps, axis=0)
        thick = int(rng.integers(1, 5))
        cv2.polylines(table, [vein.astype(np.int32)], False, rng.uniform(110, 170), thick)
    clouds = cv2.resize(rng.normal(0, 12, (40, 40)).astype(np.float32), table.shape)
    table = cv2.GaussianBlur(table, (0, 0), 2) + clouds
    return table[..., None] * np.array([1, 0.98, 0.95], np.float32)


def medallions(_, paper, card, border):
    """A card's back, (h, w, 3) uint8: two medallions on dark red, and so many mm of border."""
    width, length, _ = card
    scale = BACK_SCALE / size_ratio(card)
    h, w = round(length * scale), round(width * scale)
    x = (np.arange(w) + 0.5) / scale - width / 2
    y = ((np.arange(h) + 0.5) / scale - length / 2)[:, None]
    away = np.hypot(x, abs(y) - length / 4)
    petals = np.cos(8 * np.arctan2(x, abs(y) - length / 4))
    gold = (away < 15 + 2 * petals) & ~((away > 8) & (away < 9.5)) | (abs(x + y) % 11 < 0.5)
    back = np.where(gold[..., None], (90, 170, 215), (45, 35, 120))
    inside = (abs(x) < width / 2 - border) & (abs(y) < length / 2 - border)
    back = np.where(inside[..., None], back, paper)
    return cv2.GaussianBlur(back.astype(np.float32), (0, 0), 1).astype(np.uint8)


def tiles(_):
    """Square tiles of two greys with light grout, (TABLE_SIZE, TABLE_SIZE, 3) float32."""
    rng = np.random.default_rng(SEED)
    place = np.arange(TABLE_SIZE) / 110  # 55 mm
    which = np.floor(place).astype(int)
    grey = rng.normal(0, 6, (which[-1] + 1,) * 2)[which[:, None], which]
    grey = grey + np.where((which[:, None] + which) % 2, 95, 150)
    grout = (place % 1 < 0.05)[:, None] | (place % 1 < 0.05)
    grey = np.where(grout, 205, grey) + rng.normal(0, 4, grey.shape)
    table = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.2)
    return table[..., None] * np.array([0.92, 1, 0.97], np.float32)


def rays(_, paper, card):
    """A card's back, (h, w, 3) uint8: dark green rays from its middle, and a narrow border."""
    width, length, _ = card
    scale = BACK_SCALE / size_ratio(card)
    h, w = round(length * scale), round(width * scale)
    x = (np.arange(w) + 0.5) / scale - width / 2
    y = ((np.arange(h) + 0.5) / scale - length / 2)[:, None]
    lit = (np.sin(24 * np.arctan2(y, x)) > 0) & (np.hypot(x, y) > 6)
    back = np.where(lit[..., None], (120, 150, 90), (50, 60, 25))
    inside = (abs(x) < width / 2 - 2) & (abs(y) < length / 2 - 2)
    back = np.where(inside[..., None], back, paper)
    return cv2.GaussianBlur(back.astype(np.float32), (0, 0), 1).astype(np.uint8)


LOOKS = {
    "marble": (marble, partial(medallions, border=4.0)),
    "terrazzo": (terrazzo, partial(medallions, border=0.0)),
    "tiles": (tiles, rays),
}  # table and back


def correct(mine, truth):
    """What somebody makes of the proposals: frames, points, visible, and what there was to do."""
    proposals = read_proposals(labelling_folder(mine) / "proposals.csv")
    frames, points, visible = proposals.frames, proposals.points.copy(), proposals.visible.copy()
    exact, shown = (np.array([truth[frame][k] for frame in frames]) for k in (0, 1))
    unit = np.array(SIZE) * UNIT / max(SIZE)
    off = np.linalg.norm((points - exact) * unit, axis=-1)
    wrong = visible != shown
    far = shown & visible & (off > FAR)
    rng = np.random.default_rng(SEED)
    clicked = np.clip(exact + rng.normal(0, CARELESS, exact.shape) / unit, 0, 1)
    moved = shown & (wrong | far)
    points[moved] = clicked[moved]
    effort = {
        "frames": len(frames),
        "frames_without_correction": int((~(wrong | far).any(axis=1)).sum()),
        "corners_shown": int(shown.sum()),
        "of_them_within_5_px": float((off[shown] <= FAR).mean()),
        "and_said_to_be_visible": float((visible & (off <= FAR))[shown].mean()),
        "median_px": float(np.median(off[shown])),
        "visibility_right": float((~wrong).mean()),
        "corners_to_correct": int((wrong | far).sum()),
        "of_all_corners": float((wrong | far).mean()),
        "frames_without_doubt": int((proposals.confidence > 0.9).all(axis=1).sum()),
    }
    return frames, points, shown, effort


def measure(folder, params, model):
    """Errors on the held-out recordings: cards, and pixels of a picture 640 wide."""
    tensors = read_tensors(folder / "data" / "tensors")
    frames = tensors.frames
    role = split_frames(frames["recording"], frames["cards_counted"], params.split, params.seed)
    report, _ = evaluate(*load_network(model), tensors, role, params.count.source)
    return {
        "cards_mae": report["cards"]["mae"],
        "cards_mae_per_video": report["cards"]["mae_per_video"],
        "corners_median_px": report["keypoints"]["median_px"] * UNIT / max(SIZE),
        "corners_mean_px": report["keypoints"]["mean_px"] * UNIT / max(SIZE),
        "visibility": report["visibility"]["accuracy"],
        "frames": report["data"]["frames"],
    }


if __name__ == "__main__":
    main()
