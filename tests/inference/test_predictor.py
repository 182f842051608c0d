"""The Python interface: results, recordings, refused inputs and files."""

import pickle
import subprocess
import sys
import textwrap
from dataclasses import replace
from io import BytesIO

import cv2
import jaxtyping
import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from support import ABOUT, REPOSITORY, seen, with_orientation

from cardpose.geometry.box import BoxModel
from cardpose.geometry.box_fit import BoxFitter
from cardpose.geometry.box_information import box_information
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.geometry.projection import Pose
from cardpose.geometry.recording_count import contributions
from cardpose.inference.end_to_end import EndToEnd
from cardpose.inference.predictor import Predictor, load
from cardpose.inference.result import Result
from cardpose.network.model import CardPose, network_shape
from cardpose.network.weights import load_network, save_network
from cardpose.pictures.letterbox import fit, fractions_to_fitted


@pytest.fixture
def network_file(tmp_path):
    """A small untrained network that is sure of a packet, as a .safetensors file."""
    torch.manual_seed(0)
    network = CardPose(**network_shape(ABOUT))
    torch.nn.init.ones_(network.heatmaps.bias)
    metadata = {**ABOUT, "margins": {"picture": 1.0, "keypoints": 2.0, "both": 3.0}}
    save_network(tmp_path / "network.safetensors", network.state_dict(), metadata)
    return tmp_path / "network.safetensors"


def picture(height=48, width=64, bgr=(50, 60, 70), bright=(20, 10)):
    made = np.full((height, width, 3), bgr, np.uint8)
    made[bright[1], bright[0]] = 255
    return made


# What comes out


def test_a_result_has_all_outputs_of_the_network(stand_in):
    result = load(stand_in).predict(picture())
    # 70 / 10, and a little for the bright pixel; 1 below and 2 above.
    assert result.cards == pytest.approx(7.0, abs=0.01)
    assert (result.low, result.high) == pytest.approx((result.cards - 1, result.cards + 2))
    assert result.confidence == 1
    assert result.packet
    assert (result.width, result.height) == (64, 48)
    assert result.keypoints.shape == (8, 2)
    assert result.keypoints[0] == pytest.approx([20.5, 10.5])
    assert result.keypoints[5] == pytest.approx([0.5 * 64, 0.25 * 48])
    assert result.visibility == pytest.approx([0.9] * 6 + [0.1] * 2)
    assert result.visible.tolist() == [True] * 6 + [False] * 2


@pytest.mark.parametrize(("grey", "there"), [(0, False), (9, False), (11, True)])
def test_no_packet_is_below_half_confidence(stand_in, grey, there):
    assert load(stand_in).predict(np.full((48, 64, 3), grey, np.uint8)).packet is there


def test_pictures_are_bgr_unless_rgb_is_true(stand_in):
    predictor = load(stand_in)
    made = picture(bgr=(50, 60, 70))
    assert predictor.predict(made).cards == pytest.approx(7, abs=0.01)
    assert predictor.predict(made, rgb=True).cards == pytest.approx(5, abs=0.01)
    assert predictor.predict_batch([made], rgb=True)[0].cards == pytest.approx(5, abs=0.01)


def test_a_batch_of_many_sizes_keeps_its_order(stand_in):
    predictor = load(stand_in)
    sizes = [(1 + 2 * i, 60 - i) for i in range(30)] * 2 + [(48, 64)] * 10
    made = [
        picture(h, w, bgr=(0, 0, 100 + i), bright=(i % w, i % h)) for i, (h, w) in enumerate(sizes)
    ]
    results = predictor.predict_batch(made)
    for i, ((height, width), result) in enumerate(zip(sizes, results, strict=True)):
        assert (result.width, result.height) == (width, height)
        assert result.keypoints[0].tolist() == [i % width + 0.5, i % height + 0.5]
    assert predictor.predict_batch([]) == []
    again = predictor.predict_batch(np.stack(made[60:]))
    assert [r.cards for r in again] == pytest.approx([r.cards for r in results[60:]])


def test_pictures_may_be_views_of_arrays(stand_in):
    half = picture(96, 128, bright=(40, 20))[::2, ::2]
    predictor = load(stand_in)
    assert predictor.predict(half).keypoints[0].tolist() == [20.5, 10.5]
    # Turned left by 90 degrees, x becomes height - x.
    assert predictor.predict(np.rot90(half)).keypoints[0].tolist() == [10.5, 43.5]


