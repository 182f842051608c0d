"""Convert the public set of real recordings."""

import os

import numpy as np
import pytest
from PIL import Image

from cardpose.common.files import atomic_output
from cardpose.dataset.annotations import read_annotations
from cardpose.dataset.cardcut import convert_cardcut
from cardpose.dataset.recordings import numbered_pictures, read_recordings
from cardpose.geometry.keypoints import KEYPOINTS

HEADER = "imageName,annotated,cards_counted,total_cards,videoId," + ",".join(
    f"{name}_visible,{name}_x,{name}_y" for name in KEYPOINTS
)
HIDDEN = "0,0.0,0.0"


def row(name, *keypoints, annotated=1, cards=7, deck=52):
    cells = [name, annotated, cards, deck, 1, *keypoints, *[HIDDEN] * (8 - len(keypoints))]
    return ",".join(map(str, cells))


@pytest.fixture
def convert(tmp_path):
    """convert(rows) writes an original set with pictures of 64 x 48 and converts it."""

    def convert(rows, header=HEADER, without=()):
        original = tmp_path / "original"
        (original / "images").mkdir(parents=True)
        (original / "cardpoints.csv").write_text("\n".join([header, *rows, ""]))
        for number, line in enumerate(rows):
            name = line.split(",")[0]
            if name not in without and "/" not in name:
                grey = Image.new("L", (64, 48), number)
                grey.save(original / "images" / name, format="PNG")
        convert_to(tmp_path, original)
        return tmp_path

    return convert


def convert_to(folder, original):
    with (
        atomic_output(folder / "videos.csv") as table,
        atomic_output(folder / "annotations.csv") as annotations,
        atomic_output(folder / "videos") as videos,
    ):
        convert_cardcut(original, videos, annotations, table)


def test_coordinates_counts_and_pictures_are_converted(convert):
    # Their x is the row of the click over the height, 48; their y the column over the width, 64.
    folder = convert(
        [
            row("B_frame_20.png", "1,0.25,0.5", HIDDEN, "1,0,0", cards=12, deck=40),
            row("A_frame_0.png", *[HIDDEN] * 7, f"1,{47 / 48},{63 / 64}", cards=3),
            row("A_frame_100.png", cards=3),
        ]
    )
    frames, points, visible, _ = read_annotations(folder / "annotations.csv")
    assert frames == ["B_frame_20", "A_frame_0", "A_frame_100"]
    assert np.argwhere(visible).tolist() == [[0, 0], [0, 2], [1, 7]]
    # A click on pixel i means its middle, i + 0.5.
    pixels = points[visible] * (64, 48)
    assert pixels.tolist() == [
        pytest.approx([32.5, 12.5], abs=1e-4),
        pytest.approx([0.5, 0.5], abs=1e-4),
        pytest.approx([63.5, 47.5], abs=1e-4),
    ]
    recordings = read_recordings(folder)
    assert [(r.name, r.cards, r.total_cards) for r in recordings] == [("A", 3, 52), ("B", 12, 40)]
    assert all(recording.is_folder for recording in recordings)
    for recording, indices in zip(recordings, ([0, 100], [20]), strict=True):
        pictures = numbered_pictures(recording.path)
        assert list(pictures) == indices
        for path in pictures.values():
            assert path.read_bytes() == (folder / "original" / "images" / path.name).read_bytes()


def test_a_click_past_the_last_pixel_stays_in_the_picture(convert):
    folder = convert([row("A_frame_0.png", "1,1.0,1.0")])
    _, points, _, _ = read_annotations(folder / "annotations.csv")
    assert points[0, 0].tolist() == [1, 1]


def test_rows_that_are_not_annotated_are_kept_as_unlabelled(convert):
    seen = "1,0.25,0.5"
    folder = convert([row("A_frame_0.png", seen), row("B_frame_0.png", seen, annotated=0, cards=9)])
    frames, points, visible, mask = read_annotations(folder / "annotations.csv")
    assert frames == ["A_frame_0", "B_frame_0"]
    assert mask.tolist() == [[True] * 8, [False] * 8]
    assert visible.tolist() == [[True] + [False] * 7, [False] * 8]
    assert np.isnan(points[1]).all()
    assert (folder / "videos/B/B_frame_0.png").is_file()
    assert "B,9,52" in (folder / "videos.csv").read_text()


