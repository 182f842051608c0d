"""Input that looks odd and does no harm is read."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bad_input import (
    FILES,
    LABELS,
    SEEN,
    SHOT,
    TRAINED,
    VIDEOS,
    complaint,
    contents,
    edit,
    fails,
    gone,
    params,
    spoil,
    stage,
)
from dvc.utils.serialize import dumps_yaml, loads_yaml
from PIL import Image
from support import SMALLEST

from cardpose.cli import main
from cardpose.common.errors import run_stage
from cardpose.common.files import atomic_output
from cardpose.dataset.annotations import read_annotations
from cardpose.dataset.recordings import read_recordings
from cardpose.dataset.splits import split_frames
from cardpose.network.model import CardPose, network_shape
from cardpose.network.weights import save_network
from cardpose.params import load_params
from cardpose.pictures.reading import read_picture
from cardpose.pictures.videos import sampled_frames

pytestmark = pytest.mark.usefixtures("no_workers")


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("plain.mp4", (48, 64)),
        ("faststart.mp4", (48, 64)),
        ("plain.mkv", (48, 64)),
        ("variable_rate.mp4", (48, 64)),  # frames are counted, whatever time they are shown at
        ("ten_bit.mp4", (48, 64)),
        ("odd_size.mp4", (77, 101)),
        ("changing_size.ts", (48, 64)),  # later frames are scaled to the size of the first
    ],
)
def test_odd_videos_give_the_right_frames(name, size):
    *frames, (count, _) = sampled_frames(FILES / name, 7)
    assert count == 25
    assert [index for index, _ in frames] == [0, 7, 14, 21]
    for index, picture in frames:
        assert picture.shape == (*size, 3)
        assert abs(picture.astype(int) - 10 * index).max() <= 3


def test_a_video_that_was_filmed_upright_is_shown_upright():
    (_, picture), *_ = sampled_frames(FILES / "rotated.mp4", 25)
    assert picture.shape == (64, 48, 3)
    # The bright corner, stored at the top left, has been turned by 90 degrees.
    corners = {(r, c): picture[r, c].mean() for r in (4, -5) for c in (4, -5)}
    assert sorted(value > 200 for value in corners.values()) == [False, False, False, True]
    assert max(corners, key=corners.get) in [(4, -5), (-5, 4)]


RED, BGR = (200, 100, 40), (40, 100, 200)
FLAT = Image.new("RGB", (64, 48), RED)
ODD = [
    # what, file, how to write it, (height, width), its colour
    ("grey", "a.png", Image.new("L", (64, 48), 77).save, (48, 64), 77),
    ("alpha", "a.png", Image.new("RGBA", (64, 48), (*RED, 9)).save, (48, 64), BGR),
    ("CMYK", "a.jpg", FLAT.convert("CMYK").save, (48, 64), BGR),
    ("a palette", "a.png", FLAT.quantize(4).save, (48, 64), BGR),
    ("black and white", "a.png", Image.new("1", (64, 48), 1).save, (48, 64), 255),
    ("16 bits", "a.png", Image.new("I;16", (64, 48), 77 * 257).save, (48, 64), 77),
    ("one pixel", "a.png", Image.new("RGB", (1, 1), RED).save, (1, 1), BGR),
    ("a line", "a.png", Image.new("RGB", (5000, 1), RED).save, (1, 5000), BGR),
    ("a GIF in disguise", "a.jpg", lambda path: gif(path), (48, 64), BGR),
    ("a PNG in disguise", "a.jpg", lambda path: FLAT.save(path, "PNG"), (48, 64), BGR),
    ("100 megapixels", "a.png", lambda path: huge().save(path), (5_000, 5_000), 77),
]


def huge():
    return Image.new("L", (10_000, 10_000), 77)


def gif(path):
    first, second = (Image.new("RGB", (64, 48), colour) for colour in (RED, (0, 0, 250)))
    first.save(path, "GIF", save_all=True, append_images=[second])


@pytest.mark.parametrize(
    ("name", "make", "size", "colour"), [o[1:] for o in ODD], ids=[o[0] for o in ODD]
)
def test_odd_pictures_are_read(tmp_path, capfd, name, make, size, colour):
    make(tmp_path / name)
    picture = read_picture(tmp_path / name)
    assert (picture.shape, picture.dtype) == ((*size, 3), np.uint8)
    assert abs(picture[:: size[0] // 2 + 1, :: size[1] // 2 + 1].astype(int) - colour).max() <= 3
    assert capfd.readouterr().err == ""


def test_a_packet_is_looked_for_in_a_single_pixel(repository, stand_in, capfd):
    Image.new("RGB", (1, 1), (250, 250, 250)).save("dot.png")
    with pytest.raises(SystemExit) as ended:
        main.main(["predict", "dot.png", "--model", str(stand_in)])
    assert ended.value.code == 0
    assert "25.0" in capfd.readouterr().out


DIALECTS = {
    "byte order mark": lambda text: ("\ufeff" + text).encode(),
    "Windows line ends": lambda text: text.replace("\n", "\r\n").encode(),
    "old Macintosh line ends": lambda text: text.replace("\n", "\r").encode(),
    "quotes": lambda text: re.sub(r"[^,\n]+", r'"\g<0>"', text).encode(),
    "spaces": lambda text: text.replace(",", " , ").encode(),
    "blank lines": lambda text: text.replace("\n", "\n\n").encode(),
    "no last line end": lambda text: text.rstrip("\n").encode(),
    "spare columns": lambda text: text.replace("\n", ",note\n").encode(),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_tables_may_come_from_any_program(repository, dialect):
    recordings_before, labels_before = read_recordings("data/mine"), read_annotations(LABELS)
    for path in (VIDEOS, LABELS):
        Path(path).write_bytes(DIALECTS[dialect](Path(path).read_text()))
    assert read_recordings("data/mine") == recordings_before
    frames, points, visible, _ = read_annotations(LABELS)
    assert frames == labels_before[0]
    np.testing.assert_array_equal(points, labels_before[1])
    np.testing.assert_array_equal(visible, labels_before[2])


@pytest.mark.parametrize(("unlabelled", "taken"), [(True, (0, 5, 10, 15, 20)), (False, (0, 5))])
def test_what_is_not_sampled_is_left_out_and_what_is_not_labelled_if_so_wished(
    repository, unlabelled, taken
):
    values = loads_yaml(Path("params.yaml").read_text()) | {"unlabelled": unlabelled}
    Path("params.yaml").write_text(dumps_yaml(values))
    stage("make_heatmaps")
    frames = pd.read_csv("data/tensors/frames.csv")["frame"].tolist()
    # Frame 7 is labelled and not sampled; 10, 15 and 20 are sampled and not labelled.
    assert frames == [f"{name}_frame_{i}" for name in ("clip", "film") for i in taken] + [
        f"shots_frame_{i}" for i in range(3)
    ]
    labelled = np.load("data/tensors/known.npy").all(axis=1)
    assert [frame for frame, known in zip(frames, labelled, strict=True) if known] == [
        frame for frame in frames if frame.endswith(("_0", "_5")) or frame.startswith("shots")
    ]


def test_a_gap_in_a_folder_of_pictures_is_no_fault_where_no_label_names_it(repository, capfd):
    gone(SHOT)(repository)
    stage("extract_frames")
    before = contents(repository)
    with pytest.raises(SystemExit):
        stage("make_heatmaps")
    assert "1 label without a frame: shots_frame_1" in complaint(capfd.readouterr().err)
    assert contents(repository) == before
    edit(LABELS, f"shots_frame_1{SEEN}\n", "")(repository)
    stage("make_heatmaps")
    frames = pd.read_csv("data/tensors/frames.csv")["frame"].tolist()
    assert frames[-2:] == ["shots_frame_0", "shots_frame_2"]


def test_a_held_out_recording_may_be_named_twice(repository):
    settings = load_params("params.yaml").split
    frames, cards = ["a", "a", "b", "b"], [3, 3, 4, 4]
    twice, once = (settings.model_copy(update={"test_videos": n}) for n in (["a", "a"], ["a"]))
    roles = [split_frames(frames, cards, each, seed=0).tolist() for each in (twice, once)]
    assert roles[0] == roles[1] == ["test", "test", "train", "train"]


def test_a_network_that_learnt_no_numbers_is_not_kept(repository, capfd):
    state = CardPose(**network_shape(SMALLEST)).state_dict()
    spoil(state)

    def work():
        with atomic_output(TRAINED) as path:
            save_network(path, state, SMALLEST)

    fails(repository, capfd, lambda: run_stage(work), [TRAINED, "learning rates were too high"])


def test_a_step_beyond_the_end_takes_the_first_frame(repository):
    params(frame_step=1_000_000)(repository)
    stage("extract_frames")
    frames = pd.read_csv("data/frames/index.csv")["frame"].tolist()
    assert frames == ["clip_frame_0", "film_frame_0", *(f"shots_frame_{i}" for i in range(3))]