def test_the_predictor_returns_what_the_end_to_end_module_returns(network_file):
    rng = np.random.default_rng(0)
    made = rng.integers(0, 256, (2, 50, 70, 3), np.uint8)
    predictor = load(network_file)
    network = EndToEnd(*load_network(network_file), "both").eval()
    with torch.inference_mode():
        expected = network(torch.from_numpy(made))
    for i, result in enumerate(predictor.predict_batch(made[..., ::-1])):
        assert result.cards == pytest.approx(float(expected.cards[i]), abs=1e-4)
        assert result.high - result.cards == pytest.approx(3)
        assert result.keypoints == pytest.approx(expected.keypoints[i].numpy(), abs=1e-3)
        assert result.visibility == pytest.approx(expected.visibility[i].numpy(), abs=1e-5)
        assert result.confidence == pytest.approx(float(expected.confidence[i]), abs=1e-5)
        assert result.packet


def test_all_kinds_of_pictures_give_the_same_result(stand_in, tmp_path):
    upright = picture(90, 60, bright=(40, 20))
    cv2.imwrite(str(tmp_path / "a.png"), upright)
    with_orientation(upright, 6, tmp_path / "turned.jpg")
    predictor = load(stand_in)
    expected = predictor.predict(upright)
    kinds = [
        (tmp_path / "a.png", False),
        (str(tmp_path / "a.png"), True),  # rgb is only for arrays
        (Image.open(tmp_path / "a.png"), False),
        (Image.open(tmp_path / "turned.jpg"), False),
        (upright[..., ::-1], True),
        (np.ma.masked_less(upright, 30), False),
    ]
    for kind, rgb in kinds:
        found = predictor.predict(kind, rgb)
        assert (found.width, found.height) == (60, 90)
        assert found.cards == pytest.approx(expected.cards, abs=0.05)
        assert found.keypoints[0] == pytest.approx(expected.keypoints[0], abs=1)
        assert type(found.draw(kind, rgb)) is np.ndarray


