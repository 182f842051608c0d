"""Read videos.csv, folders of frames, and videos."""

import os
import struct

import numpy as np
import pytest
from PIL import Image
from support import fast_start

from cardpose.dataset.names import frame_name, split_frame_name
from cardpose.dataset.recordings import Recording, numbered_pictures, read_recordings
from cardpose.pictures.reading import read_picture
from cardpose.pictures.videos import sampled_frames

HEADER = "video,cards_counted,total_cards\n"


@pytest.fixture
def dataset(tmp_path):
    """A data set whose recordings exist but hold nothing."""
    for name in ("one.mp4", "two.mov", "two.avi", "day 1/three.mp4"):
        file = tmp_path / "videos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"film")
    (tmp_path / "videos" / "shots.v2").mkdir()
    return tmp_path


def read(dataset, text):
    (dataset / "videos.csv").write_text(text)
    return read_recordings(dataset)


def test_videos_and_folders_are_read_in_the_order_of_the_table(dataset):
    table = HEADER + "two.mov,1,1\nday 1/three.mp4,52,54\nshots.v2,7,52\n"
    videos = dataset / "videos"
    recordings = read(dataset, table)
    assert recordings == [
        Recording("two", videos / "two.mov", 1, 1),
        Recording("three", videos / "day 1" / "three.mp4", 52, 54),
        Recording("shots.v2", videos / "shots.v2", 7, 52),
    ]
    assert [recording.is_folder for recording in recordings] == [False, False, True]


BAD = [
    # what, the file, words of the message
    ("count above the deck", "one.mp4,53,52", ["line 2", "cards_counted", "at most", "52", "53"]),
    ("count of none", "one.mp4,0,52", ["line 2", "cards_counted", "1 and 1000", "0"]),
    ("count below none", "one.mp4,-3,52", ["line 2", "cards_counted", "-3"]),
    ("deck of none", "one.mp4,1,0", ["line 2", "total_cards", "1 and 1000"]),
    ("fractional count", "one.mp4,1.5,52", ["line 2", "cards_counted", "whole number", "'1.5'"]),
    ("count in words", "one.mp4,many,52", ["line 2", "cards_counted", "whole number", "'many'"]),
    ("count too large", f"one.mp4,{10**20},52", ["line 2", "cards_counted", str(10**20)]),
    ("no count", "one.mp4,,52", ["line 2", "cards_counted", "empty"]),
    ("a row too short", "one.mp4,3", ["line 2", "total_cards", "empty"]),
    ("a row too long", "one.mp4,1,5,52", ["line 2"]),
    ("the second row too long", "one.mp4,1,52\ntwo.avi,1,5,52", ["line 3"]),
    ("no name", ",3,52", ["line 2", "video", "empty"]),
    ("missing file", "one.mp4,1,52\nfour.mp4,3,52", ["line 3", "four.mp4"]),
    ("parent folder", "../videos/one.mp4,3,52", ["line 2", "below videos/", "'../videos/one.mp4'"]),
    ("hidden parent", "day 1/../one.mp4,3,52", ["line 2", "below videos/"]),
    ("absolute path", "/etc/hostname,3,52", ["line 2", "below videos/", "'/etc/hostname'"]),
    ("the folder itself", ".,3,52", ["line 2", "video"]),
    ("the same name", "two.mov,1,52\ntwo.avi,2,52", ["line 3", "two.avi", "two.mov"]),
    ("the same row", "one.mp4,1,52\none.mp4,1,52", ["line ", "'one.mp4'", "twice"]),
    ("no rows", "", ["no rows"]),
]


