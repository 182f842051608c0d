"""`cardpose label next`: which frames are drawn, in which order, and what is printed."""

from collections import Counter

import pytest

from cardpose.cli import main
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.labelling.next_frames import draw_frames


def frames_of(**recordings):
    """Frames 0, 20, ... of recordings: {name: how many}."""
    return [f"{name}_frame_{20 * k}" for name, n in recordings.items() for k in range(n)]


def recordings_of(drawn):
    return [each.frame.partition("_frame_")[0] for each in drawn]


def test_recordings_take_turns():
    drawn = draw_frames(frames_of(a=3, b=3, c=3), [], 9)
    assert sorted(each.frame for each in drawn) == sorted(frames_of(a=3, b=3, c=3))
    for turn in range(3):
        part = drawn[3 * turn : 3 * turn + 3]
        assert sorted(recordings_of(part)) == ["a", "b", "c"]
        assert [each.before for each in part] == 3 * [turn]


def test_recordings_of_different_lengths_share_evenly_until_the_short_ones_end():
    drawn = draw_frames(frames_of(long=20, short=2, middle=6), [], 12)
    assert Counter(recordings_of(drawn)) == {"long": 5, "middle": 5, "short": 2}


def test_recordings_with_the_fewest_labels_come_first():
    labelled = ["a_frame_0", "a_frame_20", "b_frame_0"]
    drawn = draw_frames(frames_of(a=3, b=3, c=3), labelled, 6)
    assert recordings_of(drawn[:1]) == ["c"]  # none yet
    assert sorted(recordings_of(drawn[1:3])) == ["b", "c"]  # one each
    assert sorted(recordings_of(drawn[3:])) == ["a", "b", "c"]  # two each
    assert [each.before for each in drawn] == [0, 1, 1, 2, 2, 2]


def test_labels_of_frames_that_were_not_sampled_do_not_count():
    assert recordings_of(draw_frames(frames_of(a=1, b=1), ["a_frame_7", "b_frame_0"], 2)) == ["a"]


