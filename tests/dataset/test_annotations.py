"""Read and write annotations.csv, and name each mistake in it."""

import numpy as np
import pytest

from cardpose.common.errors import InputError
from cardpose.dataset.annotations import read_annotations, write_annotations
from cardpose.geometry.keypoints import KEYPOINTS

HEADER = "frame," + ",".join(f"{k}_visible,{k}_x,{k}_y" for k in KEYPOINTS)
HIDDEN = "0,,"


def row(frame, *keypoints):
    """A line of the file: the first keypoints as given, the others not visible."""
    return ",".join([frame, *keypoints, *[HIDDEN] * (8 - len(keypoints))])


GOOD = row("A_frame_0", "1,0.5,0.25")


@pytest.fixture
def read(tmp_path):
    """Write text or bytes to annotations.csv and read it."""

    def read(content):
        path = tmp_path / "annotations.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_annotations(path)

    return read


def test_coordinates_are_assigned_to_their_keypoints(read):
    last = ",".join(["B_frame_20", *[HIDDEN] * 6, "1,0,1", "1,0.125,0.75"])
    frames, points, visible, _ = read("\n".join([HEADER, GOOD, last, ""]))
    assert frames == ["A_frame_0", "B_frame_20"]
    assert points.shape == (2, 8, 2)
    assert visible.dtype == bool
    assert visible.tolist() == [[True] + [False] * 7, [False] * 6 + [True] * 2]
    assert points[0, KEYPOINTS.index("upper_left_face")].tolist() == [0.5, 0.25]
    assert points[1, KEYPOINTS.index("lower_left_back")].tolist() == [0, 1]
    assert points[1, KEYPOINTS.index("lower_right_back")].tolist() == [0.125, 0.75]
    assert np.isnan(points[~visible]).all()


def test_a_keypoint_without_values_is_unlabelled(read):
    _, points, visible, mask = read(f"{HEADER}\n{row('A_frame_0', '1,0.5,0.25', ',,')}\n")
    assert mask.tolist() == [[True, False] + [True] * 6]
    assert visible.tolist() == [[True] + [False] * 7]
    assert np.isnan(points[0, 1]).all()


def test_a_row_that_is_not_annotated_is_unlabelled(read):
    zeros = ",".join(["0,0,0"] * 8)
    rows = [f"A_frame_0,1,{zeros}", f"A_frame_1,0,{zeros}", "A_frame_2,0" + "," * 24]
    header = HEADER.replace("frame,", "frame,annotated,")
    frames, _, visible, mask = read("\n".join([header, *rows]))
    assert frames == ["A_frame_0", "A_frame_1", "A_frame_2"]
    assert mask.all(axis=1).tolist() == [True, False, False]
    assert not mask[1:].any()
    assert not visible.any()


def test_coordinates_without_visibility_are_an_error(read):
    with pytest.raises(InputError, match=r"line 2: upper_left_face_visible: should be 0 or 1, as"):
        read(f"{HEADER}\n{row('A_frame_0', ',0.5,0.25')}\n")
    text = f"{HEADER}\n{GOOD}".replace("frame,", "frame,annotated,", 1)
    with pytest.raises(InputError, match=r"line 2: annotated: should be between 0 and 1 \(got 2"):
        read(text.replace("A_frame_0,", "A_frame_0,2,"))


def test_a_file_longer_than_one_piece_is_read_whole(read):
    rows = [row(f"A_frame_{i}", f"1,{i / 5000},0.5") for i in range(5000)]
    frames, points, visible, _ = read("\n".join([HEADER, *rows]))
    assert frames == [f"A_frame_{i}" for i in range(5000)]
    np.testing.assert_array_equal(points[:, 0, 0], np.arange(5000) / 5000)
    assert visible.sum() == 5000


