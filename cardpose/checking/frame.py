"""A labelled frame with everything that the rules for frames need."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from cardpose.checking.findings import Finding
from cardpose.checking.label_fit import LabelFit, LabelFitter
from cardpose.checking.labelled_recording import LabelledRecording
from cardpose.checking.recording_fit import OUTLIER, RecordingFit, neighbours, own_scatter
from cardpose.geometry.shared_box import SharedBox
from cardpose.pictures.letterbox import UNIT, unit_to_fractions


@dataclass(frozen=True)
class Frame:
    """A labelled frame, and the box of its recording fitted to it.

    `points` are fractions of the picture, `unit_points` the same in unit pixels (0 where not
    visible). `fit` has one row. `near` holds the fits of the nearest inliers before and after. Both
    are None if no box fits the recording. `scatter` is the usual error of a label in unit pixels.
    """

    recording: str
    index: int
    size: Int[np.ndarray, "2"]
    points: Float[np.ndarray, "8 2"]
    unit_points: Float[np.ndarray, "8 2"]
    visible: Bool[np.ndarray, "8"]
    mask: Bool[np.ndarray, "8"]
    mirror_contrast: float
    fitter: LabelFitter
    box: SharedBox | None
    fit: LabelFit | None
    near: LabelFit | None
    scatter: float

    @property
    def is_outlier(self) -> bool:
        """Whether a label is more than OUTLIER times `scatter` away from the box."""
        return self.fit is not None and bool(self.fit.worst[0] > OUTLIER * self.scatter)

    def in_pixels(self, unit_pixels: float) -> float:
        """Convert a length from unit pixels to pixels of the picture."""
        return unit_pixels * (max(self.size) / UNIT[0])

    def finding(self, what: str, box: Float[np.ndarray, "8 2"] | None = None, **values) -> Finding:
        """Return a finding about this frame.

        Args:
            box: corners of the box in unit pixels; by default those of `fit`.
            values: other fields of the finding.
        """
        if box is None and self.fit is not None:
            box = self.fit.points[0]
        places = None if box is None else unit_to_fractions(box, self.size)
        return Finding(self.recording, self.index, what, box=places, **values)


def frame_of(
    fitter: LabelFitter,
    recording: LabelledRecording,
    fitted: RecordingFit,
    scatter: float,
    row: int,
) -> Frame:
    """Return the `Frame` of one row of a recording's labels.

    Args:
        scatter: usual error of a label in the data set, in unit pixels.
    """
    labels, fit, scatter = recording.labels, fitted.fit, own_scatter(fitted, scatter)
    own, near = None, None
    if fit is not None:
        own = fit[row : row + 1]
        near = fit[neighbours(fit, row, fit.worst <= OUTLIER * scatter)]
    return Frame(
        recording.name,
        int(labels.indices[row]),
        recording.sizes[row],
        labels.points[row],
        fitted.points[row],
        labels.visible[row],
        labels.mask[row],
        float(recording.mirror_contrasts[row]),
        fitter,
        fitted.box,
        own,
        near,
        scatter,
    )
