"""`cardpose label next`: which frames come first, and what is said of them."""

from dataclasses import replace

import numpy as np
import pytest

from cardpose.cli import main
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.labelling.proposals import Proposals, write_proposals
from cardpose.labelling.rank import Candidates, choose, reasons


def candidates(recordings, places, confidence, labelled=(), known=20.0):
    """Frames 0, 20, ... of recordings, their packets at these x, equally confident in all
    corners."""
    n, points = len(recordings), np.full((len(recordings), 8, 2), 0.5)
    points[..., 0] = np.asarray(places)[:, None]
    known = np.broadcast_to(known, n).astype(float)
    return Candidates(
        frames=[f"{name}_frame_{20 * k}" for k, name in enumerate(recordings)],
        recordings=np.array(list(recordings)),
        points=points,
        confidence=np.tile(np.asarray(confidence, float)[:, None], 8),
        known=known,
        cards=known.copy(),
        apart=np.zeros(n),
        labelled=np.isin(np.arange(n), labelled),
    )


def test_recordings_take_turns():
    frames = candidates("aaabbbccc", np.linspace(0.1, 0.9, 9), [0.1] * 3 + [0.5] * 3 + [0.9] * 3)
    chosen = choose(frames, 9)
    assert sorted(chosen) == list(range(9))
    for turn in range(3):
        assert sorted(frames.recordings[chosen[3 * turn : 3 * turn + 3]]) == ["a", "b", "c"]


def test_recordings_with_fewest_labels_come_first():
    frames = candidates("aaabbbccc", np.linspace(0.1, 0.9, 9), [0.5] * 9, labelled=[0, 1, 3])
    first = frames.recordings[choose(frames, 3)].tolist()
    assert first[0] == "c"  # none yet
    assert sorted(first[1:]) == ["b", "c"]  # one each


def test_of_a_recording_the_doubtful_frame_comes_first():
    frames = candidates("aaa", [0.5, 0.5, 0.5], [0.9, 0.2, 0.8])
    assert choose(frames, 3) == [1, 2, 0]


def test_of_frames_as_doubtful_the_least_alike_comes_first():
    frames = candidates("aaaa", [0.5, 0.52, 0.9, 0.45], [0.5] * 4, labelled=[0])
    # Nearest to a label or to one chosen before: 0.4, then 0.05 and 0.02.
    assert choose(frames, 3) == [2, 3, 1]


def test_a_count_that_is_contradicted_is_a_doubt():
    frames = candidates("aa", [0.5, 0.5], [0.9, 0.9])
    frames.cards[1] = 26.0
    assert choose(frames, 1) == [1]
    # Eight corners, a tenth of each wrong; and a count that is far off, which is one more.
    assert frames.doubt == pytest.approx([0.8, 1.8])


def test_labelled_frames_are_never_chosen_and_more_than_all_is_all():
    frames = candidates("aabb", [0.1, 0.3, 0.5, 0.7], [0.5] * 4, labelled=[1, 2])
    assert sorted(choose(frames, 40)) == [0, 3]
    assert choose(replace(frames, labelled=np.ones(4, bool)), 40) == []


def test_it_says_why():
    frames = candidates("ab", [0.2, 0.4], [0.95, 0.95], known=[20, 4])
    frames.confidence[0, [1, 4]] = 0.3, 0.1
    frames.cards[1], frames.apart[1] = 9.4, 12
    first, second = reasons(frames, [0, 1])
    assert first == "first of its recording; unsure: lower left face, upper right face"
    assert second == "first of its recording; no box fits it; looks like 9 cards of 4"
    frames.labelled[0] = True
    (again,) = reasons(replace(frames, recordings=np.array(["a", "a"])), [1])
    assert again.startswith("1 of its recording before it")


# The command


@pytest.fixture
def dataset(small_dataset):
    """With proposals of all sampled frames, of which frames 0 and 20 of clip have labels, and those
    of shots only say that nobody has looked."""
    folder = small_dataset / "labelling"
    folder.mkdir()
    names = ["clip_frame_0", "clip_frame_20"] + [f"shots_frame_{i}" for i in (0, 2, 10)]
    points = np.full((5, 8, 2), 0.5)
    confidence = np.tile(np.array([0.9, 0.9, 0.5, 0.1, 0.7])[:, None], 8)
    proposals = Proposals(names, points, np.ones((5, 8), bool), confidence)
    write_proposals(folder / "proposals.csv", proposals)
    seen = [f"{name},{cards},0.5" for name, cards in zip(names, [3, 3, 52, 52, 52], strict=True)]
    (folder / "seen.csv").write_text("\n".join(["frame,cards,apart", *seen]) + "\n")
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


def test_the_most_doubtful_are_listed_and_written(dataset, following):
    labels = (dataset / "annotations.csv").read_bytes()
    status, out, _ = following(dataset, "-n", 2)
    assert status == 0
    header, *lines = out.splitlines()
    assert header.split() == ["frame", "why"]
    assert [line.split()[0] for line in lines] == ["shots_frame_2", "shots_frame_0"]
    written = (dataset / "labelling" / "next.csv").read_text()
    assert written == "frame\nshots_frame_2\nshots_frame_0\n"
    assert (dataset / "annotations.csv").read_bytes() == labels


def test_more_than_there_are_is_all_there_are(dataset, following):
    _, out, _ = following(dataset)
    assert len(out.splitlines()) == 4


def test_without_annotations_nothing_has_a_label(dataset, following):
    (dataset / "annotations.csv").unlink()
    _, out, _ = following(dataset)
    assert len(out.splitlines()) == 6


def test_nothing_left_is_said(dataset, following):
    rows = (dataset / "annotations.csv").read_text().replace("," * 24, ",0,," * 8)
    (dataset / "annotations.csv").write_text(rows)
    status, out, _ = following(dataset)
    assert (status, out) == (0, "nothing is left: all frames have labels\n")
    assert (dataset / "labelling" / "next.csv").read_text() == "frame\n"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda d: (d / "labelling/proposals.csv").unlink(), ["cardpose label start small"]),
        (lambda d: (d / "labelling/seen.csv").unlink(), ["seen.csv", "cannot be read"]),
        (lambda d: (d / "videos.csv").unlink(), ["videos.csv", "cannot be read"]),
        (
            lambda d: (d / "videos.csv").write_text(
                "video,cards_counted,total_cards\nclip.mp4,3,52\n"
            ),
            ["videos.csv", "cardpose label start small"],
        ),
        (
            lambda d: (d / "labelling/seen.csv").write_text(
                "frame,cards,apart\nclip_frame_0,1,1\n"
            ),
            ["cardpose label start small"],
        ),
        (
            lambda d: (d / "annotations.csv").write_text("frame\nclip_frame_0\n"),
            ["annotations.csv", KEYPOINTS[0]],
        ),
    ],
)
def test_what_is_missing_or_damaged_is_named(dataset, following, spoil, words):
    spoil(dataset)
    status, out, err = following(dataset)
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert all(word in err for word in words)
    assert not (dataset / "labelling" / "next.csv").exists()


@pytest.mark.parametrize("number", ["0", "-3", "many", "1.5"])
def test_so_many_makes_no_sense(dataset, following, number):
    status, _, err = following(dataset, f"-n={number}")
    assert status == 2
    assert "whole number above 0" in err
