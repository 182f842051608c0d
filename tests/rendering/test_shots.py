"""Rendered pictures for pretraining: reproducible, and no two packets alike."""

import cv2
import numpy as np
import pytest
import torch

from cardpose.dataset.names import split_frame_name
from cardpose.geometry.box import BoxModel
from cardpose.geometry.box_fit import BoxFitter
from cardpose.geometry.card import FOCAL
from cardpose.rendering.backs import draw_varied_back
from cardpose.rendering.deck import DECK
from cardpose.rendering.scenes import HEIGHT, WIDTH
from cardpose.rendering.shots import VIEWS, render_shots, shoot
from cardpose.rendering.textures import draw_varied_table

PAPER = np.array([230.0, 235.0, 240.0])
POKER = 63, 88, 0.3


@pytest.fixture(scope="module")
def surfaces():
    """60 tables and 60 backs."""
    tables = [draw_varied_table(np.random.default_rng([0, i])) for i in range(60)]
    return tables, [
        draw_varied_back(np.random.default_rng([0, i]), PAPER, POKER) for i in range(60)
    ]


def written(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_seed_gives_the_same_files_however_many_are_rendered_in_parallel(tmp_path):
    render_shots(tmp_path / "a", 5, seed=3, jobs=1)
    frames, points, visible = render_shots(tmp_path / "b", 6, seed=3, jobs=2)
    render_shots(tmp_path / "c", 2, seed=4, jobs=1)
    a, b, c = (written(tmp_path / name) for name in "abc")
    assert a == b
    assert len(set(b.values())) == 6
    assert not set(b.values()) & set(c.values())
    assert (points.shape, visible.shape) == ((6, 8, 2), (6, 8))
    assert frames["file"].tolist() == sorted(b)
    for frame in frames.itertuples():
        picture = cv2.imread(str(tmp_path / "b" / frame.file))
        assert picture.shape == (frame.height, frame.width, 3)
        assert split_frame_name(frame.frame)[0] == frame.recording
    assert frames["frame"].is_unique


def test_there_are_as_many_rows_as_asked_for_and_counts_take_turns(tmp_path):
    n = VIEWS * (DECK + 1) + 1  # the last packet has fewer than VIEWS
    frames, points, visible = render_shots(tmp_path / "shots", n, seed=0, jobs=2)
    assert len(frames) == len(points) == len(visible) == n
    counts = frames.groupby("recording")["cards_counted"].unique()
    assert [count.tolist() for count in counts] == [[1 + i % DECK] for i in range(DECK + 2)]
    assert (frames["total_cards"] == DECK).all()


@pytest.mark.parametrize("index", [7, 25, 51])
def test_a_box_of_the_packets_thickness_fits_the_keypoints(index):
    pictures, points, visible, cards = shoot(0, index)
    assert cards == index + 1
    (height, width), longer = pictures.shape[1:3], max(WIDTH, HEIGHT)
    assert {height, width} == {HEIGHT, WIDTH}
    inside = ((points >= 0) & (points <= [width, height])).all(axis=2)
    assert not (visible & ~inside).any()
    fitter = BoxFitter(BoxModel((width, height), FOCAL * longer / width, POKER, DECK))
    height = torch.full((VIEWS,), 0.3 * cards, dtype=torch.float64)
    pose, names = fitter.fit(torch.from_numpy(points), torch.from_numpy(visible), height)
    named = np.take_along_axis(points, names.numpy()[..., None], 1)
    off = fitter.box.keypoints(pose).numpy() - named
    assert np.linalg.norm(off, axis=2)[np.take_along_axis(visible, names.numpy(), 1)].max() < 6


def test_some_packets_are_photographed_in_portrait_format_and_cut_off_as_seldom():
    shots = [shoot(1, index) for index in range(120)]
    portrait = np.array([s.pictures.shape[1] > s.pictures.shape[2] for s in shots])
    assert {s.pictures.shape[1:] for s in shots} == {(480, 640, 3), (640, 480, 3)}
    assert 0.1 < portrait.mean() < 0.3
    back = [2, 3, 6, 7]
    whole = np.array([s.visible[:, back].all(axis=1).mean() for s in shots])
    assert whole[portrait].mean() > 0.75
    assert whole[~portrait].mean() > 0.8


def test_two_packets_of_one_count_show_different_scenes():
    first, second = shoot(0, 3), shoot(0, 3 + DECK)
    assert first.cards == second.cards
    small = [cv2.resize(np.float32(shots.pictures[0]), (8, 8)) for shots in (first, second)]
    assert np.linalg.norm(small[0] - small[1]) > 50
    assert not np.allclose(first.points, second.points, atol=5)


def test_no_two_tables_and_no_two_backs_are_alike(surfaces):
    for pictures in surfaces:
        small = [cv2.resize(np.float32(picture), (8, 8)).ravel() for picture in pictures]
        apart = np.linalg.norm(np.stack(small)[:, None] - small, axis=2)
        assert apart[np.triu_indices(len(small), 1)].min() > 1


def test_a_part_of_the_backs_is_printed_to_the_edge(surfaces):
    edges = [np.concatenate([back[0], back[-1], back[:, 0], back[:, -1]]) for back in surfaces[1]]
    white = np.array([(abs(edge - PAPER) < 8).all(axis=1).mean() for edge in edges])
    assert 10 < (white < 0.5).sum() < 50


def test_tables_range_from_plain_to_full_of_shapes(surfaces):
    # Share of a table's pixels on a sharp boundary.
    busy = []
    for table in surfaces[0]:
        grey = np.clip(table, 0, 255).astype(np.uint8).mean(axis=2).astype(np.uint8)
        busy.append((cv2.Canny(cv2.GaussianBlur(grey, (0, 0), 2), 20, 60) > 0).mean())
    assert min(busy) < 0.001
    assert max(busy) > 0.03
