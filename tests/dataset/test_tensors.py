"""Labels matched to frames, and the tensors made of both."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

import stages.make_heatmaps
from cardpose.dataset.annotations import read_annotations
from cardpose.dataset.extraction import extract_frames
from cardpose.dataset.labelled_frames import match_labels
from cardpose.dataset.recordings import read_recordings
from cardpose.dataset.tensors import read_tensors, write_tensors
from cardpose.geometry.keypoints import KEYPOINTS

# match_labels


@pytest.fixture
def extracted(small_dataset, tmp_path):
    """Frames 0, 10 and 20 of clip, which has 25, and 0, 2 and 10 of the folder shots."""
    extract_frames(read_recordings(small_dataset), 10, tmp_path / "frames", jobs=1)
    return tmp_path / "frames"


def test_frames_get_their_labels_whatever_the_order(extracted):
    labelled = ["shots_frame_10", "clip_frame_20", "clip_frame_0", "shots_frame_0"]
    frames, rows, unlabelled = match_labels(extracted, labelled, "annotations.csv")
    assert [labelled[row] for row in rows] == frames["frame"].tolist()
    assert frames.values.tolist() == [
        ["clip_frame_0", "clip", 3, 52, "clip/clip_frame_0.jpg", 64, 48],
        ["clip_frame_20", "clip", 3, 52, "clip/clip_frame_20.jpg", 64, 48],
        ["shots_frame_0", "shots", 52, 52, "shots/shots_frame_0.png", 64, 48],
        ["shots_frame_10", "shots", 52, 52, "shots/shots_frame_10.png", 64, 48],
    ]
    assert list(frames.columns) == [
        "frame",
        "recording",
        "cards_counted",
        "total_cards",
        "file",
        "width",
        "height",
    ]
    # clip's frame 10 and shots' frame 2.
    assert unlabelled == 2


def test_labels_of_frames_that_were_not_sampled_are_no_fault(extracted):
    labelled = ["clip_frame_0", "clip_frame_7", "clip_frame_24"]
    frames, rows, unlabelled = match_labels(extracted, labelled, "annotations.csv")
    assert frames["frame"].tolist() == ["clip_frame_0"]
    assert rows.tolist() == [0]
    assert unlabelled == 5


def test_a_label_that_says_nothing_is_none(extracted):
    labelled = ["clip_frame_0", "clip_frame_20", "shots_frame_2"]
    mask = np.array([[False] * 8, [False] * 7 + [True], [True] * 8])
    frames, rows, missing = match_labels(extracted, labelled, "annotations.csv", mask)
    assert frames["frame"].tolist() == ["clip_frame_20", "shots_frame_2"]
    assert rows.tolist() == [1, 2]
    assert missing == 4


def test_frames_without_a_label_come_along_with_their_counts(extracted):
    labelled = ["clip_frame_0", "shots_frame_10", "clip_frame_20"]
    mask = np.array([[True] * 8, [True] * 8, [False] * 8])
    frames, rows, missing = match_labels(
        extracted, labelled, "annotations.csv", mask, unlabelled=True
    )
    assert frames["frame"].tolist() == [
        *("clip_frame_0", "clip_frame_10", "clip_frame_20"),
        *("shots_frame_0", "shots_frame_2", "shots_frame_10"),
    ]
    assert frames["cards_counted"].tolist() == [3, 3, 3, 52, 52, 52]
    assert rows.tolist() == [0, -1, -1, -1, -1, 1]
    assert missing == 4


@pytest.mark.parametrize("unlabelled", [False, True])
def test_labels_that_all_say_nothing_are_an_error(extracted, complains, unlabelled):
    with complains("some/annotations.csv: no label belongs to any of the 6 sampled frames"):
        match_labels(
            extracted, ["clip_frame_0"], "some/annotations.csv", np.zeros((1, 8), bool), unlabelled
        )


BAD = [
    # what, the label, words of the message
    ("past the end", ["clip_frame_25"], ["1 label ", "clip_frame_25"]),
    ("far past the end", ["clip_frame_30"], ["1 label ", "clip_frame_30"]),
    ("unknown recording", ["clap_frame_0"], ["1 label ", "clap_frame_0"]),
    ("missing picture", ["shots_frame_3"], ["1 label ", "shots_frame_3"]),
    ("another spelling", ["clip_frame_010"], ["MyVideo_frame_20", "clip_frame_010"]),
    (
        "five of them",
        [f"clap_frame_{i}" for i in range(5)],
        ["5 labels ", "clap_frame_0, clap_frame_1, clap_frame_2 and 2 more"],
    ),
]


@pytest.mark.parametrize(("bad", "words"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_a_label_without_a_frame_is_named(extracted, complains, bad, words):
    with complains("some/annotations.csv: ", *words):
        match_labels(extracted, ["clip_frame_0", *bad], "some/annotations.csv")


def test_labels_of_none_of_the_sampled_frames_are_an_error(extracted, complains):
    with complains("some/annotations.csv: ", "no label", "6 sampled frames"):
        match_labels(extracted, ["clip_frame_7"], "some/annotations.csv")


@pytest.mark.parametrize("name", ["007", "1e3", "NA", "null", "True"])
def test_recordings_keep_their_names_whatever_those_look_like(
    small_dataset, tmp_path, write_video, name
):
    write_video(small_dataset / "videos" / f"{name}.mp4")
    rows = f"video,cards_counted,total_cards\n{name}.mp4,3,52\n"
    (small_dataset / "videos.csv").write_text(rows)
    extract_frames(read_recordings(small_dataset), 10, tmp_path / "frames", jobs=1)
    labelled = [f"{name}_frame_0", f"{name}_frame_7", f"{name}_frame_20"]
    frames, rows, _ = match_labels(tmp_path / "frames", labelled, "annotations.csv")
    assert frames["recording"].tolist() == [name, name]
    nowhere = np.full((3, 8, 2), np.nan)
    hidden = np.zeros((3, 8), bool)
    write_tensors(
        tmp_path / "tensors",
        tmp_path / "frames",
        frames,
        nowhere[rows],
        hidden[rows],
        (64, 48),
        4,
        1.0,
    )
    assert read_tensors(tmp_path / "tensors").frames["recording"].tolist() == [name, name]


# write_tensors and read_tensors


@pytest.fixture
def write(tmp_path):
    """write([(picture as BGR, {keypoint: (x, y)}, cards, deck), ...]) makes and reads tensors."""

    def write(rows, image_size=(64, 48), stride=4, sigma=1.0):
        (tmp_path / "frames").mkdir()
        points, visible = np.full((len(rows), 8, 2), np.nan), np.zeros((len(rows), 8), bool)
        table = []
        for i, (picture, keypoints, cards, deck) in enumerate(rows):
            cv2.imwrite(str(tmp_path / "frames" / f"{i}.png"), picture)
            for keypoint, place in keypoints.items():
                points[i, keypoint], visible[i, keypoint] = place, True
            height, width = picture.shape[:2]
            table.append((f"film_frame_{i}", "film", cards, deck, f"{i}.png", width, height))
        columns = ["frame", "recording", "cards_counted", "total_cards", "file", "width", "height"]
        frames = pd.DataFrame(table, columns=columns)
        folder = tmp_path / "tensors"
        write_tensors(
            folder, tmp_path / "frames", frames, points, visible, image_size, stride, sigma
        )
        return read_tensors(folder)

    return write


def plain(width=64, height=48, colour=(0, 0, 0)):
    return np.full((height, width, 3), colour, np.uint8)


def test_shapes_types_and_settings(write):
    tensors = write([(plain(), {}, 1, 52)] * 3, image_size=(128, 96), stride=8, sigma=1.5)
    assert {
        name: (getattr(tensors, name).shape, getattr(tensors, name).dtype)
        for name in ("pictures", "details", "heatmaps", "points", "visible", "mask", "cards")
    } == {
        "pictures": ((3, 96, 128, 3), np.uint8),
        "details": ((3, 192, 256, 3), np.uint8),
        "heatmaps": ((3, 8, 12, 16), np.float16),
        "points": ((3, 8, 2), np.float32),
        "visible": ((3, 8), np.bool_),
        "mask": ((3, 8), np.bool_),
        "cards": ((3,), np.float32),
    }
    assert len(tensors) == 3
    settings = (tensors.image_size, tensors.stride, tensors.sigma, tensors.deck)
    assert settings == ((128, 96), 8, 1.5, 52)
    assert tensors.frames.columns.tolist() == [
        "frame",
        "recording",
        "cards_counted",
        "file",
        "width",
        "height",
    ]
    assert tensors.frames["frame"].tolist() == ["film_frame_0", "film_frame_1", "film_frame_2"]


def test_arrays_stay_on_disk_until_they_are_read(write):
    tensors = write([(plain(), {}, 1, 52)])
    assert isinstance(tensors.pictures, np.memmap)
    assert isinstance(tensors.heatmaps, np.memmap)


def test_pictures_are_rgb(write):
    tensors = write([(plain(colour=(30, 20, 10)), {}, 1, 52)])
    assert (tensors.pictures[0] == [10, 20, 30]).all()


def test_counts_are_shares_of_the_largest_deck(write):
    tensors = write([(plain(), {}, cards, deck) for cards, deck in ((10, 40), (40, 40), (25, 50))])
    assert tensors.deck == 50
    assert tensors.cards.tolist() == pytest.approx([0.2, 0.8, 0.5])
    assert tensors.frames["cards_counted"].tolist() == [10, 40, 25]


def test_the_heatmap_of_a_keypoint_that_is_not_visible_is_zero(write):
    tensors = write([(plain(), {3: (0.5, 0.5)}, 1, 52)])
    assert tensors.visible[0].tolist() == [False] * 3 + [True] + [False] * 4
    assert tensors.heatmaps[0, 3].max() > 0.5
    others = [0, 1, 2, 4, 5, 6, 7]
    assert not tensors.heatmaps[0, others].any()
    assert not tensors.points[0, others].any()


def test_a_heatmap_peaks_at_its_keypoint_and_falls_off_with_sigma(write):
    # Pixel (34, 14) of 64 x 48 is the middle, 8.5 and 3.5, of heatmap pixel (8, 3) at stride 4.
    tensors = write([(plain(), {0: (34 / 64, 14 / 48)}, 1, 52)], sigma=1.0)
    assert tensors.points[0, 0].tolist() == pytest.approx([34, 14])
    heatmap = tensors.heatmaps[0, 0].astype(float)
    assert np.unravel_index(heatmap.argmax(), heatmap.shape) == (3, 8)
    assert heatmap[3, 8] == 1
    one, diagonal, two = np.exp([-1 / 2, -1, -2])
    assert heatmap[3, [7, 9]].tolist() == pytest.approx([one] * 2, abs=5e-4)
    assert heatmap[[2, 4], 8].tolist() == pytest.approx([one] * 2, abs=5e-4)
    assert heatmap[2, 7] == pytest.approx(diagonal, abs=5e-4)
    assert heatmap[3, 10] == pytest.approx(two, abs=5e-4)


def test_a_keypoint_between_two_heatmap_pixels_is_shared_by_them(write):
    # Pixel 32 is the border of heatmap pixels 7 and 8: half a pixel from either's middle.
    tensors = write([(plain(), {0: (32 / 64, 14 / 48)}, 1, 52)], sigma=1.0)
    half = np.exp(-(0.5**2) / 2)
    assert tensors.heatmaps[0, 0, 3, 7:9].tolist() == pytest.approx([half] * 2, abs=5e-4)


def test_pictures_of_another_size_are_scaled_with_their_keypoints(write):
    large = plain(256, 192)
    large[96:144, 64:128] = 255
    tensors = write([(large, {0: (64 / 256, 96 / 192), 5: (128 / 256, 144 / 192)}, 1, 52)])
    # A quarter of the size: 16 to 32 across, 24 to 36 down.
    assert tensors.points[0, 0].tolist() == pytest.approx([16, 24])
    assert tensors.points[0, 5].tolist() == pytest.approx([32, 36])
    bright = tensors.pictures[0, :, :, 0] == 255
    assert bright[24:36, 16:32].all()
    assert bright.sum() == 12 * 16
    bright = tensors.details[0, :, :, 0] == 255
    assert bright[48:72, 32:64].all()
    assert bright.sum() == 24 * 32


def test_a_portrait_picture_is_put_between_grey_margins(write):
    portrait = plain(48, 64, (255, 255, 255))
    tensors = write([(portrait, {0: (0, 0), 1: (1, 1), 2: (0.5, 0.25)}, 1, 52)])
    # 48 x 64 shrinks to 36 x 48, and 28 columns are over: 14 on each side.
    picture = tensors.pictures[0]
    assert (picture[:, 14:50] == 255).all()
    assert (picture[:, :14] == 127).all()
    assert (picture[:, 50:] == 127).all()
    assert (tensors.details[0][:, 28:100] == 255).all()
    assert (tensors.details[0][:, :28] == 127).all()
    assert (tensors.details[0][:, 100:] == 127).all()
    assert tensors.points[0, :3].tolist() == [
        pytest.approx([14, 0]),
        pytest.approx([50, 48]),
        pytest.approx([32, 12]),
    ]


def test_the_longer_side_is_measured_in_the_fitted_picture(write):
    sizes = [(640, 480), (480, 640), (480, 480), (64, 16)]
    tensors = write([(plain(*size), {}, 3, 52) for size in sizes])
    assert tensors.longer.tolist() == [64, 48, 48, 64]


def test_more_frames_than_are_held_in_memory_at_a_time_keep_their_order(write):
    n = 150
    rows = [(plain(colour=(i, i, i)), {0: ((i % 64) / 64, 0.5)}, 1 + i % 52, 52) for i in range(n)]
    tensors = write(rows)
    assert tensors.pictures[:, 5, 5, 0].tolist() == list(range(n))
    assert tensors.points[:, 0, 0].tolist() == pytest.approx([i % 64 for i in range(n)])
    peaks = tensors.heatmaps[:, 0].max(axis=1).argmax(axis=1)
    assert abs((peaks + 0.5) * 4 - np.arange(n) % 64).max() <= 2
    assert (tensors.cards * 52).round().tolist() == [1 + i % 52 for i in range(n)]


def test_a_broken_picture_is_named(write, tmp_path, complains, monkeypatch):
    monkeypatch.setattr(cv2, "imwrite", lambda path, _: Path(path).write_bytes(b"no picture"))
    with complains(f"{tmp_path / 'frames' / '0.png'}: cannot be read as a picture"):
        write([(plain(), {}, 1, 52)])


def test_the_small_data_set_goes_through(small_dataset, extracted, tmp_path):
    path = small_dataset / "annotations.csv"
    labelled, points, visible, _ = read_annotations(path)
    frames, rows, unlabelled = match_labels(extracted, labelled, path)
    assert (len(frames), unlabelled) == (5, 1)
    write_tensors(
        tmp_path / "tensors", extracted, frames, points[rows], visible[rows], (64, 48), 4, 1.5
    )
    tensors = read_tensors(tmp_path / "tensors")
    # Brightness 10 a frame in clip, 100 and the index in shots.
    brightness = tensors.pictures.mean(axis=(1, 2, 3)).tolist()
    assert brightness == pytest.approx([0, 200, 100, 102, 110], abs=5)
    assert tensors.cards.tolist() == pytest.approx([3 / 52] * 2 + [1] * 3)
    assert tensors.points[:, 0].tolist() == [[32, 12]] * 5


HEADER = "frame,annotated," + ",".join(f"{k}_visible,{k}_x,{k}_y" for k in KEYPOINTS)
PARTLY = [
    HEADER,
    "clip_frame_0,1,1,0.5,0.25,0,," + ",,," * 6,  # the third keypoint and all after it unknown
    "clip_frame_20,0,1,0.5,0.25" + ",0,," * 7,  # not annotated, whatever it says
    "shots_frame_2,1," + ",".join(["1,0.5,0.5"] * 8),
]


@pytest.fixture
def make_heatmaps(small_dataset, extracted, tmp_path, monkeypatch, params):
    """make_heatmaps(lines, unlabelled) runs the stage on the small data set with these lines for
    its annotations.csv, and reads what it wrote."""

    def make(lines, unlabelled):
        (small_dataset / "annotations.csv").write_text("\n".join([*lines, ""]))
        (tmp_path / "data").mkdir()
        small_dataset.rename(tmp_path / "data/small")
        extracted.rename(tmp_path / "data/frames")
        values = {"dataset": "small", "image_size": [64, 48], "unlabelled": unlabelled}
        changed = params.model_copy(update=values)
        monkeypatch.setattr(stages.make_heatmaps, "load_params", lambda: changed)
        monkeypatch.chdir(tmp_path)
        stages.make_heatmaps.main()
        return read_tensors("data/tensors")

    return make


def test_unknown_keypoints_and_frames_are_left_out_or_marked(make_heatmaps, capsys):
    tensors = make_heatmaps(PARTLY, True)
    assert capsys.readouterr().out == "2 labelled frames; 4 without a label train the count\n"
    assert tensors.frames["frame"].tolist()[:3] == [
        "clip_frame_0",
        "clip_frame_10",
        "clip_frame_20",
    ]
    assert tensors.frames["frame"].tolist()[3:] == [f"shots_frame_{i}" for i in (0, 2, 10)]
    nothing, everything = [False] * 8, [True] * 8
    mask = [[True, True] + [False] * 6, nothing, nothing, nothing, everything, nothing]
    assert tensors.mask.tolist() == mask
    seen = [[True] + [False] * 7, nothing, nothing, nothing, everything, nothing]
    assert tensors.visible.tolist() == seen
    assert not tensors.points[~tensors.visible].any()
    assert tensors.points[0, 0].tolist() == [32, 12]
    assert np.array_equal(tensors.heatmaps.any(axis=(2, 3)), tensors.visible)
    assert tensors.cards.tolist() == pytest.approx([3 / 52] * 3 + [1] * 3)


def test_frames_without_a_label_can_be_left_out(make_heatmaps, capsys):
    tensors = make_heatmaps(PARTLY, False)
    assert capsys.readouterr().out == "2 labelled frames; 4 without a label are left out\n"
    assert tensors.frames["frame"].tolist() == ["clip_frame_0", "shots_frame_2"]
    assert tensors.mask.tolist() == [[True, True] + [False] * 6, [True] * 8]


def test_a_data_set_in_which_nothing_is_labelled_makes_no_tensors(make_heatmaps, complains):
    with complains("annotations.csv: no label belongs to any of the 6 sampled frames"):
        make_heatmaps([HEADER, "clip_frame_0,0" + ",,," * 8], True)
    assert not Path("data/tensors").exists()
