"""`cardpose label start`: what is proposed, how sure it is of that, and what it leaves alone."""

import numpy as np
import pandas as pd
import pytest
import torch
from support import ABOUT, CARD, FOCAL, SIZE, seen

from cardpose.cli import main
from cardpose.dataset.annotations import read_annotations
from cardpose.dataset.names import split_frame_name
from cardpose.geometry.box import BoxModel
from cardpose.geometry.box_fit import BoxFitter
from cardpose.geometry.keypoints import FLIP, KEYPOINTS
from cardpose.labelling import propose
from cardpose.labelling.evidence import weigh
from cardpose.labelling.proposals import Proposals, read_proposals, write_proposals
from cardpose.labelling.views import View, view_recording
from cardpose.network.model import CardPose, network_shape
from cardpose.network.weights import save_network
from cardpose.pictures.letterbox import unit_to_fractions
from cardpose.rendering.videos import render_dataset

SMALL = 320, 240  # the network's picture
THICK = 9.0  # mm, thirty cards
UL_FACE, UR_FACE, UL_BACK, UR_BACK, LL_FACE, LR_FACE, LL_BACK, LR_BACK = range(8)


def viewed(points, visible, thickness=THICK, traced=None):
    """What a network would say that finds keypoints at these places, (n, 8, 2) pixels of pictures
    640 x 480, and traces the edges of a box that has its keypoints there, or at `traced`: a
    `View`."""
    points = points * (SMALL[0] / SIZE[0])
    fitter = BoxFitter(BoxModel(SMALL, FOCAL, CARD, 52))
    known = torch.full((len(points),), thickness)
    pose, names = fitter.fit(torch.from_numpy(points), torch.from_numpy(visible), known)
    box = fitter.box.keypoints(pose).numpy()
    peaks = np.where(visible, 1.0, 0.1)
    numbers = pose.numbers.numpy()
    logits = np.where(visible, 5.0, -5.0)
    weight = np.where(visible, 1.0, 0.0)
    return View(
        *(points, logits, peaks, weight, pose.rotation.numpy(), numbers, names.numpy()),
        *(box, box.copy() if traced is None else traced / 2),
    )


def proposed(points, visible, thickness=THICK, traced=None):
    """Places in pixels of 640 x 480, visibility and confidence, for what `viewed` takes."""
    sizes = np.tile(SIZE, (len(points), 1))
    view = viewed(points, visible, thickness, traced)
    evidence = weigh(view, sizes, SMALL, thickness, FOCAL, CARD)
    return unit_to_fractions(evidence.points, sizes) * SIZE, *evidence.judge(), evidence


# What is proposed


def test_what_agrees_with_a_box_is_left_as_it_is():
    true, shown = seen(range(-140, -40, 10), THICK)
    points, visible, confidence, evidence = proposed(true, shown)
    assert abs(points - true)[shown].max() < 0.5
    assert (visible == shown).all()
    assert confidence[shown].min() > 0.9
    assert evidence.box_error.max() < 0.5


def test_a_corner_far_off_is_put_where_the_box_has_it():
    true, shown = seen(range(-140, -40, 10), THICK)
    spoilt = true.copy()
    spoilt[4, LR_BACK] += [60, -40]
    points, _, confidence, _ = proposed(spoilt, shown, traced=true)
    assert np.linalg.norm(points[4, LR_BACK] - true[4, LR_BACK]) < 3
    assert abs(points - true)[shown].max() < 4
    assert confidence[4].argmin() == LR_BACK
    assert confidence[4, LR_BACK] < 0.7 < np.delete(confidence[4], LR_BACK)[shown[4, :7]].min()


@pytest.mark.parametrize("azimuth", [-100, -60, 35])
def test_exchanged_names_are_put_right(azimuth):
    """A network that mistakes left for right finds all corners, under the wrong names."""
    true, shown = seen([azimuth - 10, azimuth, azimuth + 10], THICK)
    mixed, known = true.copy(), shown.copy()
    mixed[1], known[1] = true[1, list(FLIP)], shown[1, list(FLIP)]
    points, visible, *_ = proposed(mixed, known)
    assert (visible == shown).all()
    assert abs(points - true)[shown].max() < 1


def test_hidden_corners_have_places_too():
    true, shown = seen(range(-140, -40, 10), THICK)
    blind = np.where(shown[..., None], true, 7.0)
    points, visible, *_ = proposed(blind, shown)
    hidden = ~shown[:, UL_FACE]
    assert hidden.any()
    assert not visible[hidden, UL_FACE].any()
    # The median of the box's two places and of one that means nothing.
    assert np.linalg.norm(points - true, axis=2)[hidden, UL_FACE].max() < 2


def test_the_box_says_what_is_visible_where_the_network_cannot():
    true, shown = seen(range(-140, -40, 10), THICK)
    sizes = np.tile(SIZE, (len(true), 1))
    view = viewed(true, shown)
    view.logits[5] = np.where(shown[5], 0.3, -0.3)
    view.logits[5, UL_FACE] = 0.2 if not shown[5, UL_FACE] else -0.2
    visible, _ = weigh(view, sizes, SMALL, THICK, FOCAL, CARD).judge()
    assert (visible[5] == shown[5]).all()


