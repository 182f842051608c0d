"""Plot counts and losses with matplotlib."""

from os import PathLike
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib import pyplot as plt

from cardpose.common.tables import read_own_table

matplotlib.use("Agg")


def plot_counts(path: str | PathLike[str], frames: pd.DataFrame) -> None:
    """Plot predicted against true counts, and errors by true count.

    Args:
        path: PNG file to write.
        frames: a table with `cards_counted` and `cards_predicted`.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
    true, predicted = frames["cards_counted"], frames["cards_predicted"]
    top = max(true.max(), predicted.max()) + 2
    left.plot([0, top], [0, top], color="0.6", linewidth=1)
    left.scatter(true, predicted, s=12, alpha=0.5, linewidths=0)
    left.set(xlabel="cards in the packet", ylabel="cards predicted", xlim=(0, top), ylim=(0, top))
    left.set_title("each dot is a held-out frame")
    errors = (predicted - true).groupby(true)
    right.axhline(0, color="0.6", linewidth=1)
    right.boxplot(
        [e for _, e in errors], positions=[c for c, _ in errors], widths=0.8, manage_ticks=False
    )
    right.set(xlabel="cards in the packet", ylabel="predicted - true, cards", xlim=(0, top))
    right.set_title("error by count")
    figure.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(figure)


def plot_losses(path: str | PathLike[str], log: str | PathLike[str]) -> None:
    """Plot the three losses of training and validation by epoch.

    Args:
        path: PNG file to write.
        log: folder of DVCLive's plots, which holds `metrics/<split>/<loss>.tsv`.
    """
    curves: dict[str, dict[str, pd.Series]] = {"heatmaps": {}, "cards": {}, "visibility": {}}
    for file in sorted(Path(log).glob("metrics/*/*.tsv"), reverse=True):
        if file.stem in curves:
            table = read_own_table(file, [file.stem], sep="\t")
            curves[file.stem][file.parent.name] = table[file.stem]
    figure, axes = plt.subplots(
        1, len(curves), figsize=(4 * len(curves), 3.6), layout="constrained"
    )
    for axis, (loss, splits) in zip(axes, curves.items(), strict=True):
        for split, values in splits.items():
            axis.plot(values, label=split)
        axis.set(title=loss, xlabel="epoch", yscale="log")
        axis.legend()
    figure.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(figure)
