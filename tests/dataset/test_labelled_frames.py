"""Match labels to sampled frames, and write the tensors of both."""

from pathlib import Path

import numpy as np
import pytest

import stages.make_heatmaps
from cardpose.dataset.annotations import read_annotations, write_annotations
from cardpose.dataset.extraction import extract_frames
from cardpose.dataset.labelled_frames import match_labels, write_labelled
from cardpose.dataset.recordings import read_recordings
from cardpose.dataset.tensors import read_tensors, write_tensors
from cardpose.geometry.keypoints import KEYPOINTS


def test_frames_get_their_labels_in_any_order(extracted):
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


def test_labels_of_frames_that_were_not_sampled_are_allowed(extracted):
    labelled = ["clip_frame_0", "clip_frame_7", "clip_frame_24"]
    frames, rows, unlabelled = match_labels(extracted, labelled, "annotations.csv")
    assert frames["frame"].tolist() == ["clip_frame_0"]
    assert rows.tolist() == [0]
    assert unlabelled == 5


def test_a_frame_without_a_labelled_keypoint_is_unlabelled(extracted):
    labelled = ["clip_frame_0", "clip_frame_20", "shots_frame_2"]
    mask = np.array([[False] * 8, [False] * 7 + [True], [True] * 8])
    frames, rows, missing = match_labels(extracted, labelled, "annotations.csv", mask)
    assert frames["frame"].tolist() == ["clip_frame_20", "shots_frame_2"]
    assert rows.tolist() == [1, 2]
    assert missing == 4


def test_unlabelled_frames_are_included_with_their_counts(extracted):
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
def test_labels_of_no_keypoint_at_all_are_an_error(extracted, complains, unlabelled):
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


def test_labels_of_no_sampled_frame_are_an_error(extracted, complains):
    with complains("some/annotations.csv: ", "no label", "6 sampled frames"):
        match_labels(extracted, ["clip_frame_7"], "some/annotations.csv")


@pytest.mark.parametrize("name", ["007", "1e3", "NA", "null", "True"])
def test_names_of_recordings_that_look_like_other_values_are_kept(
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


def test_the_tensors_of_the_small_data_set_hold_its_pictures_and_labels(
    small_dataset, extracted, tmp_path
):
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
    """make_heatmaps(lines, unlabelled): run the stage with these lines in annotations.csv.

    Returns the tensors that it wrote.
    """

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


def test_unlabelled_keypoints_and_frames_are_masked(make_heatmaps, capsys):
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


def test_every_frame_gets_the_points_of_its_own_label(extracted, tmp_path):
    labelled = ["shots_frame_10", "clip_frame_20", "clip_frame_7", "clip_frame_0", "shots_frame_0"]
    places = {frame: (0.1 + 0.2 * k, 0.9 - 0.1 * k) for k, frame in enumerate(labelled)}
    visible = np.arange(8) < np.arange(1, 6)[:, None]  # one keypoint of the first, two of the next
    points = np.repeat(np.array(list(places.values()))[:, None], 8, axis=1)
    write_annotations(tmp_path / "labels.csv", labelled, points, visible)
    folder = tmp_path / "tensors"
    write_labelled(folder, extracted, tmp_path / "labels.csv", (64, 48), 4, 1.0, unlabelled=True)
    tensors = read_tensors(folder)
    for row, frame in enumerate(tensors.frames["frame"]):
        number = labelled.index(frame) + 1 if frame in labelled else 0
        assert tensors.visible[row].tolist() == [k < number for k in range(8)]
        assert tensors.mask[row].all() == (number > 0)
        if number:
            x, y = places[frame]
            assert tensors.points[row, 0].tolist() == pytest.approx([64 * x, 48 * y])


def test_frames_without_a_label_can_be_left_out(make_heatmaps, capsys):
    tensors = make_heatmaps(PARTLY, False)
    assert capsys.readouterr().out == "2 labelled frames; 4 without a label are left out\n"
    assert tensors.frames["frame"].tolist() == ["clip_frame_0", "shots_frame_2"]
    assert tensors.mask.tolist() == [[True, True] + [False] * 6, [True] * 8]


def test_a_data_set_in_which_nothing_is_labelled_makes_no_tensors(make_heatmaps, complains):
    with complains("annotations.csv: no label belongs to any of the 6 sampled frames"):
        make_heatmaps([HEADER, "clip_frame_0,0" + ",,," * 8], True)
    assert not Path("data/tensors").exists()