def test_where_no_box_fits_the_networks_word_stands():
    true, shown = seen(range(-140, -40, 10), THICK)
    stray = true.copy()
    stray[2] = np.random.default_rng(1).uniform([0, 0], SIZE, (8, 2))
    points, _, confidence, evidence = proposed(stray, shown)
    assert points[2] == pytest.approx(stray[2], abs=1e-3)
    assert evidence.box_error[2] > 8
    assert confidence[2][shown[2]].max() < confidence[3][shown[3]].min()
    assert np.delete(abs(points - true), 2, axis=0)[np.delete(shown, 2, axis=0)].max() < 1


def test_a_frame_that_shows_nothing_is_all_hidden():
    true, shown = seen(range(-140, -40, 10), THICK)
    shown[0] = False
    points, visible, confidence, _ = proposed(true, shown)
    assert not visible[0].any()
    assert np.isfinite(points).all()
    assert np.isfinite(confidence).all()


def test_long_recordings_are_fitted_in_parts():
    true, shown = seen(np.linspace(-140, -40, 120), THICK)
    points, *_ = proposed(true, shown)
    assert abs(points - true)[shown].max() < 1


@pytest.mark.parametrize("azimuth", range(5, 360, 30))
def test_only_faces_inside_the_outline_are_hidden(azimuth):
    points, shown = seen([azimuth], THICK)
    *_, evidence = proposed(points, shown)
    out = evidence.visibility_features[0, :, 1]
    assert (out[~shown[0]] < 0).all()
    assert (out[:2][shown[0, :2]] > 0).all()
    assert (out[4:6][shown[0, 4:6]] > 0).all()


# What a network sees


def test_looking_in_batches_sees_what_single_looks_see():
    torch.manual_seed(0)
    network = CardPose(**network_shape(ABOUT)).eval()
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (48 + k, 64, 3), np.uint8) for k in range(11)]
    done = []
    together = view_recording(network, pictures, 3.0, done.append)
    assert sum(done) == 11
    assert len(done) > 1  # some at a time
    alone = view_recording(network, pictures[9:10], 3.0)
    for whole, one in zip(together, alone, strict=True):
        assert len(whole) == 11
        assert np.allclose(whole[9], one[0], atol=1e-2)
    channels = network(torch.from_numpy(pictures[0][None, ..., ::-1].copy()).permute(0, 3, 1, 2))
    assert np.allclose(together.logits[0], channels[2].detach().numpy()[0], atol=1e-4)


# The file


def test_proposals_are_read_as_they_were_written(tmp_path):
    rng = np.random.default_rng(0)
    frames = ["NA_frame_0", "a_frame_b_frame_20"]
    some = Proposals(frames, rng.normal(0.5, 1, (2, 8, 2)), rng.random((2, 8)) > 0.5, np.eye(2, 8))
    write_proposals(tmp_path / "proposals.csv", some)
    again = read_proposals(tmp_path / "proposals.csv")
    assert again.frames == frames
    assert again.points == pytest.approx(some.points, abs=1e-6)
    assert (again.visible == some.visible).all()
    assert (again.confidence == some.confidence).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("1.000000", "1.5"), ["line 2", "upper_left_face_confidence", "between 0 and 1", "1.5"]),
        (("a_frame_0", "a0"), ["line 2", "frame", "MyVideo_frame_20"]),
        (("upper_left_face_confidence", "sure"), ["no column upper_left_face_confidence"]),
        (("0.250000", ""), ["line 2", "upper_left_face_x"]),
    ],
)
def test_damaged_proposals_are_refused(tmp_path, complains, change, words):
    path = tmp_path / "proposals.csv"
    places, confidence = np.full((1, 8, 2), 0.5), np.eye(1, 8)
    places[0, 0] = 0.25, 0.75
    write_proposals(path, Proposals(["a_frame_0"], places, np.ones((1, 8), bool), confidence))
    path.write_text(path.read_text().replace(*change, 1))
    with complains(str(path), *words):
        read_proposals(path)


# The command