@pytest.mark.parametrize(("rows", "words"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
@pytest.mark.filterwarnings("error")
def test_a_bad_row_is_named(dataset, complains, rows, words):
    with complains(f"{dataset / 'videos.csv'}: ", *words):
        read(dataset, HEADER + rows + "\n")


def test_a_missing_table_is_an_error(tmp_path, complains):
    with complains(f"{tmp_path / 'videos.csv'}: cannot be read (No such file"):
        read_recordings(tmp_path)


def test_a_frame_name_is_composed_and_split():
    assert frame_name("My_frame_film", 20) == "My_frame_film_frame_20"
    assert split_frame_name("My_frame_film_frame_20") == ("My_frame_film", 20)


# Folders of frames


@pytest.fixture
def folder(tmp_path):
    def fill(*names):
        for name in names:
            (tmp_path / name).write_bytes(b"picture")
        return tmp_path

    return fill


def test_pictures_are_ordered_by_number_not_by_name(folder):
    path = folder("b_2.png", "a_10.jpg", "shot-001.JPG", "20.webp")
    found = numbered_pictures(path)
    assert list(found) == [1, 2, 10, 20]
    names = ["shot-001.JPG", "b_2.png", "a_10.jpg", "20.webp"]
    assert list(found.values()) == [path / name for name in names]


def test_every_number_that_a_picture_may_have_makes_the_name_of_a_frame(folder):
    numbers = [0, 7, 10**15 - 1]
    found = numbered_pictures(folder("a_000.png", f"b_{'0' * 30}7.png", f"c_{'9' * 15}.png"))
    assert list(found) == numbers
    assert [split_frame_name(frame_name("a", index)) for index in found] == [
        ("a", index) for index in numbers
    ]


def test_files_that_are_not_pictures_are_ignored(folder):
    assert list(numbered_pictures(folder("a_1.png", "notes.txt", "Thumbs.db", "._a_1.png"))) == [1]


@pytest.mark.parametrize(
    "name", ["a_2.gif", "a_2.JP2", "a_2.avif", "a_2.MPO", "a_2.HEIC", "a_2.hif"]
)
def test_rarer_formats_are_frames_too(folder, name):
    assert list(numbered_pictures(folder("a_1.png", name))) == [1, 2]


@pytest.mark.parametrize("name", ["a_2.jxl", "a_2.NEF"])
def test_a_picture_that_is_not_read_is_named(folder, complains, name):
    path = folder("a_1.png", name)
    with complains(f"{path / name}: is a picture, and would be left out"):
        numbered_pictures(path)


@pytest.mark.parametrize("name", ["a_2", "a_2.picture"])
def test_a_picture_of_unknown_suffix_is_named(folder, complains, name):
    path = folder("a_1.png")
    Image.new("L", (4, 4)).save(path / name, "PNG")
    with complains(f"{path / name}: is a picture, and would be left out"):
        numbered_pictures(path)


def test_pipes_and_folders_beside_frames_do_no_harm(folder):
    path = folder("a_1.png")
    os.mkfifo(path / "pipe")
    (path / "deeper").mkdir()
    assert list(numbered_pictures(path)) == [1]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], ["holds no pictures", ".jpg", ".png"]),
        (["notes.txt"], ["holds no pictures"]),
        (["a_1.png", "cover.png"], ["cover.png", "frame_20.jpg"]),
        (["a_1.png", "b_01.png"], ["b_01.png", "same number", "a_1.png"]),
        ([f"a_{'1' * 16}.png"], [f"a_{'1' * 16}.png: ", "at most 15 digits (got 16)"]),
        ([f"a_{'1' * 200}.png"], ["at most 15 digits (got 200)"]),
    ],
    ids=["empty", "no pictures", "no number", "same number", "16 digits", "200 digits"],
)
def test_a_bad_folder_is_named(folder, complains, names, words):
    path = folder(*names)
    with complains(str(path), *words):
        numbered_pictures(path)


# Pictures


def test_a_picture_is_read_as_bgr(tmp_path):
    Image.new("RGB", (5, 3), (10, 20, 30)).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert (picture.shape, picture.dtype) == ((3, 5, 3), np.uint8)
    assert (picture == [30, 20, 10]).all()


def test_a_grey_picture_gets_three_channels(tmp_path):
    Image.new("L", (5, 3), 77).save(tmp_path / "a.png")
    assert (read_picture(tmp_path / "a.png") == np.full((3, 5, 3), 77)).all()


def test_a_phone_picture_is_turned_upright(tmp_path):
    # EXIF orientation 6: the camera's top is on the right, so turn clockwise to show it.
    stored = Image.new("RGB", (64, 48))
    stored.paste((255, 255, 255), (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = 6
    stored.save(tmp_path / "a.jpg", quality=95, exif=exif)
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.shape == (64, 48, 3)
    assert picture[:12, 36:].min() > 200
    assert picture[:12, :12].max() < 50


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_a_bad_picture_is_named(tmp_path, complains, content):
    (tmp_path / "a.png").write_bytes(content)
    with complains(f"{tmp_path / 'a.png'}: cannot be read as a picture"):
        read_picture(tmp_path / "a.png")


# Videos


def seen(path, step):
    """[(index, brightness / 10)] of the sampled frames, and how many frames there are."""
    *frames, (count, nothing) = sampled_frames(path, step)
    assert nothing is None
    return [(index, round(picture.mean() / 10)) for index, picture in frames], count


@pytest.mark.parametrize(
    ("step", "indices"), [(1, range(25)), (7, [0, 7, 14, 21]), (20, [0, 20]), (25, [0])]
)
def test_every_n_th_frame_is_sampled_from_the_first_on(tmp_path, write_video, step, indices):
    write_video(tmp_path / "a.mp4")
    assert seen(tmp_path / "a.mp4", step) == ([(i, i) for i in indices], 25)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "mp4v"),
        ("a.mov", "mp4v"),
        ("a.avi", "MJPG"),
        ("a.mkv", "mp4v"),
        ("a.webm", "VP80"),
    ],
)
def test_the_usual_containers_are_read(tmp_path, write_video, name, codec):
    write_video(tmp_path / name, codec=codec)
    assert seen(tmp_path / name, 7) == ([(0, 0), (7, 7), (14, 14), (21, 21)], 25)


