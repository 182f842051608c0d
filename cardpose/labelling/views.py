"""What the network sees in the frames of a recording."""

from typing import NamedTuple

import numpy as np
import torch

from cardpose.geometry.heatmaps import decode
from cardpose.network.closeups import sample_closeups
from cardpose.network.model import CLEAR
from cardpose.pictures.letterbox import DETAIL, fit, resize_to_fit

_BATCH = 8  # pictures


class View(NamedTuple):
    """What a network sees in n frames, in pixels of its picture: `points` (n, 8, 2), `logits` of
    their visibility and `peaks` of their heatmaps (n, 8), by the names that it gives; `rotation`
    (n, 3, 3) and `numbers` (n, 8), see `pose.Pose`, of the box of known thickness that fits these
    in each frame alone, and `names` (n, 8), which point each of its keypoints is; `alone` and
    `traced` (n, 8, 2), where that box has its keypoints, and where a box that fits the edges
    too; `thickness` (n,) of that one in mm."""

    points: np.ndarray
    logits: np.ndarray
    peaks: np.ndarray
    rotation: np.ndarray
    numbers: np.ndarray
    names: np.ndarray
    alone: np.ndarray
    traced: np.ndarray
    thickness: np.ndarray

    @property
    def sure(self):
        """(n, 8) how much a point counts: a keypoint that is hardly found may be another's."""
        return (self.logits > 0) * (self.peaks / CLEAR).clip(0.05, 1)


def view_recording(network, pictures, n, thickness, done=lambda n: None):
    """What a network sees in the pictures of a recording: a `View`.

    Args:
        network: a `CardPose`, ready to predict.
        pictures: yields n of them, (height, width, 3) uint8 BGR; some are in memory at a time.
        thickness: of the packet in mm, about.
        done: is called with the number of pictures that were looked at.
    """
    columns, packet, size = [], network.packet, network.image_size
    pictures = iter(pictures)
    for start in range(0, n, _BATCH):
        some = [next(pictures)[..., ::-1] for _ in range(min(_BATCH, n - start))]
        whole, details = (
            torch.from_numpy(np.stack([resize_to_fit(p, size, times) for p in some]))
            for times in (1, DETAIL)
        )
        longer = torch.tensor([float(max(fit(p.shape[1::-1], size)[0])) for p in some])
        with torch.inference_mode():
            heatmaps, _, logits = network(whole.permute(0, 3, 1, 2))
            details = details.permute(0, 3, 1, 2).float()
            points, peaks = decode(heatmaps.float(), network.stride, network.sigma)
            points = points + network.closer(sample_closeups(details, points)) / DETAIL
            sure = (logits > 0) * (peaks / CLEAR).clamp(0.05, 1)
            focal, known = packet.focal_of(longer), torch.full((len(some),), thickness)
            pose, names = packet.fit(points, sure, known, focal)
            named = points.gather(1, names[..., None].expand(-1, -1, 2))
            edges = network.trace(details, pose)
            traced = packet.refine(pose, named, sure.gather(1, names), edges, focal)
            places = packet.keypoints(pose), packet.keypoints(traced)
        columns.append((points, logits, peaks, *pose, names, *places, traced.numbers[:, 3]))
        done(len(some))
    return View(*(torch.cat(column).numpy() for column in zip(*columns, strict=True)))