@pytest.fixture
def network_file(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "network" / "small.safetensors"
    path.parent.mkdir()
    save_network(path, CardPose(**network_shape(ABOUT)).state_dict(), ABOUT)
    return path


@pytest.fixture
def start(capsys):
    def start(dataset, *more):
        with pytest.raises(SystemExit) as end:
            main.main(["label", "start", str(dataset), *map(str, more)])
        return end.value.code, *capsys.readouterr()

    return start


def kept(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_every_sampled_frame_gets_a_proposal(small_dataset, network_file, start):
    before = kept(small_dataset)
    status, out, _ = start(small_dataset, "--model", network_file, "--threads", 1)
    assert status == 0
    folder = small_dataset / "labelling"
    index = pd.read_csv(folder / "frames" / "index.csv")
    proposals = read_proposals(folder / "proposals.csv")
    # Of the video, frames 0 and 20; of the folder all.
    expected = ["clip_frame_0", "clip_frame_20"] + [f"shots_frame_{i}" for i in (0, 2, 10)]
    assert proposals.frames == index["frame"].tolist() == expected
    assert ((proposals.points >= 0) & (proposals.points <= 1))[proposals.visible].all()
    assert not (folder / "seen.csv").exists()
    (line,) = out.strip().splitlines()
    assert line.startswith("5 frames of 2 recordings; ")
    assert str(folder / "proposals.csv") in line
    after = kept(small_dataset)
    assert {name: after[name] for name in before} == before


def test_once_more_gives_the_same_and_keeps_what_people_made(small_dataset, network_file, start):
    start(small_dataset, "--model", network_file)
    (small_dataset / "labelling" / "next.csv").write_text("frame\nclip_frame_0\n")
    (small_dataset / "labelling" / "exported.json").write_text("[]")
    before = kept(small_dataset)
    assert start(small_dataset, "--model", network_file)[0] == 0
    assert kept(small_dataset) == before


def test_rendered_recordings_get_their_own_corners(tmp_path, network_file, start, monkeypatch):
    """With a network in whose place stands what it should say, all of it, up to the file."""
    files = [tmp_path / "mine" / name for name in ("videos", "annotations.csv", "videos.csv")]
    render_dataset(*files, count=2, frames=41, seed=5)
    frames, points, visible, _ = read_annotations(files[1])
    truth = {frame: (points[k], visible[k]) for k, frame in enumerate(frames)}
    recordings = iter(["packet_01", "packet_02"])

    def stand_in(network, pictures, thickness, progress):
        n = len(list(pictures))
        assert n == 3
        progress(n)
        name = next(recordings)
        assert thickness == pytest.approx(0.3 * int(name[-2:]))
        rows = [truth[f"{name}_frame_{20 * k}"] for k in range(n)]
        at, shown = (np.stack(part) for part in zip(*rows, strict=True))
        at = np.nan_to_num(at, nan=0.5) * SIZE
        return viewed(at, shown, thickness)

    metadata = ABOUT | {"image_size": list(SMALL)}
    network = CardPose(**network_shape(metadata))
    monkeypatch.setattr(propose, "view_recording", stand_in)
    monkeypatch.setattr(propose, "load_network", lambda path: (network, metadata))
    assert start(tmp_path / "mine", "--model", network_file)[0] == 0
    found = read_proposals(tmp_path / "mine" / "labelling" / "proposals.csv")
    assert len(found.frames) == 6
    assert {split_frame_name(frame)[0] for frame in found.frames} == {"packet_01", "packet_02"}
    for frame, at, shown in zip(found.frames, found.points, found.visible, strict=True):
        true, visible = truth[frame]
        both = shown & visible
        assert both.sum() >= visible.sum() - 1
        assert (abs(at - true) * SIZE)[both].max() < 3


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.safetensors", None, ["none.safetensors", "no such file"]),
        ("some.onnx", b"", ["some.onnx", ".safetensors"]),
        ("bad.safetensors", b"no network", ["bad.safetensors", "network that cardpose trained"]),
    ],
)
def test_a_network_that_is_none_is_named(small_dataset, tmp_path, start, name, content, words):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    status, out, err = start(small_dataset, "--model", path)
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert all(word in err for word in words)
    assert not (small_dataset / "labelling").exists()


def test_the_usual_network_comes_with_the_repository(small_dataset, tmp_path, start, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, err = start(small_dataset)
    assert status == 1
    assert "models/pretrained.safetensors: there is no such file: it comes with" in err


def test_what_cannot_be_read_is_named_and_older_proposals_stay(
    small_dataset, network_file, start, tmp_path
):
    start(small_dataset, "--model", network_file)
    before = kept(small_dataset / "labelling")
    (small_dataset / "videos" / "clip.mp4").write_bytes(b"no video")
    status, _, err = start(small_dataset, "--model", network_file)
    assert status == 1
    assert "clip.mp4: cannot be opened as a video" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert kept(small_dataset / "labelling") == before
    (small_dataset / "videos.csv").unlink()
    status, _, err = start(small_dataset, "--model", network_file)
    assert (status, err.count("\n")) == (1, 1)
    assert "videos.csv: cannot be read" in err
    status, _, err = start(tmp_path / "nowhere", "--model", network_file)
    assert (status, err.count("\n")) == (1, 1)
    assert "nowhere: there is no such folder" in err


def test_so_many_threads_make_no_sense(small_dataset, network_file, start):
    status, _, err = start(small_dataset, "--model", network_file, "--threads", "0")
    assert status == 2
    assert "whole number above 0" in err


def test_names_of_columns_are_those_of_keypoints(tmp_path):
    some = Proposals(["a_frame_0"], np.zeros((1, 8, 2)), np.ones((1, 8), bool), np.ones((1, 8)))
    write_proposals(tmp_path / "p.csv", some)
    columns = pd.read_csv(tmp_path / "p.csv").columns
    assert {f"{name}_confidence" for name in KEYPOINTS} < set(columns)