def test_frames_of_a_recording_are_drawn_at_random():
    """Neither in their order, nor from one end, nor the same places in every recording."""
    frames = frames_of(**{f"r{k}": 50 for k in range(20)})
    drawn = draw_frames(frames, [], 200)
    places = {name: [] for name in recordings_of(drawn)}
    for each in drawn:
        name, _, index = each.frame.partition("_frame_")
        places[name].append(int(index) // 20)
    assert all(len(chosen) == 10 for chosen in places.values())
    assert len({tuple(chosen) for chosen in places.values()}) == 20
    every = [place for chosen in places.values() for place in chosen]
    # The mean of 200 places between 0 and 49 has a standard deviation of 1.
    assert sum(every) / len(every) == pytest.approx(24.5, abs=4)
    assert len(set(every)) > 40


def test_the_same_frames_and_labels_give_the_same_draw():
    frames, labelled = frames_of(a=30, b=30), ["a_frame_40"]
    assert draw_frames(frames, labelled, 20) == draw_frames(frames, set(labelled), 20)


def test_once_the_drawn_frames_are_labelled_the_draw_goes_on():
    frames = frames_of(a=30, b=30, c=4)
    first, whole = draw_frames(frames, [], 10), draw_frames(frames, [], 20)
    assert draw_frames(frames, [each.frame for each in first], 10) == whole[10:]


def test_labelled_frames_are_never_drawn_and_more_than_all_is_all():
    frames, labelled = frames_of(a=2, b=2), ["a_frame_20", "b_frame_0"]
    drawn = draw_frames(frames, labelled, 40)
    assert sorted(each.frame for each in drawn) == ["a_frame_0", "b_frame_20"]
    assert draw_frames(frames, frames, 40) == []


# The command


@pytest.fixture
def dataset(small_dataset):
    """The sampled frames of the small data set, of which frames 0 and 20 of clip have labels. The
    rows of the folder shots are empty."""
    folder = small_dataset / "labelling" / "frames"
    folder.mkdir(parents=True)
    names = ["clip_frame_0", "clip_frame_20"] + [f"shots_frame_{i}" for i in (0, 2, 10)]
    rows = [f"{name},{name.split('_')[0]},{name}.png,64,48" for name in names]
    (folder / "index.csv").write_text("\n".join(["frame,recording,file,width,height", *rows]))
    header, *rows = (small_dataset / "annotations.csv").read_text().splitlines()
    rows = [row if row.startswith("clip") else row.split(",")[0] + "," * 24 for row in rows]
    (small_dataset / "annotations.csv").write_text("\n".join([header, *rows]) + "\n")
    return small_dataset


@pytest.fixture
def following(capsys):
    def following(dataset, *more):
        with pytest.raises(SystemExit) as end:
            main.main(["label", "next", str(dataset), *map(str, more)])
        return end.value.code, *capsys.readouterr()

    return following


def test_drawn_frames_are_listed_and_written(dataset, following):
    labels = (dataset / "annotations.csv").read_bytes()
    status, out, _ = following(dataset, "-n", 2)
    assert status == 0
    header, *lines = out.splitlines()
    assert header.split() == ["frame", "why"]
    frames = [line.split()[0] for line in lines]
    assert len(set(frames)) == 2
    assert all(frame.startswith("shots") for frame in frames)
    assert lines[0].endswith("  first of its recording")
    assert lines[1].endswith("  1 of its recording before it")
    written = (dataset / "labelling" / "next.csv").read_text()
    assert written == "\n".join(["frame", *frames]) + "\n"
    assert (dataset / "annotations.csv").read_bytes() == labels
    assert following(dataset, "-n", 2)[1] == out


def test_more_than_there_are_is_all_there_are(dataset, following):
    _, out, _ = following(dataset)
    assert len(out.splitlines()) == 4


def test_without_annotations_nothing_has_a_label(dataset, following):
    (dataset / "annotations.csv").unlink()
    _, out, _ = following(dataset)
    assert len(out.splitlines()) == 6


def test_a_data_set_without_proposals_can_be_drawn_from(dataset, following):
    assert not (dataset / "labelling" / "proposals.csv").exists()
    assert following(dataset)[0] == 0


def test_it_says_when_nothing_is_left(dataset, following):
    rows = (dataset / "annotations.csv").read_text().replace("," * 24, ",0,," * 8)
    (dataset / "annotations.csv").write_text(rows)
    status, out, _ = following(dataset)
    assert (status, out) == (0, "nothing is left: all frames have labels\n")
    assert (dataset / "labelling" / "next.csv").read_text() == "frame\n"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda d: (d / "labelling/frames/index.csv").unlink(),
            ["index.csv", "there is no such file: `cardpose label start`"],
        ),
        (lambda d: (d / "videos.csv").unlink(), ["videos.csv", "cannot be read"]),
        (
            lambda d: (d / "videos.csv").write_text(
                "video,cards_counted,total_cards\nclip.mp4,3,52\n"
            ),
            ["videos.csv", "cardpose label start small"],
        ),
        (
            lambda d: (d / "labelling/frames/index.csv").write_text("frame\nclip_frame_0\n"),
            ["index.csv", "is damaged"],
        ),
        (
            lambda d: (d / "annotations.csv").write_text("frame\nclip_frame_0\n"),
            ["annotations.csv", KEYPOINTS[0]],
        ),
    ],
)
def test_a_missing_or_damaged_file_is_named(dataset, following, spoil, words):
    spoil(dataset)
    status, out, err = following(dataset)
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert all(word in err for word in words)
    assert not (dataset / "labelling" / "next.csv").exists()


@pytest.mark.parametrize("number", ["0", "-3", "many", "1.5"])
def test_a_number_that_makes_no_sense_is_refused(dataset, following, number):
    status, _, err = following(dataset, f"-n={number}")
    assert status == 2
    assert "whole number above 0" in err
