"""A network that finds corners at given places: the `View` of what it sees."""

import numpy as np
import torch
from support import CARD, FOCAL, SIZE

from cardpose.geometry.box import BoxModel
from cardpose.geometry.box_fit import BoxFitter
from cardpose.geometry.box_information import box_information
from cardpose.labelling.views import View
from cardpose.network.model import keypoint_weights

SMALL = 320, 240  # the network's picture
THICK = 9.0  # mm, thirty cards


def weights_of(logits, peaks):
    return keypoint_weights(torch.from_numpy(logits), torch.from_numpy(peaks)).numpy()


def viewed(points, visible, thickness=THICK, traced=None):
    """Return the `View` of a network that finds keypoints at these places.

    It traces the edges of a box that has its keypoints there, or at `traced`. Places are (n, 8, 2)
    pixels of pictures 640 x 480.
    """
    points = points * (SMALL[0] / SIZE[0])
    fitter = BoxFitter(BoxModel(SMALL, FOCAL, CARD, 52))
    thicknesses = torch.full((len(points),), thickness)
    pose, names = fitter.fit(torch.from_numpy(points), torch.from_numpy(visible), thicknesses)
    summary = box_information(
        fitter,
        pose,
        torch.from_numpy(points).gather(1, names[..., None].expand(-1, -1, 2)),
        torch.from_numpy(visible).gather(1, names),
        edges=None,
    )
    box = fitter.box.keypoints(pose).numpy()
    peaks = np.where(visible, 1.0, 0.1)
    numbers = pose.numbers.numpy()
    logits = np.where(visible, 5.0, -5.0)
    weight = weights_of(logits, peaks)
    return View(
        *(points, logits, peaks, weight, pose.rotation.numpy(), numbers, names.numpy()),
        *(box, box.copy() if traced is None else traced / 2),
        *(part.numpy() for part in summary),
    )
