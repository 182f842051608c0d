"""Plot counts and losses with matplotlib."""

from os import PathLike
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib import pyplot as plt

from cardpose.common.tables import read_own_table

matplotlib.use("Agg")

# Losses to plot: part of the training, name of the loss, title.
_LOSSES = (
    ("whole", "heatmaps", "whole pictures: heatmaps, MSE"),
    ("whole", "cards", "whole pictures: count, MSE"),
    ("whole", "visibility", "whole pictures: visibility, BCE"),
    ("whole", "mae_cards", "whole pictures: error, cards"),
    ("closeups", "total", "close-ups: loss"),
    ("closeups", "mae_cards", "close-ups: error, cards"),
    ("edges", "total", "edges: loss"),
    ("edges", "pixels", "edges: error, pixels"),
)


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
    """Plot losses and errors of all parts of the training by epoch.

    Args:
        path: PNG file to write.
        log: folder of DVCLive's plots, which holds `metrics/<part>/<split>/<loss>.tsv`.
    """
    figure, axes = plt.subplots(2, 4, figsize=(14, 6), layout="constrained")
    for axis, (part, loss, title) in zip(axes.flat, _LOSSES, strict=True):
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        for split in ("train", "validation"):
            file = Path(log) / "metrics" / part / split / f"{loss}.tsv"
            if file.exists():
                values = read_own_table(file, [loss], sep="\t")[loss]
                axis.plot(values.index + 1, values, label=split, marker=".")
        if axis.lines:
            axis.set_ylim(bottom=min(axis.get_ylim()[0], 0))
            axis.legend()
    figure.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(figure)
