"""Say the results of an evaluation in words: sentences, a summary of ten lines, next steps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cardpose.common.errors import printable, quantity
from cardpose.evaluation.evaluate import HeldOutFrames

_STRAY = 0.01  # distance of a corner from its label, in picture widths, that explains an error
_FEW_CORNERS = 6  # a frame that shows fewer corners is hard to count
_BIASED = 1.5  # cards; thick packets that are off by more on average call for a remedy
_SURE = 0.8  # share of recordings that 90 % intervals should cover at least


def worst_frames(frames: pd.DataFrame, count: int) -> list[int]:
    """Return the rows of the `count` frames with the largest errors, the worst first."""
    return frames["error"].abs().sort_values(ascending=False, kind="stable").index[:count].tolist()


def sentence(held_out: HeldOutFrames, i: int) -> str:
    """Describe the count of held-out frame `i`."""
    frame = held_out.frames.iloc[i]
    name, _, index = str(frame["frame"]).rpartition("_frame_")
    true, error = int(frame["cards_counted"]), float(frame["error"])
    text = f"{name}, frame {index}: {frame['cards_predicted']:.1f} counted, {true} true"
    if round(float(frame["cards_predicted"])) == true:
        return f"{text}, which is right when rounded."
    return f"{text}, {abs(error):.1f} too {'many' if error > 0 else 'few'}."


def reason(held_out: HeldOutFrames, i: int) -> str:
    """Say how well the corners of held-out frame `i` were found, which may explain its error."""
    frame, found = held_out.frames.iloc[i], int(held_out.visible[i].sum())
    off = float(frame["corner_error"])
    if np.isnan(off):
        return f"{found} of the 8 corners were found; none has a label to compare with."
    if off > _STRAY * frame["width"]:
        return f"One corner lies {off:.0f} pixels from its label."
    if found < _FEW_CORNERS:
        return f"Only {found} of the 8 corners were found."
    return f"All corners lie within {np.ceil(off):.0f} pixels of their labels."


def summarize(
    report: Mapping[str, Any],
    held_out: HeldOutFrames,
    warnings: Sequence[str],
    steps: Sequence[str],
) -> list[str]:
    """Return the results in ten lines for a terminal, and one more per warning.

    Args:
        report: as `evaluate.evaluate` returns it, with the baseline `start`.
        held_out: as `evaluate.evaluate` returns it.
        warnings: as `cautions.cautions` returns them.
        steps: as `next_steps` returns them. The summary names the first.
    """
    frames, recordings = held_out.frames, held_out.recordings
    baselines = report["baselines"]
    columns = [report["cards"], baselines["start"], baselines["constant_guess"]]
    rows = [
        (f"mean error of a {noun}, cards", *(f"{column[name]:.2f}" for column in columns))
        for noun, name in (("picture", "mae"), ("recording", "mae_per_video"))
    ]
    worst = worst_frames(frames, 1)[0]
    lines = [
        f"measured on {quantity(len(recordings), 'recording')} that did not train the network"
        f" ({quantity(len(frames), 'picture')})",
        f"{'':34}{'trained':>8}{'before training':>17}{'constant guess':>16}",
        *(f"{name:34}{a:>8}{b:>17}{c:>16}" for name, a, b, c in rows),
        f"exactly right: {share_right(report, 'exact')}",
        f"at most one card off: {share_right(report, 'within_1')}",
        f"90 % intervals: {intervals(report)}",
        f"worst picture: {sentence(held_out, worst)} {reason(held_out, worst)}",
        *(f"warning: {warning}" for warning in warnings),
        "report: metrics/report.html; pictures: metrics/plots/; network: models/cardpose.onnx",
        f"try next: {steps[0]}",
    ]
    return [printable(line) for line in lines]


def share_right(report: Mapping[str, Any], metric: str) -> str:
    """Say a share of the recordings and of the pictures, for instance of the metric "exact"."""
    n, cards = report["data"]["recordings"], report["cards"]
    right = round(cards[f"{metric}_per_video"] * n)
    return f"{right} of {n} recordings, {_percent(cards[metric])} of the pictures"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def intervals(report: Mapping[str, Any]) -> str:
    """Say how often the intervals hold the true count, and how wide they are."""
    told = []
    for section, noun in (("interval_per_video", "recordings"), ("interval", "pictures")):
        measured = report[section]
        if measured["coverage"] is not None:
            width = measured["mean_width"]
            share = _percent(measured["coverage"])
            told.append(f"{share} of the {noun} ({width:.1f} cards wide)")
    return f"hold the count of {' and '.join(told)}" if told else "none"


def next_steps(report: Mapping[str, Any], held_out: HeldOutFrames, dataset: str) -> list[str]:
    """Return what to try next, the most promising first: a reason and a command.

    Args:
        report: as `evaluate.evaluate` returns it, with the baseline `start`.
        held_out: as `evaluate.evaluate` returns it.
        dataset: `dataset` of params.yaml.
    """
    loop = "change a parameter and compare: dvc exp run -S sigma=3, then dvc metrics diff"
    if dataset == "synthetic":
        return [
            loop,
            "these packets are rendered; train on real ones: download the public set"
            " (data/cardcut/README.md), then dvc exp run -S dataset=cardcut",
            "one split is one sample; hold out every recording once: make folds",
        ]
    cards, start = report["cards"], report["baselines"]["start"]
    coverage, bias = report["interval_per_video"]["coverage"], cards["bias_thick"]
    worst = held_out.frames.iloc[worst_frames(held_out.frames, 1)[0]]
    steps = []
    if cards["mae"] >= start["mae"] and cards["mae_per_video"] >= start["mae_per_video"]:
        steps.append(
            "training gained nothing; it needs more recordings, of packets of all thicknesses:"
            f" data/{dataset}/videos.csv"
        )
    if float(worst["corner_error"]) > _STRAY * worst["width"] and abs(worst["error"]) > 1:
        steps.append(
            f"a corner of the worst picture is far from its label; see which of the two is wrong:"
            f" cardpose check {dataset}"
        )
    if bias is not None and abs(bias) > _BIASED:
        steps.append(
            f"packets of 36 cards and more are counted {abs(bias):.1f} cards too"
            f" {'high' if bias > 0 else 'low'}; compare geometry.card in params.yaml with your"
            " cards: docs/how-to/another-deck.md"
        )
    if coverage is not None and coverage < _SURE:
        steps.append(
            "the intervals are too narrow for new recordings; set them with more of the"
            " recordings: dvc exp run -S split.validation=0.2"
        )
    steps.append(
        f"one split is one sample; hold out every recording once: make folds DATASET={dataset}"
    )
    return [*steps, loop]
