"""Convert the CardCut data set of real recordings.

The data set is the folder data/ of github.com/ignaciohrdz/cardcut_cnn.

Its `cardpoints.csv` has one row per frame: `imageName` (a file in `images/`), `annotated`,
`cards_counted`, `total_cards`, and `_visible`, `_x` and `_y` for each keypoint. Its axes are
swapped: x is the row as a fraction of the picture's height, y the column as a fraction of its
width. A coordinate is the pixel's index divided by the picture's size.
"""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa
from jaxtyping import Bool, Float64, Int
from tqdm import tqdm

from cardpose.common.errors import InputError, join_names, quantity, short_repr
from cardpose.common.tables import between, name_column, number_column, read_table
from cardpose.dataset.annotations import write_annotations
from cardpose.dataset.names import check_recording_name, split_frame_name
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.pictures.reading import read_photograph


def convert_cardcut(
    original: str | Path, videos: str | Path, annotations: str | Path, table: str | Path
) -> None:
    """Convert the downloaded data set into folders of frames, annotations.csv and videos.csv.

    Args:
        original: the downloaded folder, with `cardpoints.csv` and `images/`.
        videos: folder to create, with one folder of frames per recording.
        annotations, table: paths of annotations.csv and videos.csv.

    Raises:
        InputError: something is missing or wrong; the message names it.
    """
    original, videos = Path(original), Path(videos)
    path = original / "cardpoints.csv"
    for needed in (path, original / "images"):
        if not needed.exists():
            raise InputError(f"{needed} is missing: see data/cardcut/README.md for the download")
    rows = read_table(path, _schema())
    annotated = (rows["annotated"] == 1).to_numpy()
    _check_labels(path, rows, annotated)
    recordings = _recordings(path, rows)
    counts = _counts(path, original / "images", rows.assign(recording=recordings))
    sizes = _copy_frames(original / "images", videos, rows["imageName"].tolist(), recordings)
    points, visible = _labels(rows, np.array([sizes[name] for name in recordings]))
    # A row that is not annotated still has a valid count.
    mask = np.repeat(annotated[:, None], len(KEYPOINTS), axis=1)
    stems = [Path(name).stem for name in rows["imageName"]]
    write_annotations(annotations, stems, points, visible & mask, mask)
    counts.to_csv(table, index=False, lineterminator="\n")


def _schema() -> pa.DataFrameSchema:
    columns = {
        "imageName": name_column(),
        "annotated": number_column("int64", between(0, 1)),
        "cards_counted": number_column("int64", between(1, 1000)),
        "total_cards": number_column("int64", between(1, 1000)),
    }
    for name in KEYPOINTS:
        columns[f"{name}_visible"] = number_column("int64", between(0, 1))
        columns[f"{name}_x"] = number_column("float64", between(0, 1), nullable=True)
        columns[f"{name}_y"] = number_column("float64", between(0, 1), nullable=True)
    return pa.DataFrameSchema(columns)


def _check_labels(path: Path, rows: pd.DataFrame, annotated: Bool[np.ndarray, " n"]) -> None:
    """Refuse a table without labels, or with visible keypoints that lack coordinates."""
    if not annotated.any():
        raise InputError(f"{path}: annotated: no row has 1 here")
    for keypoint in KEYPOINTS:
        for axis in "xy":
            name = f"{keypoint}_{axis}"
            empty = rows[name].isna() & (rows[f"{keypoint}_visible"] == 1) & annotated
            if empty.any():
                raise InputError(
                    f"{path}: line {empty.idxmax()}: {name}: should be between 0 and 1, as the"
                    " keypoint is visible (it is empty)"
                )


def _recordings(path: Path, rows: pd.DataFrame) -> list[str]:
    """Derive the recording of each row from the name of its picture."""
    recordings, seen = [], set()
    for line, name in rows["imageName"].items():
        where = f"{path}: line {line}: imageName"
        if Path(name).name != name:
            raise InputError(f"{where}: should be a bare file name (got {short_repr(name)})")
        stem = Path(name).stem
        recordings.append(split_frame_name(stem, where)[0])
        check_recording_name(recordings[-1], where)
        if stem in seen:
            raise InputError(f"{where}: another picture is called {stem} too")
        seen.add(stem)
    return recordings


def _counts(path: Path, images: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of videos.csv; refuse contradictory counts and missing pictures."""
    above = rows["cards_counted"] > rows["total_cards"]
    if above.any():
        raise InputError(
            f"{path}: line {above.idxmax()}: cards_counted: should be at most total_cards"
        )
    absent = [name for name in rows["imageName"] if not (images / name).is_file()]
    if absent:
        raise InputError(
            f"{images}: {quantity(len(absent), 'picture')} missing: {join_names(absent)}"
        )
    counts = rows.groupby("recording", sort=True)[["cards_counted", "total_cards"]]
    different = counts.nunique().max(axis=1) > 1
    if different.any():
        raise InputError(f"{path}: {different.idxmax()}: has rows with different counts")
    return counts.first().reset_index().rename(columns={"recording": "video"})


def _copy_frames(
    images: Path, videos: Path, files: list[str], recordings: list[str]
) -> dict[str, tuple[int, int]]:
    """Copy each picture into its recording's folder; return (width, height) of each recording."""
    sizes = {}
    bar = tqdm(files, "convert", unit="frame")
    for file, recording in zip(bar, recordings, strict=True):
        if recording not in sizes:
            width, height = read_photograph(images / file).size
            sizes[recording] = width, height
            (videos / recording).mkdir(parents=True)
        shutil.copyfile(images / file, videos / recording / file)
    return sizes


def _labels(
    rows: pd.DataFrame, sizes: Int[np.ndarray, "n 2"]
) -> tuple[Float64[np.ndarray, "n 8 2"], Bool[np.ndarray, "n 8"]]:
    """Return points, as fractions of width and height, and visibility.

    A label on pixel i lies at the pixel's centre, i + 0.5.
    """
    columns = [f"{name}_{axis}" for name in KEYPOINTS for axis in "yx"]
    points = rows[columns].to_numpy(float).reshape(-1, 8, 2)
    points = np.minimum(points + 0.5 / sizes[:, None], 1.0)
    visible = rows[[f"{name}_visible" for name in KEYPOINTS]].to_numpy().astype(bool)
    return points, visible
