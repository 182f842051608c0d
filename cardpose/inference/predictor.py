"""A trained network, ready to look at pictures.

    from cardpose.inference.predictor import load

    predictor = load("models/cardpose.onnx")
    result = predictor.predict(cv2.imread("photo.jpg"))
    print(result.cards, result.keypoints[result.visible])

A .onnx file is run by ONNX Runtime, and nothing here then imports torch; a .safetensors file is
run by torch. Neither kind of file can hold code.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cardpose.common.errors import InputError, join_names
from cardpose.geometry.bundle import count_recording
from cardpose.inference.backends import LOADERS

SURE = 0.5  # confidence and visibility from which on a packet, or a corner, is said to be there
TOGETHER = 4  # pictures of one size that are looked at together; more are no faster
PIXELS = 2**22  # and about how many pixels these may have


@dataclass(frozen=True, eq=False)
class Result:
    """What one picture shows.

    Attributes:
        cards: the count, not rounded.
        low, high: ends of its 90 % interval, in cards; NaN where the network has none.
        keypoints: (8, 2) float32 places in pixels of the picture, x right and y down; (0, 0) is
            the outer corner of the top-left pixel. In the order of `keypoints.KEYPOINTS`, the
            hidden ones too.
        visibility: (8,) float32 probability, 0 to 1, that a keypoint can be seen.
        confidence: 0 to 1, how sure the network is that there is a packet at all.
        width, height: of the picture, in pixels.
        pose: the box that was fitted, for `Predictor.count_recording`.
    """

    cards: float
    low: float
    high: float
    keypoints: np.ndarray
    visibility: np.ndarray
    confidence: float
    width: int
    height: int
    pose: tuple

    @property
    def visible(self):
        """(8,) bool, which keypoints can be seen."""
        return self.visibility > SURE

    @property
    def corners(self):
        """(8,) for each corner of the box that was fitted, which of the keypoints it is."""
        return self.pose[-1]

    @property
    def packet(self):
        """Whether there is a packet at all; where there is none, the rest means nothing."""
        return self.confidence >= SURE


@dataclass(frozen=True)
class RecordingCount:
    """A whole recording: `cards`, not rounded, and how many `frames` showed the packet."""

    cards: float
    frames: int


class Predictor:
    """Made by `load`; `about` is what the file says of its network, a dict."""

    def __init__(self, run, about):
        self.about = about
        self._run = run

    def predict(self, picture, rgb=False):
        """Look at one picture.

        Args:
            picture: (height, width, 3) uint8, upright, of any size; its channels blue, green,
                red, as `cv2.imread` gives them.
            rgb: the channels are red, green, blue, as Pillow and imageio give them.

        Returns:
            a `Result`.

        Raises:
            InputError: it is no such picture.
        """
        return self.predict_batch([picture], rgb)[0]

    def predict_batch(self, pictures, rgb=False):
        """Look at many pictures, faster where several have one size.

        Args:
            pictures: a list of pictures as `predict` takes them, or an array (n, height, width,
                3).

        Returns:
            a list of `Result`, in the same order.
        """
        by_size = {}
        for i, picture in enumerate(pictures):
            _check(picture)
            by_size.setdefault(picture.shape, []).append(i)
        results = [None] * len(pictures)
        for (height, width, _), rows in by_size.items():
            together = max(1, min(TOGETHER, PIXELS // (height * width)))
            for first in range(0, len(rows), together):
                group = rows[first : first + together]
                batch = np.stack([pictures[i] for i in group])
                found = self._run(batch if rgb else np.ascontiguousarray(batch[..., ::-1]))
                for i, row in zip(group, zip(*found, strict=True), strict=True):
                    results[i] = _result(row, width, height)
        return results

    def count_recording(self, results):
        """Count a recording from all its frames: better than from any one of them.

        Args:
            results: of frames of one video, or of photographs by one camera, of one packet that
                nobody touched meanwhile, in the order they were taken.

        Returns:
            a `Count`, or None where no frame shows a packet.

        Raises:
            InputError: the pictures have different sizes.
        """
        found = [result for result in results if result.packet]
        if not found:
            return None
        sizes = sorted({(result.width, result.height) for result in found})
        if len(sizes) > 1:
            raise InputError(
                f"pictures of a recording should have one size (got {join_names(sizes)})"
            )
        cards = np.array([result.cards for result in found])
        count = self._by_box(found, cards, sizes[0]) if self.about["count"] == "both" else None
        return RecordingCount(float(np.median(cards)) if count is None else count, len(found))

    def _by_box(self, results, cards, size):
        rotation, numbers, corners = (
            np.stack(part) for part in zip(*(result.pose for result in results), strict=True)
        )
        points = np.stack([result.keypoints for result in results]).astype(float)
        visible = np.stack([result.visible for result in results])
        poses = rotation, numbers
        return count_recording(cards, points, visible, poses, corners, size, self.about)


def load(path, threads=None):
    """The network in a .onnx or .safetensors file that `dvc repro` made, as a `Predictor`.

    Args:
        threads: how many processor cores to use; None leaves it to ONNX Runtime or torch.

    Raises:
        InputError: the file is missing, or no network of this project.
    """
    path = Path(path)
    if path.suffix not in LOADERS:
        raise InputError(f"{path}: should be a .onnx or .safetensors file, which can hold no code")
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    predictor = Predictor(*LOADERS[path.suffix](path, threads))
    _try_out(path, predictor)
    return predictor


def _try_out(path, predictor):
    """Refuse a network that has not our inputs and outputs, or says no numbers."""
    try:
        result = predictor.predict(np.full((48, 64, 3), 127, np.uint8))
        numbers = np.array([result.cards, result.confidence, *result.keypoints.ravel()])
        works = np.isfinite(numbers).all() and result.keypoints.shape == (8, 2)
    except Exception:  # as above
        works = False
    if not works:
        raise InputError(f"{path}: should be a network that cardpose made; this one does not work")


def _check(picture):
    if not isinstance(picture, np.ndarray):
        raise InputError(f"a picture should be a numpy array (got {type(picture).__name__})")
    shape = picture.shape
    if picture.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise InputError(
            "a picture should be a uint8 array of shape (height, width, 3)"
            f" (got {picture.dtype} of shape {shape})"
        )


def _result(row, width, height):
    """A `Result` from one row of each of OUTPUTS."""
    keypoints, visibility, cards, low, high, confidence, *pose = row
    return Result(
        cards=float(cards),
        low=float(low),
        high=float(high),
        keypoints=keypoints.astype(np.float32),
        visibility=visibility,
        confidence=float(confidence),
        width=width,
        height=height,
        pose=tuple(pose),
    )
