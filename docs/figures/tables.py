"""Fill the tables of README.md and docs/ from metrics/folds/, which `make folds` writes.

    python -m docs.figures.tables

A table lies between two comments: `<!-- table: NAME -->` and `<!-- end of table -->`. TABLES holds
the names. Everything between them is replaced.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from docs.figures.style import ROOT

_BLOCK = re.compile(r"(<!-- table: ([\w ]+) -->\n)(.*?)(<!-- end of table -->)", re.DOTALL)
_DATA = {"cardcut": "real", "synthetic": "rendered"}
# Label, metric, and how its values are written.
_ERRORS = (
    ("mean absolute error, cards per frame", "mae", "{:.2f}"),
    ("M, mean squared error, cards²", "mse", "{:.1f}"),
    ("mean absolute error, cards per recording", "mae_per_video", "{:.2f}"),
)
_SHARES = (
    ("frames counted exactly (rounded)", "cards.exact"),
    ("frames at most one card off (rounded)", "cards.within_1"),
    ("recordings counted exactly (rounded)", "cards.exact_per_video"),
    ("recordings at most one card off (rounded)", "cards.within_1_per_video"),
)
_OTHERS = (
    ("bias of packets of 36 cards and more, cards", "cards.bias_thick", "{:+.2f}"),
    ("corners: median error, pixels at 640 x 480", "keypoints.median_px", "{:.2f}"),
    ("visibility right", "visibility.accuracy", "{:.1%}"),
    ("90 % intervals that contain the count", "interval.coverage", "{:.0%}"),
    ("mean width of these intervals, cards", "interval.mean_width", "{:.1f}"),
    (
        "90 % intervals of recordings that contain the count",
        "interval_per_video.coverage",
        "{:.0%}",
    ),
    (
        "mean width of these intervals of recordings, cards",
        "interval_per_video.mean_width",
        "{:.1f}",
    ),
)
_WAYS = (
    ("both", "`both`, the default"),
    ("keypoints", "`keypoints`: the corners of the heatmaps"),
    ("picture", "`picture`: the features of the picture, without geometry"),
)


class Folds:
    """Metrics of the five folds of a data set, named `part.metric`.

    Attributes:
        mean, spread: mean and standard deviation over the folds, without the baselines.
        recordings: number of recordings of the data set.
    """

    def __init__(self, dataset: str) -> None:
        content: dict[str, Any] = json.loads(
            (ROOT / f"metrics/folds/{dataset}.json").read_text(encoding="utf-8")
        )
        folds = pd.json_normalize(content["folds"])
        self.mean, self.spread = content["mean"], content["spread"]
        self.recordings = int(folds["data.recordings"].sum())
        self._means = folds.mean()

    def baseline(self, name: str, metric: str) -> float:
        """Return the mean of a baseline's metric over the folds."""
        return float(self._means[f"baselines.{name}.{metric}"])


def table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def written(form: str, value: float) -> str:
    """Return a value as text, with a space before the sign of a percentage."""
    return form.format(value).replace("%", " %")


def folds_table(dataset: str) -> str:
    """Return the table of all metrics of a data set, with spreads and baselines."""
    folds = Folds(dataset)

    def rows() -> Iterator[Sequence[str]]:
        for label, metric, form in _ERRORS:
            name = f"cards.{metric}"
            others = (folds.baseline(each, metric) for each in ("start", "constant_guess"))
            values = (folds.mean[name], folds.spread[name], *others)
            yield label, *(written(form, value) for value in values)
        for label, name, form in (*((*each, "{:.0%}") for each in _SHARES), *_OTHERS):
            spread = written(form.replace("+", ""), folds.spread[name])
            yield label, written(form, folds.mean[name]), spread, "", ""

    return table(["", "mean", "spread", "before training", "constant guess"], rows())


def results_table() -> str:
    """Return the table of the most telling metrics of both data sets."""

    def rows() -> Iterator[Sequence[str]]:
        for dataset, kind in _DATA.items():
            folds = Folds(dataset)
            data = f"{kind}, {folds.recordings} recordings"
            for label, metric, form in _ERRORS:
                name = f"cards.{metric}"
                trained = f"{written(form, folds.mean[name])} ± {written(form, folds.spread[name])}"
                others = (folds.baseline(each, metric) for each in ("start", "constant_guess"))
                yield data, label, trained, *(written(form, value) for value in others)
                data = ""
            for label, name in _SHARES[2:]:
                yield data, label, written("{:.0%}", folds.mean[name]), "", ""

    return table(
        ["data", "on held-out recordings", "trained", "before training", "constant guess"], rows()
    )


def ways_table() -> str:
    """Return the table of the ways of counting on the real set, with the baselines."""
    folds = Folds("cardcut")

    def rows() -> Iterator[Sequence[str]]:
        for way, label in _WAYS:
            values = (folds.mean[f"ways.{way}.{metric}"] for _, metric, _ in _ERRORS)
            yield label, *(written(e[2], v) for e, v in zip(_ERRORS, values, strict=True))
        for name, label in (
            ("start", "baseline: the network before training on the set"),
            ("constant_guess", "baseline: the mean count of the training frames"),
        ):
            yield label, *(written(form, folds.baseline(name, m)) for _, m, form in _ERRORS)

    return table(["way of counting", "cards per frame", "M, cards²", "cards per recording"], rows())


TABLES: dict[str, Callable[[], str]] = {
    "results": results_table,
    "folds of cardcut": lambda: folds_table("cardcut"),
    "folds of synthetic": lambda: folds_table("synthetic"),
    "ways of counting": ways_table,
}


def filled(text: str) -> str:
    """Return a page with all its tables filled."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{TABLES[block[2]]()}\n{block[4]}", text)


def pages() -> list[Path]:
    """Return the pages that may hold tables."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def main() -> None:
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if filled(text) != text:
            page.write_text(filled(text), encoding="utf-8")


if __name__ == "__main__":
    main()
