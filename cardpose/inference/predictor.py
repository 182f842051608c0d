"""Count the cards of packets in pictures.

    import cardpose

    result = cardpose.load().predict("photo.jpg")
    if result.packet:
        print(f"{result.cards:.1f} cards ({result.low:.1f} to {result.high:.1f})")
        x, y = result.corners["upper_left_back"]  # in pixels; NaN if it cannot be seen

ONNX Runtime runs .onnx files, without torch or pandas. PyTorch runs .safetensors files. Neither
file format can hold code.
"""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from cardpose.common.errors import InputError, short_repr
from cardpose.geometry.card import THICKEST, THINNEST
from cardpose.geometry.projection import Pose
from cardpose.geometry.recording_count import contributions
from cardpose.inference.backends import LOADERS, Run
from cardpose.inference.networks import MOST_THREADS, default_network
from cardpose.inference.picture_like import PictureLike, photograph
from cardpose.inference.recording import RecordingCounter
from cardpose.inference.result import SURE, RecordingCount, Result

BATCH_PICTURES = 4  # most pictures in a batch; larger batches are no faster
BATCH_PIXELS = 2**22  # most pixels in a batch of several pictures


class Predictor:
    """Network ready to predict. Create it with `load`.

    Attributes:
        metadata: metadata from the network's file. The thickness in "card" is that of the cards
            that are counted.
    """

    def __init__(self, run: Run, metadata: dict[str, Any], scale: float = 1.0):
        self.metadata = metadata
        self._run = run
        self._scale = scale  # of the counts of single pictures

    def with_card(self, thickness: float | int) -> "Predictor":
        """Return a predictor with the same network that counts cards of this thickness in mm.

        Raises:
            InputError: no card has this thickness.
        """
        if not THINNEST <= thickness <= THICKEST:
            raise InputError(
                f"thickness: should be {THINNEST} to {THICKEST} mm (got {short_repr(thickness)})"
            )
        width, length, usual = self.metadata["card"]
        ratio = usual / thickness
        margins = self.metadata.get("margins")
        scaled = margins and {way: margin * ratio for way, margin in margins.items()}
        metadata = {**self.metadata, "card": [width, length, thickness], "margins": scaled}
        return Predictor(self._run, metadata, self._scale * ratio)

    def predict(
        self, picture: PictureLike, rgb: bool = False, recording: RecordingCount | None = None
    ) -> Result:
        """Find and count the packet in one picture.

        Args:
            picture: path of a picture file; or a Pillow image; or an upright picture of any size as
                a uint8 array, whose channels are in the order blue, green, red, as `cv2.imread`
                returns them.
            rgb: whether the channels of an array are in the order red, green, blue, as in arrays
                from Pillow, Matplotlib and imageio.
            recording: first count of the recording that the picture is of. The edges of the packet
                are then traced round its box, which makes a second count more accurate.

        Raises:
            InputError: the file cannot be read, or `picture` is none of these.
        """
        return self.predict_batch([picture], rgb, recording)[0]

    def predict_batch(
        self,
        pictures: Sequence[PictureLike] | UInt8[np.ndarray, "n height width 3"],
        rgb: bool = False,
        recording: RecordingCount | None = None,
    ) -> list[Result]:
        """Find and count the packets in many pictures, faster if several have the same size.

        Args:
            pictures: pictures as in `predict`, or one array (n, height, width, 3) of all pictures.
            rgb, recording: as in `predict`.

        Returns:
            results in the order of `pictures`.

        Raises:
            InputError: one of `pictures` cannot be read, or is no picture.
        """
        by_size: dict[tuple[int, ...], list[int]] = {}
        photos = [photograph(picture, rgb) for picture in pictures]
        for i, photo in enumerate(photos):
            by_size.setdefault(photo.pixels.shape, []).append(i)
        results, deck = {}, self.metadata["deck"]
        box = np.full(4, np.nan, np.float32) if recording is None else recording.box
        for (height, width, _), rows in by_size.items():
            size = max(1, min(BATCH_PICTURES, BATCH_PIXELS // (height * width)))
            for first in range(0, len(rows), size):
                group = rows[first : first + size]
                batch = np.stack([photos[i].pixels[..., ::-1] for i in group])
                outputs = self._run(batch, np.tile(box, (len(group), 1)))
                for i, row in zip(group, zip(*outputs, strict=True), strict=True):
                    result = _result(row, width, height, self._scale, deck)
                    results[i] = result.scaled(photos[i].size)
        return [results[i] for i in range(len(photos))]

    def count_recording(self, results: Sequence[Result]) -> RecordingCount | None:
        """Count the cards of a recording from all its frames.

        Args:
            results: predictions for frames of one video, best in the order they were taken, or for
                photographs in any order. All have to show one packet, untouched in between. If a
                later packet differs, the count is that of the last one; `recording_counter` says
                when it begins again.

        Returns:
            the count, or None if no frame shows a packet.
        """
        counter = self.recording_counter()
        for result in results:
            counter.add(result)
        return counter.count()

    def recording_counter(self) -> RecordingCounter:
        """Return a counter for one packet, to which pictures are added as they arrive."""
        return RecordingCounter(self.metadata)


def load(path: str | PathLike | None = None, threads: int | None = None) -> Predictor:
    """Load a network from an .onnx or .safetensors file that `dvc repro` wrote.

    The thickness of a card is the one that the network was trained with. `Predictor.with_card` sets
    another one. `cardpose predict` also reads the thickness that `cardpose calibrate` stored beside
    the file; `load` does not.

    Args:
        path: path of the file. By default it is models/cardpose.onnx in the current folder, or else
            the network that comes with the package.
        threads: number of processor cores to use; None leaves it to ONNX Runtime or PyTorch.

    Raises:
        InputError: the file is missing, or holds no network of this project; or `threads` is no
            whole number from 1 to 1024.
    """
    if threads is not None and not (isinstance(threads, int) and 0 < threads <= MOST_THREADS):
        raise InputError(
            f"threads: should be a whole number from 1 to {MOST_THREADS}"
            f" (got {short_repr(threads)})"
        )
    path = default_network() if path is None else Path(path)
    if path.suffix not in LOADERS:
        raise InputError(f"{path}: should be a .onnx or .safetensors file, which can hold no code")
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    predictor = Predictor(*LOADERS[path.suffix](path, threads))
    predictor.predict(np.full((48, 64, 3), 127, np.uint8))  # report a broken network here
    return predictor


def _result(row: tuple, width: int, height: int, scale: float, deck: int) -> Result:
    """Build the `Result` of one picture from its row in each of `backends.OUTPUTS`.

    Counts are multiplied by `scale`, and are at most `deck`.
    """
    keypoints, visibility, *counts = row[:5]
    confidence, rotation, box, order, *said = row[5:]
    cards, low, high = (min(scale * float(count), float(deck)) for count in counts)
    information, vector = (part[None].astype(float) for part in said)
    pose = Pose(rotation[None].astype(float), box[None].astype(float))
    found = contributions(information, vector, visibility[None] > SURE, pose)
    return Result(
        cards=cards,
        low=low,
        high=high,
        keypoints=keypoints.astype(np.float32),
        visibility=visibility,
        confidence=float(confidence),
        width=width,
        height=height,
        box_order=order,
        contribution=found[0] if found else None,
    )
