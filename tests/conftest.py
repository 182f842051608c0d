"""What several tests share: videos to order, a small data set, and how a complaint has to read."""

import contextlib
import json
import os
import signal
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnx.parser
import pytest

from cardpose.errors import InputError
from cardpose.keypoints import KEYPOINTS
from cardpose.params import load_params

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # FFmpeg looks once, at the first video

# Shells let what they start in the background ignore Ctrl-C, and all that it starts as well.
signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).resolve().parents[1]


def _write_video(path, pictures=None, codec="mp4v"):
    if pictures is None:
        pictures = [np.full((48, 64, 3), 10 * index, np.uint8) for index in range(25)]
    height, width = pictures[0].shape[:2]
    fourcc = cv2.VideoWriter_fourcc(*codec)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, 25.0, (width, height))
    assert writer.isOpened()
    for picture in pictures:
        writer.write(picture)
    writer.release()


@pytest.fixture
def write_video():
    """write(path, pictures, codec): a video; without pictures, 25 frames of brightness 10 index."""
    return _write_video


@pytest.fixture
def small_dataset(tmp_path):
    """A valid data set: clip.mp4, 25 frames of brightness 10 index, and the folder shots.

    Its labels are of clip's frames 0, 7 and 20 and of all of shots' frames, 0, 2 and 10: in each
    only the first keypoint is visible, at x = 0.5 and y = 0.25.
    """
    folder = tmp_path / "small"
    (folder / "videos" / "shots").mkdir(parents=True)
    _write_video(folder / "videos" / "clip.mp4")
    for index in (0, 2, 10):
        picture = np.full((48, 64, 3), 100 + index, np.uint8)
        cv2.imwrite(str(folder / "videos" / "shots" / f"shot_{index}.png"), picture)
    rows = "video,cards_counted,total_cards\nclip.mp4,3,52\nshots,52,52\n"
    (folder / "videos.csv").write_text(rows)
    labelled = [f"clip_frame_{i}" for i in (0, 7, 20)] + [f"shots_frame_{i}" for i in (0, 2, 10)]
    header = "frame," + ",".join(f"{k}_visible,{k}_x,{k}_y" for k in KEYPOINTS)
    lines = [header] + [f"{frame},1,0.5,0.25" + ",0,," * 7 for frame in labelled]
    (folder / "annotations.csv").write_text("\n".join(lines) + "\n")
    return folder


STAND_IN = """
<ir_version: 10, opset_import: ["": 18]>
stand_in (uint8[n, h, w, 3] pictures) => (
  float[n, 8, 2] keypoints, float[n, 8] visibility, float[n] cards, float[n] low, float[n] high,
  float[n] confidence, float[n, 3, 3] rotation, float[n, 8] box, int64[n, 8] corners
) <
  int64[1] zero = {0}, int64[1] one = {1}, int64[1] two = {2}, int64[1] three = {3},
  int64[2] sides = {1, 2}, int64[3] all = {1, 2, 3}, int64[2] flat = {0, -1},
  int64[3] each = {-1, 1, 1}, float[1] ten = {10}, float[1] twenty = {20},
  float[1] below = {1}, float[1] above = {2}, float[1] half = {0.5}, float low_end = {0},
  float high_end = {1}, float[1, 8] seen = {0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.1, 0.1},
  float[8, 1] first = {1, 0, 0, 0, 0, 0, 0, 0},
  float[8, 2] share =
    {0, 0, 0.1, 0.05, 0.2, 0.1, 0.3, 0.15, 0.4, 0.2, 0.5, 0.25, 0.6, 0.3, 0.7, 0.35},
  float[1, 3, 3] unturned = {1, 0, 0, 0, 1, 0, 0, 0, 1},
  float[1, 8] pose = {0, 0, 200, 6, 0, 0, 0, 0},
  int64[1, 8] order = {0, 1, 2, 3, 4, 5, 6, 7}
> {
  real = Cast<to = 1>(pictures)
  shape = Shape(pictures)
  n1 = Slice(shape, zero, one)
  height = Slice(shape, one, two)
  width = Slice(shape, two, three)
  colour = ReduceMean<keepdims = 0>(real, sides)
  red = Slice(colour, zero, one, one)
  minus1 = Neg(one)
  red_flat = Reshape(red, minus1)
  cards = Div(red_flat, ten)
  low = Sub(cards, below)
  high = Add(cards, above)
  grey = ReduceMean<keepdims = 0>(real, all)
  sure = Div(grey, twenty)
  confidence = Clip(sure, low_end, high_end)
  light = ReduceSum<keepdims = 0>(real, three)
  light_flat = Reshape(light, flat)
  brightest = ArgMax<axis = 1, keepdims = 0>(light_flat)
  row = Div(brightest, width)
  column = Mod(brightest, width)
  y = Reshape(row, each)
  x = Reshape(column, each)
  pixel = Concat<axis = 2>(x, y)
  pixel_real = Cast<to = 1>(pixel)
  middle = Add(pixel_real, half)
  size = Concat<axis = 0>(width, height)
  size_real = Cast<to = 1>(size)
  rest = Mul(share, size_real)
  found = Mul(first, middle)
  keypoints = Add(rest, found)
  rows = Concat<axis = 0>(n1, one)
  matrices = Concat<axis = 0>(n1, one, one)
  visibility = Tile(seen, rows)
  rotation = Tile(unturned, matrices)
  box = Tile(pose, rows)
  corners = Tile(order, rows)
}
"""


def write_stand_in(path):
    """An ONNX file in a network's place, of which everybody can tell what it will say.

    `cards` is the mean of the red channel / 10, its interval from 1 below to 2 above; `confidence`
    is the mean of all channels / 20, at most 1. Keypoint 0 is the middle of the brightest pixel;
    keypoint k stands at k / 10 of the width and k / 20 of the height. The last two are hidden. A
    recording's count is the median of its frames'.
    """
    model = onnx.parser.parse_model(STAND_IN)
    about = {"image_size": [320, 240], "deck": 52, "focal": 1.06, "card": [63, 88, 0.3]}
    about["count"] = "picture"
    onnx.helper.set_model_props(model, {"cardpose": json.dumps(about)})
    onnx.save(model, path)


@pytest.fixture
def stand_in(tmp_path):
    """The path of an ONNX file that stands in for a network, see `write_stand_in`."""
    path = tmp_path / "network" / "stand_in.onnx"
    path.parent.mkdir()
    write_stand_in(path)
    return path


@pytest.fixture
def complains():
    """with complains("a", "b"): the block has to raise an InputError of one line with a and b."""

    @contextlib.contextmanager
    def expect(*words):
        with pytest.raises(InputError) as caught:
            yield
        message = str(caught.value)
        assert "\n" not in message
        for word in words:
            assert word in message

    return expect


@pytest.fixture
def params():
    """The parameters of the repository's params.yaml; tests set those that they depend on."""
    return load_params(REPOSITORY / "params.yaml")
