"""Random training samples: whole frames, close-ups of corners, strips along edges.

The key of a sample is (epoch, row). Its random values depend only on the seed, epoch and row.
"""

from typing import NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped, UInt8
from torch.utils.data import Dataset

from cardpose.dataset.tensors import Tensors
from cardpose.geometry.keypoints import FLIP
from cardpose.network.closeups import SIDE, cut
from cardpose.network.strips import LENGTH, REACH, TRACED, normals, strip_places
from cardpose.pictures.letterbox import DETAIL
from cardpose.training.augment import augment, recolour

# Random offsets are normal. Their standard deviation is itself log-normal: usually small, sometimes
# as large as the network's largest errors.
_CORNER_OFFSET = 1.5  # median standard deviation of a close-up's offset, in detail pixels
_END_OFFSET = 1.35  # median standard deviation of the offset of an edge's end, in detail pixels
_OFFSET_SPREAD = 0.8  # standard deviation of the log of both standard deviations
_MAX_END_OFFSET = 4.0  # largest standard deviation of an end's offset, in detail pixels
_MAX_PACKET_OFFSET = 2.0  # largest standard deviation of a whole packet's offset, in detail pixels
_TURN = 0.15  # standard deviation of a close-up's turn, in radians
_SCALE = 0.1  # standard deviation of the log of a close-up's scale
_HEIGHT_SPREAD = 0.25  # standard deviation of the log of the error in the sides' height

Sample = dict[str, Shaped[np.ndarray, "..."] | np.generic]


class EdgeTargets(NamedTuple):
    """Edges of n frames, in the order of `keypoints.EDGES`.

    Attributes:
        starts, ends: pixels of the network's picture.
        kinds: kinds of each edge, see `Tracer`; none for edges that are hidden, short or partly
            outside the picture.
        heights: heights of the packets' sides in the picture, in detail pixels.
    """

    starts: Float[np.ndarray, "n 12 2"]
    ends: Float[np.ndarray, "n 12 2"]
    kinds: Bool[np.ndarray, "n 12 kinds"]
    heights: Float[np.ndarray, " n"]


class AugmentedFrames(Dataset):
    """Whole frames with labels.

    Args:
        tensors: frames and labels.
        augmented: augment the frames.
        seed: seed of the augmentation.
        half: halve the size of the frames.
    """

    def __init__(self, tensors: Tensors, augmented: bool, seed: int, half: bool) -> None:
        self.tensors, self.augmented, self.seed, self.half = tensors, augmented, seed, half
        self.redrawn = augmented or half  # the stored heatmaps no longer match

    def __getitem__(
        self, key: tuple[int, int]
    ) -> tuple[Shaped[np.ndarray, "..."] | np.generic, ...]:
        """Return the picture, heatmaps (or points if `redrawn`), visibility, mask and cards."""
        epoch, row = key
        t = self.tensors
        picture, points = t.pictures[row], t.points[row]
        visible, mask = t.visible[row], t.mask[row]
        if not self.redrawn:
            return picture, t.heatmaps[row], visible, mask, t.cards[row]
        if self.augmented:
            rng = np.random.default_rng([self.seed, epoch, row])
            # NaN marks unlabelled keypoints, and survives moves and renaming.
            points = np.where(mask[:, None], points, np.nan)
            picture, points, visible = augment(picture, points, visible, rng)
            mask = np.isfinite(points[:, 0])
        if self.half:
            height, width = picture.shape[:2]
            picture = cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
            points = points / 2
        return picture, points, visible, mask, t.cards[row]


class CloseupCrops(Dataset):
    """Close-ups of corners, randomly shifted, turned, scaled, recoloured and mirrored.

    A sample has these entries:

    - "closeups" (8, 3, SIDE, SIDE): pictures, uint8.
    - "starts" (8, 2): centres of the close-ups in pixels of the network's picture.
    - "points" (8, 2): labels in pixels of the network's picture.
    - "turn" (2, 2): matrix that converts steps in a close-up to steps in `details`.
    - "visible" (8,): corners that are labelled as visible.
    - "seen" (8,): corners to count from.
    - "longer" (): longer side of the frame in pixels.
    - "cards" (): count as a share of the deck.

    Args:
        tensors: frames and labels.
        starts: places to cut close-ups around, before the random shift.
        seed: seed of all random values.
        seen: corners to count from; by default those that are labelled as visible.
    """

    def __init__(
        self,
        tensors: Tensors,
        starts: Float[np.ndarray, "n 8 2"],
        seed: int,
        seen: Bool[np.ndarray, "n 8"] | None = None,
    ) -> None:
        self.tensors, self.starts, self.seed = tensors, starts, seed
        self.seen = tensors.visible if seen is None else seen

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, row = key
        rng = np.random.default_rng([self.seed, epoch, row])
        t = self.tensors
        detail, true, visible = t.details[row], t.points[row], t.visible[row].copy()
        starts, seen = self.starts[row], self.seen[row]
        if rng.random() < 0.5:
            detail = np.ascontiguousarray(detail[:, ::-1])
            true, starts = (_mirrored(points, t.image_size[0]) for points in (true, starts))
            visible, seen = visible[list(FLIP)], seen[list(FLIP)]
        off = _CORNER_OFFSET * np.exp(rng.normal(0, _OFFSET_SPREAD, (8, 1)))
        starts = starts + rng.normal(0, 1, (8, 2)) * np.minimum(off, SIDE / 4) / DETAIL
        angle, scale = rng.normal(0, _TURN), np.exp(rng.normal(0, _SCALE))
        c, s = scale * np.cos(angle), scale * np.sin(angle)
        turn = np.array([[c, -s], [s, c]])
        closeups = cut(detail, starts, turn)
        closeups = recolour(closeups.reshape(-1, SIDE, 3), rng).reshape(closeups.shape)
        return {
            "closeups": closeups.transpose(0, 3, 1, 2),
            "starts": starts.astype(np.float32),
            "turn": turn.astype(np.float32),
            "points": true.astype(np.float32),
            "visible": visible,
            "seen": seen.copy(),
            "longer": np.float32(t.longer[row]),
            "cards": t.cards[row],
        }


