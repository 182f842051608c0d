"""Compare networks on packets that none of them has seen.

    python -m benchmarks.networks [--models FILE ...] [--recordings 52] [--frames 10] [--seed 7000]

Decides which network comes in the wheel. Counts rendered recordings with tables and decks like
those of the default data set ("plain"), and like those of pretraining ("varied"), each with its own
table, deck and light; and the real set, if data/cardcut holds it (`dvc repro
data/cardcut/dvc.yaml`). Prints one row per set and network: mean absolute error in cards per frame
and per recording, share of recordings counted exactly, and, if the network has intervals, the share
of frames and of recordings whose interval holds the count. Then prints how much more the other
networks are off than the first one.
"""

import argparse
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from cardpose.dataset.recordings import read_recordings, sampled_pictures
from cardpose.inference.predictor import load
from cardpose.rendering.backs import draw_varied_back
from cardpose.rendering.renderer import Renderer
from cardpose.rendering.scenes import random_scene
from cardpose.rendering.textures import draw_varied_table

MODELS = [Path("models/pretrained.safetensors"), Path("models/cardpose.safetensors")]
REAL = Path("data/cardcut")
LOOKS = {"plain": {}, "varied": {"cloth": draw_varied_table, "back": draw_varied_back}}
_DECK = 52
_STEP = 20  # frames of a rendered recording from one picture to the next, as in the default data
_COLUMNS = ["per frame", "per recording", "exact", "bias", "held", "held per recording"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, nargs="+", default=MODELS)
    parser.add_argument("--recordings", type=int, default=52, help="rendered recordings per set")
    parser.add_argument("--frames", type=int, default=10, help="pictures of each")
    parser.add_argument("--seed", type=int, default=7000, help="of the first rendered recording")
    chosen = parser.parse_args()
    counts = np.linspace(1, _DECK, chosen.recordings).round().astype(int).tolist()
    work = [
        joblib.delayed(count_rendered)(look, chosen.seed + i, cards, chosen)
        for look in LOOKS
        for i, cards in enumerate(counts)
    ]
    if (REAL / "videos.csv").exists():
        work += [joblib.delayed(count_real)(each, chosen) for each in read_recordings(REAL)]
    rows = [row for rows in joblib.Parallel(n_jobs=-1)(work) for row in rows]
    table = pd.DataFrame(rows)
    print(table.groupby(["set", "network"], sort=False)[_COLUMNS].mean().round(2).to_string())
    print(f"\ndifference from {chosen.models[0]}, and its standard error:")
    first = table["network"] == str(chosen.models[0])
    for (name, network), group in table[~first].groupby(["set", "network"], sort=False):
        start = table[first & (table["set"] == name)]
        for column in ("per frame", "per recording"):
            more = group[column].to_numpy() - start[column].to_numpy()
            error = more.std() / len(more) ** 0.5
            print(f"{name} {network} {column}: {more.mean():+.2f} ({error:.2f})")


def count_rendered(look, seed, cards, chosen):
    scene = random_scene(seed, cards, _STEP * (chosen.frames - 1) + 1, **LOOKS[look])
    renderer = Renderer(scene)
    pictures = [renderer.frame(_STEP * i) for i in range(chosen.frames)]
    return count(look, pictures, cards, chosen.models)


def count_real(recording, chosen):
    pictures = [picture for _, picture in sampled_pictures(recording, 1, ())]
    return count("real", pictures, recording.cards, chosen.models)


def count(name, pictures, cards, models):
    """One row per network: its errors in the pictures of a recording, and in the recording."""
    rows = []
    for model in models:
        predictor = load(model, threads=1)
        results = predictor.predict_batch(pictures)
        whole = predictor.count_recording(results)
        off = np.array([result.cards - cards for result in results])
        row = {"set": name, "network": str(model), "per frame": abs(off).mean(), "bias": off.mean()}
        row |= {"per recording": abs(whole.cards - cards), "exact": round(whole.cards) == cards}
        if not np.isnan(whole.low):
            row["held"] = np.mean([result.low <= cards <= result.high for result in results])
            row["held per recording"] = whole.low <= cards <= whole.high
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
