"""What tests of several rooms share."""

import json
import struct
from pathlib import Path

import cv2
import numpy as np
import onnx.parser
import torch

from cardpose.geometry.box import BoxModel
from cardpose.geometry.box_fit import BoxFitter
from cardpose.geometry.box_information import box_information
from cardpose.geometry.camera import orbit
from cardpose.geometry.card import card_corners, packet_keypoints
from cardpose.geometry.projection import Pose
from cardpose.geometry.recording_count import contributions

SIZE, FOCAL, CARD = (640, 480), 1.06, (63.0, 88.0, 0.3)


def seen(azimuths, thickness, lean=(0, 0), twist=0.0):
    """Keypoints of a packet, from a camera that goes round it: (n, 8, 2) and (n, 8)."""
    points, visible = [], []
    corners = card_corners(*CARD[:2])
    bend = twist * np.array([-1, 1, 1, -1])
    face = np.column_stack([corners + lean, bend])
    back = np.column_stack([corners, thickness + bend])
    for azimuth in azimuths:
        camera = orbit(
            azimuth=np.radians(azimuth),
            elevation=np.radians(35),
            distance=220,
            target=np.array([0, 0, thickness / 2]),
            aim=(320, 240),
            roll=0.02,
            focal=FOCAL * SIZE[0],
            width=SIZE[0],
            height=SIZE[1],
        )
        at, shown = packet_keypoints(camera, face, back)
        points.append(at)
        visible.append(shown)
    return np.array(points), np.array(visible)


def informed(points, visible, focal=FOCAL, card=CARD):
    """Return the poses of single pictures, their corners, and what they say of the box."""
    fitter = BoxFitter(BoxModel(SIZE, focal, card, 52))
    points, visible = torch.from_numpy(points), torch.from_numpy(visible)
    pose, names = fitter.fit(points, visible)
    ordered = points.gather(1, names[..., None].expand(-1, -1, 2))
    said = box_information(fitter, pose, ordered, visible.gather(1, names), None)
    return Pose(*(part.numpy() for part in pose)), names.numpy(), *(part.numpy() for part in said)


def contributed(points, visible, focal=FOCAL, card=CARD):
    """Return what each picture contributes to a sweep."""
    pose, _, *said = informed(points, visible, focal, card)
    return contributions(*said, visible, pose)


ABOUT = {
    "encoder": "plain",
    "widths": [8, 8, 16, 16],
    "stride": 4,
    "sigma": 1.5,
    "hidden": 16,
    "image_size": [64, 48],
    "deck": 52,
    "focal": 1.06,
    "card": [63.0, 88.0, 0.3],
    "margins": None,
    "recording_margin": None,
}
SMALLEST = {**ABOUT, "widths": [8, 8, 8], "hidden": 8}


REPOSITORY = Path(__file__).resolve().parents[1]

# RGB: saturated colours, and skin, grey, white and black.
COLOURS = [
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (200, 120, 40),
    (40, 120, 200),
    (220, 180, 160),
    (128, 128, 128),
    (255, 255, 255),
    (16, 16, 16),
]


def stripes(width, height):
    """A BGR picture of upright stripes in COLOURS."""
    which = np.arange(width) * len(COLOURS) // width
    return np.tile(np.array(COLOURS, np.uint8)[which, ::-1], (height, 1, 1))


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


