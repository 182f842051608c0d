"""Write and read tensors."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from cardpose.dataset.tensors import read_tensors, write_tensors


@pytest.fixture
def write(tmp_path):
    """write([(picture as BGR, {keypoint: (x, y)}, cards, deck), ...]) makes and reads tensors."""

    def write(rows, image_size=(64, 48), stride=4, sigma=1.0, mask=None):
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
            folder, tmp_path / "frames", frames, points, visible, image_size, stride, sigma, mask
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


def test_an_unlabelled_keypoint_is_masked_and_has_no_place(write):
    mask = np.arange(8) != [[3], [5]]
    tensors = write([(plain(), {3: (0.5, 0.5), 5: (0.2, 0.2)}, 1, 52)] * 2, mask=mask)
    assert (tensors.mask == mask).all()
    assert tensors.visible.nonzero()[1].tolist() == [5, 3]
    assert (tensors.heatmaps.any(axis=(2, 3)) == tensors.visible).all()
    assert (tensors.points.any(axis=2) == tensors.visible).all()


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


def test_a_portrait_picture_gets_grey_margins(write):
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


def test_more_frames_than_fit_into_one_piece_keep_their_order(write):
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
