"""Close-ups: the small squares round a packet's corners that the network looks at a second time.

They are cut from `details`, the pictures at DETAIL times the network's size. Places are given in
pixels of the network's picture all the same.
"""

import cv2
import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import Dataset

from cardpose.augment import recolour
from cardpose.keypoints import FLIP
from cardpose.pictures import DETAIL

SIDE = 40  # of a close-up, in detail pixels

# How far from where the first look found the corner a close-up of training is centred, in detail
# pixels: mostly little, now and then as far as a first look goes wrong.
_OFF, _OFF_SPREAD = 1.5, 0.8  # median of the standard deviations, and spread of their logs
_TURN, _SCALE = 0.15, 0.1  # radians and log of the scale, usually


def sample(details, points):
    """Close-ups round places, bilinear between pixels.

    Args:
        details: (n, 3, DETAIL height, DETAIL width), uint8 or float.
        points: (n, 8, 2) places in the network's pictures.

    Returns:
        (n, 8, 3, SIDE, SIDE) float, 0 to 255; beyond its edge a picture goes on as it ends.
    """
    steps = torch.arange(SIDE, device=details.device) + 0.5 - SIDE / 2
    down, right = torch.meshgrid(steps, steps, indexing="ij")
    return look_up(details, DETAIL * points[:, :, None, None] + torch.stack([right, down], dim=-1))


def look_up(details, places):
    """Colours of `details` at places (n, k, rows, columns, 2) in its pixels, as `sample` does:
    (n, k, 3, rows, columns)."""
    n, k, rows, columns, _ = places.shape
    size = torch.tensor([details.shape[3], details.shape[2]], device=details.device)
    at = (2 * places / size - 1).reshape(n, k * rows, columns, 2)
    cut = F.grid_sample(details.float(), at, padding_mode="border", align_corners=False)
    return cut.reshape(n, 3, k, rows, columns).transpose(1, 2)


def cut(detail, points, turn):
    """Turned close-ups of one picture, as `sample` cuts straight ones, with OpenCV.

    Args:
        detail: (DETAIL height, DETAIL width, 3) uint8.
        points: (8, 2) places in the network's picture.
        turn: (2, 2) from steps in a close-up to steps in `detail`.

    Returns:
        (8, SIDE, SIDE, 3) uint8.
    """
    middle = np.array([SIDE, SIDE]) / 2
    closeups = np.empty((len(points), SIDE, SIDE, 3), np.uint8)
    for closeup, point in zip(closeups, points, strict=True):
        # cv2 counts from the middle of the first pixel, we from its corner.
        shift = DETAIL * point - 0.5 - turn @ (middle - 0.5)
        cv2.warpAffine(
            detail,
            np.column_stack([turn, shift]),
            (SIDE, SIDE),
            dst=closeup,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return closeups


class Closeups(Dataset):
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
        off = _OFF * np.exp(rng.normal(0, _OFF_SPREAD, (8, 1)))
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
