"""Write the results of an evaluation as one HTML file that needs no network."""

import base64
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import jinja2
import numpy as np
from jaxtyping import UInt8

from cardpose.evaluation.evaluate import HeldOutFrames
from cardpose.evaluation.report import draw_frame, spread_frames
from cardpose.evaluation.wording import intervals, reason, sentence, share_right, worst_frames

_TEMPLATE = Path(__file__).with_name("report.html")
_WIDTH, _QUALITY = 480, 80  # pixels, JPEG
_MOST = 12  # pictures of a kind; 24 take about 1 MB


class Figure(NamedTuple):
    """Picture as a data URL, with its caption."""

    url: str
    caption: str


def write_page(
    path: str | PathLike[str],
    report: Mapping[str, Any],
    held_out: HeldOutFrames,
    warnings: Sequence[str],
    steps: Sequence[str],
    *,
    dataset: str,
    plots: str | PathLike[str],
    extracted: str | PathLike[str],
    count: int,
) -> None:
    """Write an HTML page with the results, examples, worst frames and curves.

    Args:
        path: HTML file to write.
        report: as `evaluate.evaluate` returns it, with the baseline `start`, and `training`: what
            metrics/train/metrics.json says of the trained network.
        held_out: as `evaluate.evaluate` returns it.
        warnings: as `cautions.cautions` returns them.
        steps: as `wording.next_steps` returns them.
        dataset: `dataset` of params.yaml.
        plots: folder with counts.png and losses.png.
        extracted: folder of the original frames.
        count: number of examples and of worst frames; at most 12 of each are shown.
    """
    count = min(count, _MOST)

    def figure(i: int, explained: bool) -> Figure:
        text = sentence(held_out, i) + (f" {reason(held_out, i)}" if explained else "")
        return Figure(_jpeg(draw_frame(held_out, i, Path(extracted))), text)

    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
        _TEMPLATE.read_text(encoding="utf-8")
    )
    text = template.render(
        report=report,
        recordings=held_out.recordings.to_dict("records"),
        exact=share_right(report, "exact"),
        within_1=share_right(report, "within_1"),
        intervals=intervals(report),
        warnings=warnings,
        steps=steps,
        dataset=dataset,
        counts=_png(Path(plots) / "counts.png"),
        losses=_png(Path(plots) / "losses.png"),
        examples=[figure(i, False) for i in spread_frames(held_out.frames, count)],
        worst=[figure(i, True) for i in worst_frames(held_out.frames, count)],
    )
    Path(path).write_text(text + "\n", encoding="utf-8", newline="\n")


def _jpeg(picture: UInt8[np.ndarray, "h w 3"]) -> str:
    """Return a picture as the data URL of a small JPEG."""
    height = round(picture.shape[0] * _WIDTH / picture.shape[1])
    small = cv2.resize(picture, (_WIDTH, height), interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def _png(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