STAND_IN = """
<ir_version: 10, opset_import: ["": 18]>
stand_in (uint8[n, h, w, 3] pictures, float[n, 4] boxes) => (
  float[n, 8, 2] keypoints, float[n, 8] visibility, float[n] cards, float[n] low, float[n] high,
  float[n] confidence, float[n, 3, 3] rotation, float[n, 8] box, int64[n, 8] corners,
  float[n, 4, 4] information, float[n, 4] vector
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
  int64[1, 8] order = {0, 1, 2, 3, 4, 5, 6, 7},
  float[1, 4, 4] nothing = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
  float[1, 4] nil = {0, 0, 0, 0}
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
  place = Cast<to = 11>(brightest)
  columns = Cast<to = 11>(width)
  rows_above = Div(place, columns)
  row = Floor(rows_above)
  column = Mod<fmod = 1>(place, columns)
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
  information = Tile(nothing, matrices)
  vector = Tile(nil, rows)
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


def network_inputs(pictures):
    """The inputs of an exported network for (n, height, width, 3) RGB pictures, without boxes."""
    return {"pictures": pictures, "boxes": np.full((len(pictures), 4), np.nan, np.float32)}


def words(text):
    """Return the words of each line of a text."""
    return [line.split() for line in text.splitlines()]


# Photographs


def grey(path, brightness, height=48, width=64, bright=None):
    """Write a grey picture, of which the stand-in network says `brightness` / 10 cards.

    Args:
        bright: (x, y) of a white pixel, where the stand-in sees keypoint 0.
    """
    made = np.full((height, width, 3), brightness, np.uint8)
    if bright:
        made[bright[1], bright[0]] = 255
    cv2.imwrite(str(path), made)
    return made


def edge_ends(back, face):
    """Return the starts and ends of a box's edges in the order of `keypoints.EDGES`.

    Args:
        back, face: four corners each: upper left, upper right, lower right, lower left.
    """
    starts, ends = [], []
    for layer in (back, face):
        starts += layer
        ends += layer[1:] + layer[:1]
    upright = [0, 1, 3, 2]  # the order of the upright edges
    starts += [face[i] for i in upright]
    ends += [back[i] for i in upright]
    return starts, ends


TURNS = {  # how a picture with this EXIF orientation was made from the upright one
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, 1),
    7: lambda p: np.rot90(p, 2).transpose(1, 0, 2),
    8: lambda p: np.rot90(p, -1),
}


def with_orientation(picture, orientation, path):
    """A JPEG of a BGR picture stored in the turn that the orientation undoes: an APP1 segment with
    one EXIF tag, 0x0112, is put in behind the file's first two bytes."""
    stored = np.ascontiguousarray(TURNS[orientation](picture))
    jpeg = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()
    tag = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = b"MM\0*" + struct.pack(">IH", 8, 1) + tag + bytes(4)
    segment = b"\xff\xe1" + struct.pack(">H", 2 + 6 + len(tiff)) + b"Exif\0\0" + tiff
    path.write_bytes(jpeg[:2] + segment + jpeg[2:])


class Camera:
    """Sends so many pictures, of brightness 0, 1, ..."""

    def __init__(self, pictures):
        self.left, self.sent, self.released = pictures, 0, False

    def isOpened(self):
        return self.left is not None

    def set(self, *_):
        return True

    def read(self):
        if self.sent == self.left:
            return False, None
        self.sent += 1
        return True, np.full((48, 64, 3), self.sent - 1, np.uint8)

    def release(self):
        self.released = True


def fast_start(content):
    """The mp4 with its table of contents, moov, before its pictures, mdat, as streamed."""
    boxes, at = {}, 0
    while at < len(content):
        (size,) = struct.unpack_from(">I", content, at)
        boxes[content[at + 4 : at + 8]] = content[at : at + size]
        at += size
    moov = bytearray(boxes[b"moov"])
    table = moov.index(b"stco") + 8
    (count,) = struct.unpack_from(">I", moov, table)
    offsets = struct.unpack_from(f">{count}I", moov, table + 4)
    struct.pack_into(f">{count}I", moov, table + 4, *(o + len(moov) for o in offsets))
    return boxes[b"ftyp"] + bytes(moov) + boxes[b"free"] + boxes[b"mdat"]


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


# As root there is no sandbox; and nothing may be looked up outside while tests run.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--host-resolver-rules=MAP evil.example 127.0.0.1",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
]


PATIENCE = 120_000  # ms; other programs may keep the processor busy


# Program that runs the command with a slow network, and writes "batch" to stderr at each batch.
SLOW = """
import sys, time
from cardpose.cli.main import main
from cardpose.inference import predictor

run = predictor.Predictor.predict_batch
def slow(self, pictures, *rest, **named):
    print("batch", file=sys.stderr, flush=True)
    time.sleep(0.2)
    return run(self, pictures, *rest, **named)
predictor.Predictor.predict_batch = slow
main(sys.argv[1:])
"""
