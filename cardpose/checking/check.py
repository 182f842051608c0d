"""Check a data set for faults before training on it.

Labels are compared with the fitted box of their recording, with the naming rule, and with the
picture. Counts are compared with the thickness of that box. Recordings are compared with each
other, to find near duplicates. Nothing is written.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from cardpose.checking.counts import MeasuredPacket, count_findings, deck_findings
from cardpose.checking.findings import WRONG, Finding
from cardpose.checking.label_fit import LabelFitter
from cardpose.checking.labelled_recording import FrameLabels, read_labels, read_pictures
from cardpose.checking.recording_fit import fit_recording, usual_scatter
from cardpose.checking.rules import judge_frames, judge_recording
from cardpose.common.errors import InputError
from cardpose.dataset.recordings import Recording, read_recordings
from cardpose.pictures.duplicates import near_duplicates


def check(
    dataset: str | Path,
    step: int,
    focal: float,
    card: Sequence[float],
    complain: Callable[[InputError], object],
    progress: Callable[[list[Recording]], Iterable[Recording]] = iter,
) -> list[Finding]:
    """Return the faults of a data set, the most certain first.

    Args:
        dataset: folder of the data set.
        step: check every `step`-th frame of videos, as the pipeline does, and all labelled frames.
        focal, card: as in section `geometry` of params.yaml.
        complain: called with the InputError of each recording that cannot be read.
        progress: called with the list of recordings; yields them one by one.

    Raises:
        InputError: `videos.csv` or `annotations.csv` cannot be read.
    """
    dataset = Path(dataset)
    recordings = read_recordings(dataset)
    labels, strangers = read_labels(dataset / "annotations.csv", recordings)
    found = _label_findings(labels, strangers)
    fitter = LabelFitter(focal, card, max(recording.total_cards for recording in recordings))
    fitted = []
    for recording in progress(recordings):
        try:
            labelled = read_pictures(recording, labels[recording.name], step)
        except InputError as error:
            complain(error)
            continue
        found += judge_recording(labelled)
        fitted.append((recording, labelled, fit_recording(fitter, labelled)))
    scatter = usual_scatter([fit for *_, fit in fitted])
    for _, labelled, fit in fitted:
        found += judge_frames(fitter, labelled, fit, scatter)
    measured = [
        MeasuredPacket(recording.name, recording.cards, fit.box.thickness, fit.error)
        for recording, _, fit in fitted
        if fit.box is not None
    ]
    found += count_findings(measured, card[2]) + deck_findings(measured, card[2])
    hashes = {labelled.name: labelled.hashes for _, labelled, _ in fitted}
    found += [
        Finding(name, None, f"nearly the same pictures as {other}", certainty=20.0)
        for name, other in near_duplicates(hashes, hashes).items()
    ]
    return sorted(found, key=lambda f: (f.level != WRONG, -f.certainty, f.recording, f.frame or 0))


def _label_findings(
    labels: dict[str, FrameLabels], strangers: dict[str, list[int]]
) -> list[Finding]:
    """Find labels without a recording, and recordings without a label."""
    unlisted = "label of a recording that videos.csv does not list"
    return [
        Finding(name, min(indices), unlisted, certainty=30.0) for name, indices in strangers.items()
    ] + [
        Finding(name, None, "no labels", certainty=30.0)
        for name, each in labels.items()
        if not len(each)
    ]