def test_faults_far_apart_in_a_long_file_are_named(read):
    rows = [row(f"A_frame_{i}") for i in range(5000)]
    with pytest.raises(InputError, match=r"line 4002: frame: 'A_frame_7' is there twice$"):
        read("\n".join([HEADER, *rows[:4000], rows[7], *rows[4000:]]))
    with pytest.raises(InputError, match=r"line 4002: upper_left_face_visible: should be between"):
        read("\n".join([HEADER, *rows[:4000], row("B_frame_0", "2,0,0"), *rows[4000:]]))


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + f"{HEADER}\n{GOOD}\n",
        f"{HEADER}\r\n{GOOD}\r\n",
        f"{HEADER}\n{GOOD}\n".replace(",", ", "),
        f"{HEADER}\n{GOOD}\n".replace(",", " ,"),
        f"{HEADER}\n{GOOD}",
        f"{HEADER}\n\n{GOOD}\n\n\n",
        f"{HEADER}\n{GOOD}\n{',' * 24}\n",
        f"{HEADER}\n{GOOD}\n".replace("A_frame_0", '"A_frame_0"'),
        f"{HEADER}\n{GOOD}\n".replace("1,0.5,0.25", '"1", "0.5", "0.25"'),
        f"{HEADER},remark\n{GOOD},blurred\n",
        f"remark,{HEADER}\n,{GOOD}\n",
    ],
    ids=[
        "byte order mark",
        "Windows line ends",
        "spaces after commas",
        "spaces before commas",
        "no end of line at the end",
        "blank lines",
        "a row of commas",
        "quotes",
        "quotes after spaces",
        "a spare column",
        "a spare first column",
    ],
)
def test_the_habits_of_spreadsheets_and_editors_are_harmless(read, content):
    frames, points, visible, _ = read(content)
    assert frames == ["A_frame_0"]
    assert points[0, 0].tolist() == [0.5, 0.25]
    assert visible[0].tolist() == [True] + [False] * 7


@pytest.mark.parametrize("hidden", ["0,,", "0,0.3,0.4", "0,0,0", "0,-7,1e9", "0,nan,inf"])
def test_coordinates_of_a_keypoint_that_is_not_visible_are_ignored(read, hidden):
    _, points, visible, _ = read(f"{HEADER}\n{row('A_frame_0', hidden, '1,0,0')}\n")
    assert visible[0].tolist() == [False, True] + [False] * 6
    assert np.isnan(points[0, 0]).all()
    assert points[0, 1].tolist() == [0, 0]


def test_written_annotations_are_read_back(tmp_path):
    random = np.random.default_rng(0)
    frames = [f"My film, no. {i}_frame_{i}" for i in range(20)]
    points, visible = random.random((20, 8, 2)), random.random((20, 8)) < 0.7
    mask = visible | (random.random((20, 8)) < 0.5)
    write_annotations(tmp_path / "annotations.csv", frames, points, visible, mask)
    read_frames, read_points, read_visible, read_mask = read_annotations(
        tmp_path / "annotations.csv"
    )
    assert read_frames == frames
    assert (read_mask == mask).all()
    assert (read_visible == visible).all()
    # Six digits: half a thousandth of a pixel at most, of a picture 1000 pixels wide.
    assert abs(read_points - points)[visible].max() <= 0.5e-6 + 1e-12
    assert np.isnan(read_points[~visible]).all()


def test_the_written_file_leaves_out_coordinates_of_hidden_keypoints(tmp_path):
    points, visible = np.full((1, 8, 2), 0.5), np.zeros((1, 8), bool)
    points[0, 1], visible[0, 1] = (1 / 3, 1), True
    write_annotations(tmp_path / "annotations.csv", ["A_frame_0"], points, visible)
    wanted = f"{HEADER}\n{row('A_frame_0', HIDDEN, '1,0.333333,1.000000')}\n"
    assert (tmp_path / "annotations.csv").read_bytes() == wanted.encode()


def second(*cells, frame="B_frame_1"):
    """A file whose second row, line 3, has a faulty keypoint."""
    return f"{HEADER}\n{GOOD}\n{row(frame, *cells)}\n"