def test_unreadable_files_and_deep_images_are_refused(stand_in, complains, tmp_path):
    predictor = load(stand_in)
    with complains("none.jpg", "No such file"):
        predictor.predict(tmp_path / "none.jpg")
    with complains("8 bits", "I;16"):
        predictor.predict(Image.fromarray(np.zeros((48, 64), np.uint16)))
    with complains("null"):
        predictor.predict("none\0.jpg")
    jpeg = cv2.imencode(".jpg", picture(300, 400))[1].tobytes()
    with complains("an image cannot be read", "truncated"):
        predictor.predict(Image.open(BytesIO(jpeg[: len(jpeg) // 2])))


def test_named_corners_are_nan_where_they_cannot_be_seen(stand_in):
    result = load(stand_in).predict(picture())
    assert tuple(result.corners) == KEYPOINTS
    assert result.corners["upper_left_face"] == (20.5, 10.5)
    assert result.corners["lower_right_face"] == pytest.approx((32, 12))
    assert np.isnan(result.corners["lower_left_back"]).all()  # hidden
    assert np.isfinite(result.keypoints).all()
    empty = load(stand_in).predict(picture(bgr=(0, 0, 0)))
    assert np.isnan(list(empty.corners.values())).all()


def test_a_result_is_short_in_words(stand_in):
    predictor = load(stand_in)
    assert repr(predictor.predict(picture())) == "Result(7.0 cards, 6.0 to 9.0, 6 of 8 corners)"
    without = replace(predictor.predict(picture()), low=np.nan, high=np.nan)
    assert repr(without) == "Result(7.0 cards, 6 of 8 corners)"
    assert repr(predictor.predict(picture(bgr=(0, 0, 0)))) == "Result(no packet)"


def test_a_result_is_drawn_into_a_copy(stand_in, complains):
    made = picture(240, 320)
    before = made.copy()
    result = load(stand_in).predict(made)
    drawn = result.draw(made)
    assert (made == before).all()
    assert drawn.shape == made.shape
    for corner, is_drawn in ((5, True), (7, False)):  # visible and hidden
        x, y = result.keypoints[corner].astype(int)
        near = slice(y - 6, y + 6), slice(x - 6, x + 6)
        assert (drawn[near] != made[near]).any() == is_drawn
    assert (result.draw(made[..., ::-1], rgb=True) == drawn[..., ::-1]).all()
    with complains("320 x 240", "64 x 48"):
        result.draw(picture())


# Recordings


def never_run(pictures, boxes):
    raise AssertionError("recordings are counted from results")


def filmed(thickness, size):
    """Return results of a walk round a packet, each with a count of 12 cards, and their predictor.

    `thickness` is in mm; `size` is that of the pictures.
    """
    network_size = [320, 240]
    points, visible = seen(range(-140, -40, 10), thickness)
    # From the middle of 640 x 480, with a focal length of 1.06 x the longer side.
    points = (points - [320, 240]) * max(size) / 640 + np.array(size) / 2
    inner, _ = fit(size, network_size)
    fitted = fractions_to_fitted(points / size, [size] * len(points), network_size)
    focal = torch.full((len(points),), 1.06 * max(inner))
    fitter = BoxFitter(BoxModel(network_size, 1.06, (63, 88, 0.3), 52))
    fitted, visible = torch.from_numpy(fitted), torch.from_numpy(visible)
    pose, corners = fitter.fit(fitted, visible, focal=focal)
    ordered = fitted.gather(1, corners[..., None].expand(-1, -1, 2))
    said = box_information(fitter, pose, ordered, visible.gather(1, corners), None, focal)
    visible, corners, *said = (part.numpy() for part in (visible, corners, *said))
    pose = Pose(*(part.numpy() for part in pose))
    rows = zip(points, visible, corners, contributions(*said, visible, pose), strict=True)
    results = [
        Result(
            cards=12.0,
            low=11.0,
            high=13.0,
            keypoints=at.astype(np.float32),
            visibility=shown.astype(np.float32),
            confidence=0.9,
            width=size[0],
            height=size[1],
            box_order=order,
            contribution=contribution,
        )
        for at, shown, order, contribution in rows
    ]
    metadata = {"image_size": network_size, "focal": 1.06, "card": [63, 88, 0.3], "deck": 52}
    return results, Predictor(never_run, {**metadata, "count": "both"})


@pytest.mark.parametrize("size", [(640, 480), (1600, 1200), (480, 640), (1920, 1080)])
def test_a_recording_is_counted_by_its_box(size):
    results, predictor = filmed(6.0, size)
    count = predictor.count_recording(results)
    # 6 mm are 20 cards; the frames say 12, and have little weight.
    assert count.cards == pytest.approx(20, abs=0.8)
    assert count.frames == len(results)


def test_frames_without_a_packet_do_not_count():
    results, predictor = filmed(6.0, (640, 480))
    nothing = [replace(result, confidence=0.4, cards=50.0) for result in results]
    count = predictor.count_recording(results[:5] + nothing + results[5:])
    assert count.cards == pytest.approx(20, abs=0.8)
    assert count.frames == len(results)
    assert predictor.count_recording(nothing) is None
    assert predictor.count_recording([]) is None


def test_a_recording_without_a_box_has_the_median_count_of_its_frames():
    results, predictor = filmed(6.0, (640, 480))
    hidden = [replace(result, contribution=None) for result in results]
    count = predictor.count_recording(hidden)
    assert count.cards == 12
    assert np.isnan(count.thickness)
    # Networks exported with count.from: picture use no box.
    alone = Predictor(never_run, {**predictor.metadata, "count": "picture"})
    assert alone.count_recording(results).cards == 12


def test_the_frames_of_a_recording_may_differ_in_size():
    results, predictor = filmed(6.0, (640, 480))
    others, _ = filmed(6.0, (480, 640))
    count = predictor.count_recording(results[::2] + others[1::2])
    assert count.cards == pytest.approx(20, abs=0.8)


def test_a_recording_has_the_box_and_an_interval():
    results, predictor = filmed(6.0, (640, 480))
    count = predictor.count_recording(results)
    assert count.thickness == pytest.approx(6.0, abs=0.05)
    assert np.isnan([count.low, count.high]).all()  # the network has no margin
    sure = Predictor(never_run, {**predictor.metadata, "recording_margin": 2.0})
    count = sure.count_recording(results)
    assert count.low == pytest.approx(count.cards - (count.high - count.cards))
    assert 0.5 < count.high - count.low < 4
    assert 0.1 < count.covered < 0.5


def test_another_packet_begins_the_count_again():
    results, predictor = filmed(6.0, (640, 480))
    others, _ = filmed(12.0, (640, 480))
    counter = predictor.recording_counter()
    changes = [counter.add(result) for result in results * 2 + others * 2]
    assert sum(changes) == 1
    assert changes.index(True) >= 2 * len(results)
    count = counter.count()
    assert count.cards == pytest.approx(40, abs=1)
    assert count.frames <= 2 * len(others)


# What goes in


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (np.zeros((48, 64, 3), np.float32), ["uint8", "float32", "(48, 64, 3)"]),
        (np.zeros((48, 64), np.uint8), ["(height, width, 3)", "(48, 64)"]),
        (np.zeros((48, 64, 4), np.uint8), ["(48, 64, 4)"]),
        (np.zeros((3, 48, 64), np.uint8), ["(3, 48, 64)"]),
        (np.zeros((1, 48, 64, 3), np.uint8), ["(1, 48, 64, 3)"]),
        (np.zeros((0, 64, 3), np.uint8), ["(0, 64, 3)"]),
        (None, ["a path, a NumPy array or a Pillow image", "None, as cv2.imread returns"]),
        (7, ["a path, a NumPy array or a Pillow image (got 7)"]),
    ],
)
def test_other_arrays_and_objects_are_refused(stand_in, complains, monkeypatch, bad, words):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would refuse them first
    with complains("picture should be", *words):
        load(stand_in).predict(bad)


# Files


def test_a_missing_file_is_named(tmp_path, complains):
    for name in ("a.onnx", "a.safetensors"):
        with complains(f"{tmp_path / name}: there is no such file"):
            load(tmp_path / name)


@pytest.mark.parametrize("name", ["a.onnx", "a.safetensors"])
@pytest.mark.parametrize("content", [b"", b"I am no network.\n" * 9, b"\x80\x04."])
def test_files_of_other_kinds_are_refused(tmp_path, complains, name, content):
    (tmp_path / name).write_bytes(content)
    with complains(f"{tmp_path / name}: should be a network that cardpose"):
        load(tmp_path / name)


def test_networks_of_other_projects_are_refused(tmp_path, complains):
    save_file({"weight": torch.zeros(3)}, tmp_path / "a.safetensors")
    with complains(f"{tmp_path / 'a.safetensors'}: should be a network that cardpose"):
        load(tmp_path / "a.safetensors")
    text = '<ir_version: 10, opset_import: ["": 18]> g (float[1] x) => (float[1] y) {y = Neg(x)}'
    onnx.save(onnx.parser.parse_model(text), tmp_path / "a.onnx")
    with complains(f"{tmp_path / 'a.onnx'}: should be a network that cardpose"):
        load(tmp_path / "a.onnx")


class Bomb:
    """Something that, unpickled, makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("name", ["a.pt", "a.pth", "a.pkl", "a.onnx", "a.safetensors"])
@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_a_pickle_is_refused_unopened(tmp_path, complains, name, how):
    sign = tmp_path / "ran"
    with (tmp_path / name).open("wb") as file:
        {"pickle": pickle.dump, "torch": torch.save}[how](Bomb(sign), file)
    with complains(f"{tmp_path / name}: should be"):
        load(tmp_path / name)
    assert not sign.exists()
    # The bomb is a real one.
    pickle.loads(pickle.dumps(Bomb(sign))).close()
    assert sign.exists()


FORBID = """
import sys

class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise AssertionError(name + " is imported")

sys.meta_path.insert(0, Forbidden())
"""
COUNT = """
import cv2
from cardpose.inference.predictor import load

model, path = sys.argv[1:]
predictor = load(model, threads=1)
result = predictor.predict(cv2.imread(path))
print(predictor.count_recording([result] * 3).frames)
"""


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("stand_in", {"torch", "lightning", "safetensors", "pandas", "pandera", "pydantic"}),
        ("network_file", {"lightning", "pandas", "pandera", "onnxruntime"}),
    ],
)
def test_a_predictor_imports_only_what_its_file_needs(request, tmp_path, model, names):
    """An .onnx file needs neither torch nor pandas, a .safetensors file no pandas."""
    cv2.imwrite(str(tmp_path / "a.png"), picture())
    script = FORBID.format(names=names) + COUNT
    model = str(request.getfixturevalue(model))
    done = subprocess.run(
        [sys.executable, "-c", script, model, str(tmp_path / "a.png")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "3\n"


def test_the_command_line_counts_with_an_onnx_file_without_torch(stand_in, tmp_path):
    """Torch cannot be imported here, and nobody tries to."""
    cv2.imwrite(str(tmp_path / "a.png"), picture())
    script = """
        import sys

        class NoTorch:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in ("torch", "lightning", "safetensors"):
                    raise AssertionError(f"{name} is imported")

        sys.meta_path.insert(0, NoTorch())
        model, path = sys.argv[1:]
        import cv2
        from cardpose.inference.predictor import Predictor, load

        predictor = load(model, threads=1)
        result = predictor.predict(cv2.imread(path))
        print(round(result.cards), predictor.count_recording([result] * 3).frames, flush=True)
        from cardpose.cli.main import main

        main(["predict", path, "--model", model])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(stand_in), str(tmp_path / "a.png")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("7 3\n")
    assert "7.0" in done.stdout.splitlines()[2]


def test_the_caller_chooses_the_number_of_threads(network_file):
    before = torch.get_num_threads()
    try:
        load(network_file, threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [0, -1, 1025, 10**400])
def test_a_wrong_number_of_threads_is_refused(stand_in, complains, threads):
    with complains("threads: should be a whole number from 1 to 1024 (got"):
        load(stand_in, threads)


@pytest.mark.parametrize("thickness", [-1, 0, 1e-300, 5.1, np.nan])
def test_a_thickness_that_no_card_has_is_refused(stand_in, complains, thickness):
    with complains("thickness: should be 0.05 to 5 mm (got"):
        load(stand_in).with_card(thickness)
