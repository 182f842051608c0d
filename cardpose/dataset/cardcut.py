"""The public set of real recordings (github.com/ignaciohrdz/cardcut_cnn, its folder data/).

Its `cardpoints.csv` has a row a frame: `imageName` in `images/`, `annotated`, `cards_counted`,
`total_cards`, and for each keypoint `_visible`, `_x` and `_y`, where x is a row, as a fraction of
the height, and y a column, as a fraction of the width: the other way round from ours. Clicks were
stored as pixel index / image size.
"""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa
from tqdm import tqdm

from cardpose.common.errors import InputError, join_names
from cardpose.common.tables import between, name_column, number_column, read_table
from cardpose.dataset.annotations import write_annotations
from cardpose.dataset.names import check_recording_name, split_frame_name
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.pictures.reading import read_picture


def convert_cardcut(original, videos, annotations, table):
    """Convert the downloaded set into folders of frames, annotations.csv and videos.csv.

    Args:
        original: the downloaded folder, with `cardpoints.csv` and `images/`.
        videos: folder to be made, with one folder of frames a recording.
        annotations, table: files to be written.

    Raises:
        InputError: something is missing or wrong; the message names it.
    """
    original = Path(original)
    path = original / "cardpoints.csv"
    for wanted in (path, original / "images"):
        if not wanted.exists():
            raise InputError(f"{wanted} is missing: see data/cardcut/README.md for the download")
    rows = read_table(path, _schema())
    annotated = (rows["annotated"] == 1).to_numpy()
    if not annotated.any():
        raise InputError(f"{path}: annotated: no row has 1 here")
    for name in (f"{keypoint}_{axis}" for keypoint in KEYPOINTS for axis in "xy"):
        nowhere = rows[name].isna() & (rows[f"{name[:-2]}_visible"] == 1) & annotated
        if nowhere.any():
            raise InputError(
                f"{path}: line {nowhere.idxmax()}: {name}: should be between 0 and 1, as the"
                " keypoint is visible (it is empty)"
            )
    stems = [Path(name).stem for name in rows["imageName"]]
    lines = rows.index
    recordings, taken = [], set()
    for name, stem, line in zip(rows["imageName"], stems, lines, strict=True):
        where = f"{path}: line {line}: imageName"
        if Path(name).name != name:
            raise InputError(f"{where}: should be a bare file name (got {name!r})")
        recordings.append(split_frame_name(stem, where)[0])
        check_recording_name(recordings[-1], where)
        if stem in taken:
            raise InputError(f"{where}: another picture is called {stem} too")
        taken.add(stem)
    above = rows["cards_counted"] > rows["total_cards"]
    if above.any():
        raise InputError(
            f"{path}: line {above.idxmax()}: cards_counted: should be at most total_cards"
        )
    absent = [name for name in rows["imageName"] if not (original / "images" / name).is_file()]
    if absent:
        raise InputError(
            f"{original / 'images'}: {len(absent)} pictures missing: {join_names(absent)}"
        )
    counts = rows.assign(recording=recordings).groupby("recording", sort=True)[
        ["cards_counted", "total_cards"]
    ]
    mixed = counts.nunique().max(axis=1)
    if (mixed > 1).any():
        raise InputError(f"{path}: {mixed.idxmax()}: has rows with different counts")
    points, visible, sizes = [], [], {}
    for row, recording in zip(
        tqdm(rows.itertuples(), "convert", len(rows), unit="frame"), recordings, strict=True
    ):
        source = original / "images" / row.imageName
        if recording not in sizes:
            sizes[recording] = read_picture(source).shape[1::-1]
            (Path(videos) / recording).mkdir(parents=True)
        shutil.copyfile(source, Path(videos) / recording / row.imageName)
        width, height = sizes[recording]
        # A click on pixel i is at the pixel's centre, i + 0.5.
        points.append(
            [
                (getattr(row, f"{k}_y") + 0.5 / width, getattr(row, f"{k}_x") + 0.5 / height)
                for k in KEYPOINTS
            ]
        )
        visible.append([bool(getattr(row, f"{k}_visible")) for k in KEYPOINTS])
    points = np.minimum(np.array(points), 1.0)
    # The count of a row that is not annotated is known all the same.
    known = np.repeat(annotated[:, None], len(KEYPOINTS), axis=1)
    write_annotations(annotations, stems, points, np.array(visible) & known, known)
    summary = counts.first().reset_index().rename(columns={"recording": "video"})
    pd.DataFrame(summary).to_csv(table, index=False, lineterminator="\n")


def _schema():
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
