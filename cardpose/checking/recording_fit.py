"""Fit one box to the labels of a recording, leaving out frames with outliers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from cardpose.checking.label_fit import LabelFit, LabelFitter, thickness_error
from cardpose.checking.labelled_recording import LabelledRecording
from cardpose.geometry.shared_box import SharedBox
from cardpose.pictures.letterbox import fractions_to_unit

# A corner is an outlier if it is further than this many usual scatters from the box. Of 10,000
# labels with normally distributed errors, fewer than one is an outlier. The limit is wide, because
# a packet is not an exact box.
OUTLIER = 5.0
_LEAST_SCATTER = 1.0  # unit pixels; least scatter of people's labels, assumed of all labels


@dataclass(frozen=True)
class RecordingFit:
    """Box of a recording, and its fit in each frame. Both are None if no box fits.

    `points` are the labels in unit pixels, 0 where not visible. `error` is the standard deviation
    of the box's thickness in mm, NaN if no box fits.
    """

    points: Float[np.ndarray, "n 8 2"]
    box: SharedBox | None = None
    fit: LabelFit | None = None
    error: float = math.nan


def fit_recording(fitter: LabelFitter, recording: LabelledRecording) -> RecordingFit:
    """Fit a box twice: to all labelled frames, then to those without outliers."""
    visible = recording.labels.visible
    points = fractions_to_unit(np.nan_to_num(recording.labels.points), recording.sizes)
    result, inliers = RecordingFit(points), np.ones(len(points), bool)
    if not len(points):
        return result
    alone = fitter.fit_alone(points, visible)
    for _ in range(2):
        box = fitter.fit_box(points, visible, alone, inliers)
        if box is None:
            return result
        fit = fitter.fit_cameras(box, points, visible, alone)
        scatter = max(_LEAST_SCATTER, _median(fit.spread))
        fit = _fit_outliers_again(fitter, box, points, visible, fit, OUTLIER * scatter)
        inliers = fit.worst <= OUTLIER * scatter
        used = fit[inliers] if inliers.any() else fit
        result = replace(result, box=box, fit=fit, error=thickness_error(box, used, scatter))
        if inliers.all() or not inliers.any():
            break
    return result


def usual_scatter(fits: Sequence[RecordingFit]) -> float:
    """Return the median error of a label's coordinate, at least _LEAST_SCATTER unit pixels."""
    spreads = [each.fit.spread for each in fits if each.fit is not None]
    return max(_LEAST_SCATTER, _median(np.concatenate(spreads)) if spreads else 0.0)


def own_scatter(recording: RecordingFit, scatter: float) -> float:
    """Return the median error in one recording, or that of the data set if it is larger."""
    return scatter if recording.fit is None else max(scatter, _median(recording.fit.spread))


def neighbours(fit: LabelFit, row: int, inliers: Bool[np.ndarray, " n"]) -> Int[np.ndarray, " k"]:
    """Return the rows of the last inlier before a row and the first after it."""
    rows = np.flatnonzero(inliers & (fit.freedom > 0))
    return np.concatenate([rows[rows < row][-1:], rows[rows > row][:1]])


def _fit_outliers_again(
    fitter: LabelFitter,
    box: SharedBox,
    points: Float[np.ndarray, "n 8 2"],
    visible: Bool[np.ndarray, "n 8"],
    fit: LabelFit,
    limit: float,
) -> LabelFit:
    """Refit frames with a corner off by more than `limit`, starting from their neighbours.

    The first fit of such a frame may have ended in a local minimum.
    """
    inliers = ~(fit.worst > limit)
    frames = [fit[row : row + 1] for row in range(len(points))]
    for row in np.flatnonzero(~inliers).tolist():
        near = neighbours(fit, row, inliers)
        if len(near):
            one = slice(row, row + 1)
            frames[row] = fitter.fit_cameras_beside(box, points[one], visible[one], fit[near])
    return LabelFit(
        *(
            np.concatenate([getattr(frame, field.name) for frame in frames])
            for field in fields(LabelFit)
        )
    )


def _median(values: Float[np.ndarray, " n"]) -> float:
    """Return the median of the finite values, 0 if there are none."""
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else 0.0
