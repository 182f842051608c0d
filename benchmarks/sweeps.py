"""Count whole recordings, and compare with the median of their single pictures.

    python -m benchmarks.sweeps [--model models/pretrained.safetensors] [--every 1 20] [--videos 52]

Reads the recordings of `dataset` in params.yaml with a network that was not trained on them. Prints
one row per spacing of the frames: mean absolute error in cards, shares of recordings exactly right
and within one card, and the same for the median of the pictures' counts.
"""

import argparse
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from cardpose.dataset.recordings import read_recordings
from cardpose.inference.predictor import load
from cardpose.params import load_params
from cardpose.pictures.videos import sampled_frames

_BATCH = 4  # frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default="models/pretrained.safetensors")
    parser.add_argument("--every", type=int, nargs="+", default=[1, 20])
    parser.add_argument("--videos", type=int, default=None)
    chosen = parser.parse_args()
    dataset = Path("data") / load_params().dataset
    recordings = read_recordings(dataset)[: chosen.videos]
    work = joblib.Parallel(n_jobs=-1)(
        joblib.delayed(count)(chosen.model, recording.path, recording.cards, chosen.every)
        for recording in recordings
    )
    table = pd.DataFrame([row for rows in work for row in rows])
    for every, rows in table.groupby("every"):
        print(f"\nevery {every}. frame, {len(rows)} recordings")
        for way in ("sweep", "median"):
            off = (rows[way] - rows["cards"]).abs()
            rounded = (rows[way].round() - rows["cards"]).abs()
            exact, close = (rounded == 0).mean(), (rounded <= 1).mean()
            print(
                f"  {way:6} mean absolute error {off.mean():.2f}, worst {off.max():.1f},"
                f" exactly right {exact:.0%}, within one {close:.0%}"
            )


def count(model: Path, video: Path, cards: int, spacings: list[int]) -> list[dict[str, float]]:
    """Count one recording from every n-th frame, for each of several n."""
    predictor = load(model, threads=1)
    frames = [frame for _, frame in sampled_frames(video, min(spacings)) if frame is not None]
    results = []
    for first in range(0, len(frames), _BATCH):
        results += predictor.predict_batch(frames[first : first + _BATCH])
    rows = []
    for every in spacings:
        counter = predictor.recording_counter()
        used = results[:: every // min(spacings)]
        for result in used:
            counter.add(result)
        found = counter.count()
        median = np.median([result.cards for result in used if result.packet])
        sweep = found.cards if found else np.nan
        rows.append({"every": every, "cards": cards, "sweep": sweep, "median": float(median)})
    return rows


if __name__ == "__main__":
    main()