def _mirrored(points: Float[np.ndarray, "8 2"], width: int) -> Float[np.ndarray, "8 2"]:
    return points[list(FLIP)] * [-1, 1] + [width, 0]


class EdgeStrips(Dataset):
    """Strips along edges, randomly shifted, recoloured and reversed.

    A sample has these entries:

    - "strips" (12, 3, 2 REACH + 1, LENGTH): pictures, uint8.
    - "kinds" (12, KINDS) and "heights" (): inputs of `Tracer`.
    - "places" (12, POINTS): distances of the edge from the strip's middle line, in detail pixels.
    - "counts" (12, POINTS): mask of the places to learn.

    Args:
        tensors: frames.
        edges: edges of the frames.
        seed: seed of all random values.
    """

    def __init__(self, tensors: Tensors, edges: EdgeTargets, seed: int) -> None:
        self.tensors, self.edges, self.seed = tensors, edges, seed

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, row = key
        rng = np.random.default_rng([self.seed, epoch, row])
        edges = self.edges
        true = np.stack([edges.starts[row], edges.ends[row]])  # (2, 12, 2)
        moved = _end_offsets(true, rng)
        starts, ends = (torch.from_numpy(x[None]) for x in true + moved / DETAIL)
        across = normals(starts, ends)
        places = strip_places(starts, ends, across)[0].numpy().astype(np.float32)
        strips = recolour(_sample(self.tensors.details[row], places), rng)
        strips = strips.reshape(12, -1, LENGTH, 3)
        # Moving the strip moves the edge the other way, relative to the strip's middle line.
        first, last = -(moved * across[0].numpy()).sum(axis=2)[..., None]
        place = first + (last - first) * TRACED
        kinds = edges.kinds[row]
        counts = kinds.any(axis=1, keepdims=True) & (abs(place) < REACH - 1)
        if rng.random() < 0.5:
            strips, place, counts = strips[:, :, ::-1], place[:, ::-1], counts[:, ::-1]
        return {
            "strips": np.ascontiguousarray(strips.transpose(0, 3, 1, 2)),
            "kinds": kinds,
            "heights": np.float32(edges.heights[row] * np.exp(rng.normal(0, _HEIGHT_SPREAD))),
            "places": place.astype(np.float32).copy(),
            "counts": counts.copy(),
        }


def _end_offsets(
    true: Float[np.ndarray, "2 12 2"], rng: np.random.Generator
) -> Float[np.ndarray, "2 12 2"]:
    """Return random offsets of the edges' ends in detail pixels. Short edges get smaller ones."""
    length = DETAIL * np.linalg.norm(true[1] - true[0], axis=1, keepdims=True)
    off = _END_OFFSET * np.exp(rng.normal(0, _OFFSET_SPREAD, (2, 12, 1)))
    off = np.minimum(off, np.minimum(_MAX_END_OFFSET, length / 6))
    moved = rng.normal(0, 1, true.shape) * off
    moved += rng.normal(0, 1, 2) * rng.uniform(0, _MAX_PACKET_OFFSET)
    return moved


def _sample(
    detail: UInt8[np.ndarray, "h w 3"], places: Float[np.ndarray, "12 across along 2"]
) -> UInt8[np.ndarray, "rows along 3"]:
    """Sample the colours at `places`, in detail pixels. Stack the strips vertically."""
    return cv2.remap(  # type: ignore[call-overload]
        detail,
        # In cv2 the first pixel's centre lies at 0, here at 0.5.
        places.reshape(-1, LENGTH, 2) - 0.5,
        None,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
