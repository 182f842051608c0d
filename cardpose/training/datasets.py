"""Augmented training samples: whole frames, close-ups of corners, strips along edges."""

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from cardpose.geometry.keypoints import FLIP
from cardpose.network.closeups import SIDE, cut
from cardpose.network.strips import LENGTH, REACH, TRACED, normals, strip_places
from cardpose.pictures.letterbox import DETAIL
from cardpose.training.augment import augment, recolour

# How far from where the first look found the corner a close-up of training is centred, in detail
# pixels: mostly little, now and then as far as a first look goes wrong.
_CORNER_OFF, _CORNER_OFF_SPREAD = 1.5, 0.8  # median of the deviations, and spread of their logs
_TURN, _SCALE = 0.15, 0.1  # radians and log of the scale, usually
# How far off the ends of a strip of training are, in detail pixels: median and spread of the logs
# of the standard deviations, of each end, and how far off all strips of a packet are together.
_END_OFF, _END_OFF_SPREAD, _END_OFF_MOST, _PACKET_OFF = 1.35, 0.8, 4.0, 2.0


class AugmentedFrames(Dataset):
    """Frames of a `Tensors`, by (epoch, row): an augmented frame is another in each epoch."""

    def __init__(self, tensors, augmented, seed, half):
        self.tensors, self.augmented, self.seed, self.half = tensors, augmented, seed, half
        self.redrawn = augmented or half  # with heatmaps that the tensors do not hold

    def __getitem__(self, key):
        epoch, row = key
        t = self.tensors
        picture, points = t.pictures[row], t.points[row]
        visible, mask = t.visible[row], t.mask[row]
        if not self.redrawn:
            return picture, t.heatmaps[row], visible, mask, t.cards[row]
        if self.augmented:
            rng = np.random.default_rng([self.seed, epoch, row])
            # A place that nobody knows stays unknown wherever it moves, and whatever it is called.
            points = np.where(mask[:, None], points, np.nan)
            picture, points, visible = augment(picture, points, visible, rng)
            mask = np.isfinite(points[:, 0])
        if self.half:
            height, width = picture.shape[:2]
            picture = cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
            points = points / 2
        return picture, points, visible, mask, t.cards[row]


class CloseupCrops(Dataset):
    """Close-ups for training, by (epoch, row): centred a little off, turned, recoloured, flipped.

    Args:
        tensors: a `Tensors`.
        starts: (n, 8, 2) where the first look found each frame's corners.
        seed: decides, with epoch and row, what changes.
        seen: (n, 8) bool, the corners that are counted from; those labelled visible by default.
    """

    def __init__(self, tensors, starts, seed, seen=None):
        self.tensors, self.starts, self.seed = tensors, starts, seed
        self.seen = tensors.visible if seen is None else seen

    def __getitem__(self, key):
        epoch, row = key
        rng = np.random.default_rng([self.seed, epoch, row])
        t = self.tensors
        detail, true, visible = t.details[row], t.points[row], t.visible[row].copy()
        starts, seen = self.starts[row], self.seen[row]
        if rng.random() < 0.5:
            detail = np.ascontiguousarray(detail[:, ::-1])
            true, starts = (_mirrored(points, t.image_size[0]) for points in (true, starts))
            visible, seen = visible[list(FLIP)], seen[list(FLIP)]
        off = _CORNER_OFF * np.exp(rng.normal(0, _CORNER_OFF_SPREAD, (8, 1)))
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


def _mirrored(points, width):
    return points[list(FLIP)] * [-1, 1] + [width, 0]


class EdgeStrips(Dataset):
    """Strips for training, by (epoch, row): off the edge a little, recoloured, reversed.

    Args:
        tensors: a `Tensors`.
        edges: by row of the tensors, {"starts", "ends", "kinds", "heights"}: where the edges are
            and what else `Tracer` takes.
        seed: decides, with epoch and row, what changes.
    """

    def __init__(self, tensors, edges, seed):
        self.tensors, self.edges, self.seed = tensors, edges, seed

    def __getitem__(self, key):
        epoch, row = key
        rng = np.random.default_rng([self.seed, epoch, row])
        edges = {name: values[row] for name, values in self.edges.items()}
        true = np.stack([edges["starts"], edges["ends"]])  # (2, 12, 2)
        # A short edge keeps its direction, about.
        length = DETAIL * np.linalg.norm(true[1] - true[0], axis=1, keepdims=True)
        off = _END_OFF * np.exp(rng.normal(0, _END_OFF_SPREAD, (2, 12, 1)))
        off = np.minimum(off, np.minimum(_END_OFF_MOST, length / 6))
        moved = rng.normal(0, 1, true.shape) * off
        moved += rng.normal(0, 1, 2) * rng.uniform(0, _PACKET_OFF)
        starts, ends = (torch.from_numpy(x[None]) for x in true + moved / DETAIL)
        across = normals(starts, ends)
        places = strip_places(starts, ends, across)[0].numpy().astype(np.float32)
        detail = self.tensors.details[row]
        # cv2 counts from the middle of the first pixel, we from its corner.
        strips = cv2.remap(
            detail,
            places.reshape(-1, LENGTH, 2) - 0.5,
            None,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        strips = recolour(strips, rng).reshape(12, -1, LENGTH, 3)
        a, b = -(moved * across[0].numpy()).sum(axis=2)[..., None]
        place = a + (b - a) * TRACED
        counts = edges["kinds"].any(axis=1, keepdims=True) & (abs(place) < REACH - 1)
        if rng.random() < 0.5:
            strips, place, counts = strips[:, :, ::-1], place[:, ::-1], counts[:, ::-1]
        return {
            "strips": np.ascontiguousarray(strips.transpose(0, 3, 1, 2)),
            "kinds": edges["kinds"],
            "heights": np.float32(edges["heights"] * np.exp(rng.normal(0, 0.25))),
            "places": place.astype(np.float32).copy(),
            "counts": counts.copy(),
        }