BAD = [
    # what, the file, words of the message
    ("empty file", "", ["no column frame"]),
    ("blank lines", "\n\n", ["no column frame"]),
    ("header only", HEADER + "\n", ["no rows"]),
    ("rows of commas only", f"{HEADER}\n{',' * 24}\n", ["no rows"]),
    ("semicolons", f"{HEADER}\n{GOOD}\n".replace(",", ";"), ["line 1", "commas"]),
    ("tabs", f"{HEADER}\n{GOOD}\n".replace(",", "\t"), ["line 1", "commas"]),
    ("no header", GOOD + "\n", ["line 1", "no column frame"]),
    (
        "missing column",
        f"{HEADER}\n{GOOD}\n".replace("lower_left_back_x", "lower_left_bach_x"),
        ["line 1", "lower_left_back_x"],
    ),
    ("doubled column", f"{HEADER},frame\n{GOOD},A_frame_0\n", ["line 1", "frame", "twice"]),
    ("doubled frame", f"{HEADER}\n{GOOD}\n{GOOD}\n", ["line ", "frame", "'A_frame_0'", "twice"]),
    ("x above 1", second("1,1.01,0.5"), ["line 3", "upper_left_face_x", "0 and 1", "1.01"]),
    ("y below 0", second(HIDDEN, "1,0.5,-0.01"), ["line 3", "upper_right_face_y", "-0.01"]),
    ("pixels", second("1,320,240"), ["line 3", "upper_left_face_x", "0 and 1", "320"]),
    ("x infinite", second("1,inf,0.5"), ["line 3", "upper_left_face_x", "inf"]),
    ("y not a number", second("1,0.5,nan"), ["line 3", "upper_left_face_y", "0 and 1"]),
    ("visible 2", second("2,0.5,0.5"), ["line 3", "upper_left_face_visible", "0 and 1", "2"]),
    ("visible in words", second("yes,0.5,0.5"), ["line 3", "upper_left_face_visible", "'yes'"]),
    ("visible and a half", second("0.5,0.5,0.5"), ["line 3", "upper_left_face_visible", "'0.5'"]),
    ("visible empty", second(",0.5,0.5"), ["line 3", "upper_left_face_visible", "empty"]),
    ("text in x", second("1,left,0.5"), ["line 3", "upper_left_face_x", "a number", "'left'"]),
    ("text in a hidden y", second("0,,low"), ["line 3", "upper_left_face_y", "'low'"]),
    ("visible without x", second("1,,0.5"), ["line 3", "upper_left_face_x", "visible", "empty"]),
    ("visible without y", second("1,0.5,"), ["line 3", "upper_left_face_y", "visible", "empty"]),
    ("no frame", second(frame=""), ["line 3", "frame", "empty"]),
    ("frame without a number", second(frame="B_frame_"), ["line 3", "frame", "'B_frame_'"]),
    ("frame without _frame_", second(frame="B_20"), ["line 3", "frame", "MyVideo_frame_20"]),
    ("frame without a recording", second(frame="_frame_20"), ["line 3", "'_frame_20'"]),
    ("frame with a suffix", second(frame="B_frame_2.jpg"), ["line 3", "'B_frame_2.jpg'"]),
    ("frame below zero", second(frame="B_frame_-2"), ["line 3", "'B_frame_-2'"]),
    ("a row too short", f"{HEADER}\n{GOOD}\nB_frame_1,1\n", ["line 3", "it is empty"]),
    ("decimal commas", second("1,0,5,0,25"), ["line 3"]),
    ("decimal commas at once", f"{HEADER}\n{row('A_frame_0', '1,0,5,0,25')}\n", ["line 2"]),
    ("a quote left open", f'{HEADER}\n"{GOOD}\n', ["no valid CSV"]),
    ("blank lines count", f"{HEADER}\n\n\n{row('B_frame_1', '2,0,0')}\n", ["line 4"]),
    ("a picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff", ["UTF-8"]),
    ("another encoding", f"{HEADER}\n{row('Spiel ä_frame_0')}\n".encode("latin-1"), ["UTF-8"]),
    ("two bytes a letter", f"{HEADER}\n{GOOD}\n".encode("utf-16"), ["UTF-8"]),
]


@pytest.mark.parametrize(("content", "words"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
@pytest.mark.filterwarnings("error")
def test_a_bad_file_is_named_with_its_line_and_column(read, complains, content, words):
    with complains("annotations.csv: ", *words):
        read(content)


def test_a_missing_file_and_a_folder_are_errors(tmp_path, complains):
    with complains("nowhere.csv: cannot be read (No such file"):
        read_annotations(tmp_path / "nowhere.csv")
    with complains(f"{tmp_path}: cannot be read"):
        read_annotations(tmp_path)
