"""Strips: the surroundings of a packet's edges, straightened, that the network traces edges in.

A strip follows an edge from one end to the other, and reaches REACH detail pixels to both sides of
where the edge is thought to be. It is cut from `details`, as close-ups are; places are in pixels of
the network's picture.
"""

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from cardpose.augment import recolour
from cardpose.closeups import look_up
from cardpose.pictures import DETAIL

LENGTH = 48  # of a strip in its own pixels, however long the edge is
REACH = 12  # detail pixels
POINTS = 12  # of an edge that are traced
SHORTEST = (10.0, 2.0)  # network pixels: of a long edge, of an upright one, that is traced

_ENDS = 0.04  # the share of an edge at either end that a strip leaves out: corners are round

# How far off the ends of a strip of training are, in detail pixels: median and spread of the logs
# of the standard deviations, of each end, and how far off all strips of a packet are together.
_OFF, _OFF_SPREAD, _OFF_MOST, _TOGETHER = 1.35, 0.8, 4.0, 2.0


def shares(count):
    """How far along the edge the middles of `count` equal parts of a strip are, 0 to 1."""
    return _ENDS + (1 - 2 * _ENDS) * (np.arange(count) + 0.5) / count


ALONG, TRACED = shares(LENGTH), shares(POINTS)  # of a strip's pixels, and of what is traced


def normals(starts, ends):
    """Unit vectors across edges (n, k, 2), away from the packet's middle.

    Args:
        starts, ends: (n, 12, 2) tensors, the edges in the order of `keypoints.EDGES`.
    """
    along = ends - starts
    across = torch.stack([along[..., 1], -along[..., 0]], dim=-1)
    across = across / across.square().sum(dim=-1, keepdim=True).clamp(min=1e-12).sqrt()
    back, face = starts[:, :4].mean(dim=1), starts[:, 4:8].mean(dim=1)
    of = torch.stack([back, face, (back + face) / 2], dim=1)
    middle = of.repeat_interleave(4, dim=1)
    away = (across * ((starts + ends) / 2 - middle)).sum(dim=-1, keepdim=True)
    return torch.where(away < 0, -across, across)


def sample(details, starts, ends, across):
    """Strips, bilinear between pixels.

    Args:
        details: (n, 3, DETAIL height, DETAIL width), uint8 or float.
        starts, ends: (n, 12, 2) places in the network's pictures; across: their `normals`.

    Returns:
        (n, 12, 3, 2 REACH + 1, LENGTH) float, 0 to 255: along the edge to the right, away from
        the packet down.
    """
    return look_up(details, _places(starts.float(), ends.float(), across.float()))


def _places(starts, ends, across):
    """(n, 12, 2 REACH + 1, LENGTH, 2) detail pixels."""
    share = torch.as_tensor(ALONG, dtype=starts.dtype, device=starts.device)[:, None]
    along = starts[:, :, None] + (ends - starts)[:, :, None] * share
    out = torch.arange(-REACH, REACH + 1, dtype=starts.dtype, device=starts.device)
    return DETAIL * along[:, :, None] + across[:, :, None, None] * out[:, None, None]


def long_enough(starts, ends):
    """(n, 12) bool."""
    least = starts.new_tensor([SHORTEST[0]] * 8 + [SHORTEST[1]] * 4)
    return (ends - starts).square().sum(dim=-1) > least.square()


def heights(keypoints):
    """(n,) how high the packet's sides are in the picture, in detail pixels, from its keypoints."""
    upright = keypoints[:, [0, 1, 4, 5]] - keypoints[:, [2, 3, 6, 7]]
    return DETAIL * upright.square().sum(dim=2).sqrt().mean(dim=1)


class Strips(Dataset):
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
        off = _OFF * np.exp(rng.normal(0, _OFF_SPREAD, (2, 12, 1)))
        off = np.minimum(off, np.minimum(_OFF_MOST, length / 6))
        moved = rng.normal(0, 1, true.shape) * off
        moved += rng.normal(0, 1, 2) * rng.uniform(0, _TOGETHER)
        starts, ends = (torch.from_numpy(x[None]) for x in true + moved / DETAIL)
        across = normals(starts, ends)
        places = _places(starts, ends, across)[0].numpy().astype(np.float32)
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