def test_frames_keep_their_colours_and_size(tmp_path, write_video):
    picture = np.full((48, 64, 3), (200, 100, 40), np.uint8)
    write_video(tmp_path / "a.mp4", [picture] * 3)
    (_, frame), _ = sampled_frames(tmp_path / "a.mp4", 20)
    assert (frame.shape, frame.dtype) == ((48, 64, 3), np.uint8)
    assert abs(frame.mean(axis=(0, 1)) - (200, 100, 40)).max() < 5


@pytest.mark.parametrize(
    ("turn", "matrix", "shape", "rows", "columns"),
    [
        # A point (x, y) is shown at (a x + c y, b x + d y), moved back into the picture. The
        # bright corner, stored at the top left, is then ...
        (90, (0, 1, -1, 0), (64, 48), slice(0, 12), slice(36, 48)),  # ... at the top right
        (180, (-1, 0, 0, -1), (48, 64), slice(36, 48), slice(52, 64)),  # ... at the bottom right
        (270, (0, -1, 1, 0), (64, 48), slice(52, 64), slice(0, 12)),  # ... at the bottom left
    ],
    ids=["90", "180", "270"],
)
def test_a_phone_video_is_turned_upright(tmp_path, write_video, turn, matrix, shape, rows, columns):
    path = tmp_path / "a.mp4"
    stored = np.full((48, 64, 3), 20, np.uint8)
    stored[:16, :16] = 250
    write_video(path, [stored] * 3)
    content = bytearray(path.read_bytes())
    # tkhd, version 0: type, version and flags, five numbers, two reserved, four halves; then the
    # matrix a b u, c d v, x y w, of which a to d are 16.16 fixed point.
    a, b, c, d = (value * 65536 for value in matrix)
    at = content.index(b"tkhd") + 4 + 4 + 5 * 4 + 2 * 4 + 4 * 2
    assert struct.unpack_from(">5i", content, at) == (65536, 0, 0, 0, 65536)
    struct.pack_into(">5i", content, at, a, b, 0, c, d)
    path.write_bytes(content)
    (_, frame), _ = sampled_frames(path, 20)
    assert frame.shape[:2] == shape
    assert frame[rows, columns].min() > 200
    dark = np.ones(shape, bool)
    dark[slice(*rows.indices(shape[0])), slice(*columns.indices(shape[1]))] = False
    assert (frame.mean(axis=2)[dark] < 60).mean() > 0.9


@pytest.mark.parametrize(
    "content", [b"I am no video.\n" * 50, b"", b"\0" * 500], ids=["text", "empty file", "zeros"]
)
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.avi", "a.mkv"])
def test_a_file_that_is_not_a_video_is_named(tmp_path, complains, name, content):
    (tmp_path / name).write_bytes(content)
    with complains(f"{tmp_path / name}: cannot be opened as a video"):
        list(sampled_frames(tmp_path / name, 20))


def test_an_unfinished_mp4_without_its_table_of_contents_is_named(tmp_path, write_video, complains):
    path = tmp_path / "a.mp4"
    write_video(path)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moov") - 4])
    with complains(f"{path}: "):
        list(sampled_frames(path, 20))


def test_an_mp4_that_was_cut_off_ends_early(tmp_path, write_video, complains):
    path = tmp_path / "a.mp4"
    write_video(path)
    content = fast_start(path.read_bytes())
    path.write_bytes(content)
    assert seen(path, 7)[1] == 25
    path.write_bytes(content[: content.index(b"mdat") + 400])
    with complains(f"{path}: ends early: ", " of 25 "):
        list(sampled_frames(path, 7))


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "MJPG"), ("a.mkv", "mp4v")])
def test_other_videos_that_were_cut_off_end_early(tmp_path, write_video, complains, name, codec):
    path = tmp_path / name
    write_video(path, codec=codec)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with complains(f"{path}: ends early: ", " of 25 "):
        list(sampled_frames(path, 7))


def test_a_damaged_frame_does_not_shift_the_numbers_of_those_after_it(
    tmp_path, write_video, complains
):
    path = tmp_path / "a.avi"
    write_video(path, codec="MJPG")
    content = bytearray(path.read_bytes())
    at = content.index(b"movi")
    for _ in range(5):
        at = content.index(b"00dc", at + 4)
    (size,) = struct.unpack_from("<I", content, at + 4)
    content[at + 8 : at + 8 + size] = bytes(size)
    path.write_bytes(content)
    with complains(f"{path}: ends early: 4 frames of 25 "):
        list(sampled_frames(path, 1))
