"""How much `cardpose calibrate` improves the counts of decks with thinner or thicker cards.

    python -m benchmarks.calibrate_deck [--cards 0.26 0.28 0.32 0.34] [--frames 10]

Renders a few short recordings of each deck, calibrates on each of them in turn and counts the
others. Does the same with the recordings of the real set, if it has been converted to data/cardcut.
Prints the mean absolute error in cards per recording, before and after.
"""

import argparse
from pathlib import Path

import numpy as np

from cardpose.cli.runner import count_again
from cardpose.dataset.recordings import read_recordings, sampled_pictures
from cardpose.geometry.card import CARD_LENGTH, CARD_WIDTH
from cardpose.geometry.card_fit import fit_card
from cardpose.inference.predictor import load
from cardpose.rendering.renderer import Renderer
from cardpose.rendering.scenes import random_scene

REAL = Path("data/cardcut")
COUNTS = (10, 22, 34, 46)
LEAST = 20  # cards in a packet to calibrate with
SEED = 4711


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="models/pretrained.safetensors")
    parser.add_argument("--cards", type=float, nargs="*", default=[0.26, 0.28, 0.32, 0.34])
    parser.add_argument("--frames", type=int, default=10)
    chosen = parser.parse_args()
    predictor = load(chosen.model)
    print(f"{'deck':10}{'recordings':>11}{'fitted mm':>18}{'before':>8}{'after':>8}  cards")
    for card in chosen.cards:
        packets = {n: rendered(n, card, chosen.frames) for n in COUNTS}
        report(f"{card:.2f} mm", predictor, packets.items())
    if (REAL / "videos.csv").exists():
        recordings = read_recordings(REAL)
        packets = ((r.cards, [p for _, p in sampled_pictures(r, 20, set())]) for r in recordings)
        report("real", predictor, packets)


def rendered(cards, thickness, frames):
    """Pictures from all round a packet of cards that are `thickness` mm thick."""
    size = CARD_WIDTH, CARD_LENGTH, thickness
    scene = random_scene(SEED, cards, 400, card=size)
    renderer = Renderer(scene)
    return [renderer.frame(i) for i in np.linspace(0, 399, frames).round().astype(int)]


def report(title, predictor, packets):
    """Print the errors of all recordings but the one that calibrates, over all such choices."""
    usual = predictor.metadata["card"][2]
    rows = []
    for cards, pictures in packets:
        count = predictor.count_recording(predictor.predict_batch(pictures))
        if count and np.isfinite(count.thickness):
            count = count_again(predictor, count, [pictures])
            rows.append((cards, count.thickness, count.deviation))
    cards, thickness, deviation = np.array(rows).T
    fitted, before, after = [], [], []
    for i in np.flatnonzero(cards >= LEAST):
        one, others = slice(i, i + 1), np.arange(len(cards)) != i
        fitted.append(fit_card(thickness[one], deviation[one], cards[one], usual))
        for card, errors in ((usual, before), (fitted[-1], after)):
            count = np.clip(thickness[others] / card, 1, predictor.metadata["deck"])
            errors.append(abs(count - cards[others]).mean())
    print(
        f"{title:10}{len(cards):11}{f'{np.mean(fitted):.3f} +- {np.std(fitted):.3f}':>18}"
        f"{np.mean(before):8.2f}{np.mean(after):8.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