GOOD = row("A_frame_0.png", "1,0.25,0.5")
BAD = [
    # what, rows, words of the message
    ("count of none", [GOOD, row("B_frame_0.png", cards=0)], ["line 3", "cards_counted"]),
    ("count in words", [row("B_frame_0.png", cards="all")], ["line 2", "cards_counted", "'all'"]),
    ("two counts", [GOOD, row("A_frame_20.png", cards=8)], ["A", "different counts"]),
    ("two decks", [GOOD, row("A_frame_20.png", deck=54)], ["A", "different counts"]),
    ("place outside", [row("B_frame_0.png", "1,0.5,1.2")], ["line 2", "upper_left_face_y", "1.2"]),
    ("visible 2", [row("B_frame_0.png", "2,0.5,0.5")], ["line 2", "upper_left_face_visible"]),
    ("visible nowhere", [row("B_frame_0.png", "1,,0.5")], ["line 2", "upper_left_face_x"]),
    ("no recording", [GOOD, row("B20.png")], ["line 3", "imageName", "MyVideo_frame_20"]),
    ("a path", [GOOD, row("../B_frame_0.png")], ["line 3", "imageName", "bare file name"]),
    ("doubled row", [GOOD, GOOD], ["line ", "imageName", "'A_frame_0.png'", "twice"]),
    ("nothing annotated", [row("A_frame_0.png", annotated=0)], ["annotated"]),
    ("no rows", [], ["no rows"]),
]


@pytest.mark.parametrize(("rows", "words"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_a_bad_row_is_named_and_nothing_is_written(convert, tmp_path, complains, rows, words):
    with complains("cardpoints.csv: ", *words):
        convert(rows)
    assert [path.name for path in tmp_path.iterdir()] == ["original"]


def test_a_missing_column_is_named(convert, complains):
    with complains("cardpoints.csv: line 1: ", "lower_left_back_y"):
        convert([GOOD], header=HEADER.replace("lower_left_back_y", "lower_left_back_z"))


def test_missing_pictures_are_named(convert, tmp_path, complains):
    names = [f"B_frame_{i}.png" for i in range(5)]
    with complains("images: 5 pictures missing: B_frame_0.png, B_frame_1.png, B_frame_2.png and"):
        convert([GOOD, *map(row, names)], without=names)
    assert [path.name for path in tmp_path.iterdir()] == ["original"]


@pytest.mark.parametrize("missing", ["the folder", "cardpoints.csv", "images"])
def test_a_missing_download_is_named_with_its_source(tmp_path, complains, missing):
    original = tmp_path / "original"
    if missing != "the folder":
        (original / "images").mkdir(parents=True)
        (original / "cardpoints.csv").write_text(f"{HEADER}\n{GOOD}\n")
    if missing == "cardpoints.csv":
        (original / "cardpoints.csv").unlink()
    if missing == "images":
        (original / "images").rmdir()
    with complains(str(original), "missing", "data/cardcut/README.md"):
        convert_to(tmp_path, original)


# The real set


@pytest.fixture(scope="module")
def real(request, tmp_path_factory):
    """The folder of the converted real set, and its annotations."""
    default = request.config.rootpath / "data" / "cardcut" / "original"
    original = request.config.rootpath / os.environ.get("CARDPOSE_CARDCUT", default)
    if not (original / "cardpoints.csv").is_file():
        pytest.skip(f"the real set is not in {original}: see data/cardcut/README.md")
    folder = tmp_path_factory.mktemp("cardcut")
    convert_to(folder, original)
    return original, folder, read_annotations(folder / "annotations.csv")


def test_every_row_of_the_real_set_converts(real):
    original, folder, (frames, *_) = real
    lines = (original / "cardpoints.csv").read_text().splitlines()
    assert len(frames) == len(lines) - 1
    recordings = read_recordings(folder)
    assert len(recordings) >= 33
    assert sum(len(numbered_pictures(recording.path)) for recording in recordings) == len(frames)


def test_the_real_set_shows_the_back_in_most_frames(real):
    _, _, (_, _, visible, _) = real
    back = [index for index, name in enumerate(KEYPOINTS) if name.endswith("_back")]
    assert len(back) == 4
    assert visible[:, back].all(axis=1).mean() > 0.5


@pytest.mark.parametrize("end", ["upper", "lower"])
def test_left_keypoints_lie_left_of_right_ones_in_the_real_set(real, end):
    _, _, (_, points, visible, _) = real
    left, right = (KEYPOINTS.index(f"{end}_{side}_back") for side in ("left", "right"))
    both = visible[:, left] & visible[:, right]
    assert both.sum() > 100
    assert (points[both, left, 0] < points[both, right, 0]).mean() >= 0.99


def test_upper_keypoints_lie_above_lower_ones_in_the_real_set(real):
    _, _, (_, points, visible, _) = real
    names = ("upper_left_back", "upper_right_back", "lower_left_back", "lower_right_back")
    corners = [KEYPOINTS.index(name) for name in names]
    seen = visible[:, corners].all(axis=1)
    assert seen.sum() > 100
    heights = points[seen][:, corners, 1]
    assert (heights[:, :2].mean(axis=1) < heights[:, 2:].mean(axis=1)).mean() >= 0.99
