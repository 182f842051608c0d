"""Run the network on the frames of one recording, given its count."""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from cardpose.geometry.box_information import box_information
from cardpose.network.model import CardPose
from cardpose.pictures.letterbox import DETAIL, fit, resize_to_fit

_BATCH = 8  # pictures in memory at a time


class View(NamedTuple):
    """Predictions of the network for n frames of a recording, in pixels of its picture.

    Attributes:
        points: corners, in the order of the heatmaps.
        logits: logits of their visibility.
        peaks: heights of the heatmaps' peaks.
        weight: weight of each point in the fit of the box, 0 to 1.
        rotation, numbers: see `Pose`. The box has the given thickness and is fitted to the points
            of each frame alone.
        names: index into `points` of each keypoint of that box.
        corner_box: keypoints of that box.
        edge_box: keypoints of the box fitted to the traced edges, too.
        information, vector: what the points of each frame say of the box, see `box_information`.
    """

    points: Float[np.ndarray, "n 8 2"]
    logits: Float[np.ndarray, "n 8"]
    peaks: Float[np.ndarray, "n 8"]
    weight: Float[np.ndarray, "n 8"]
    rotation: Float[np.ndarray, "n 3 3"]
    numbers: Float[np.ndarray, "n 8"]
    names: Int[np.ndarray, "n 8"]
    corner_box: Float[np.ndarray, "n 8 2"]
    edge_box: Float[np.ndarray, "n 8 2"]
    information: Float[np.ndarray, "n 4 4"]
    vector: Float[np.ndarray, "n 4"]


def view_recording(
    network: CardPose,
    pictures: Iterable[UInt8[np.ndarray, "_ _ 3"]],
    thickness: float,
    progress: Callable[[int], object] = lambda n: None,
) -> View:
    """Run a network on the pictures of a recording, given the thickness of its packet.

    Args:
        network: ready to predict.
        pictures: BGR, in the order they were taken; read in batches of _BATCH.
        thickness: thickness of the packet in mm.
        progress: called after each batch with its number of pictures.
    """
    views, pictures = [], iter(pictures)
    while batch := list(islice(pictures, _BATCH)):
        views.append(_view_batch(network, batch, thickness))
        progress(len(batch))
    return View(*(torch.cat(column).numpy() for column in zip(*views, strict=True)))


def _view_batch(
    network: CardPose, pictures: list[UInt8[np.ndarray, "_ _ 3"]], thickness: float
) -> tuple[torch.Tensor, ...]:
    """Return the fields of a `View` for one batch."""
    size = network.image_size
    rgb = [picture[..., ::-1] for picture in pictures]
    whole, details = (
        torch.from_numpy(np.stack([resize_to_fit(p, size, times) for p in rgb])).permute(0, 3, 1, 2)
        for times in (1, DETAIL)
    )
    longer = torch.tensor([float(max(fit(p.shape[1::-1], size)[0])) for p in rgb])
    fitter = network.fitter
    focal = fitter.box.focal_of(longer)
    with torch.inference_mode():
        boxes = network.fit_boxes(whole, details, focal, torch.full((len(rgb),), thickness))
        rows, pose = torch.arange(len(rgb))[:, None], boxes.corner_pose
        points, weight = boxes.points[rows, boxes.names], boxes.weight[rows, boxes.names]
        summary = box_information(fitter, pose, points, weight, edges=None, focal=focal)
    keypoints = (fitter.box.keypoints(each) for each in (pose, boxes.pose))
    return (
        *(boxes.points, boxes.visibility, boxes.peaks, boxes.weight),
        *(*pose, boxes.names, *keypoints, *summary),
    )
