"""Training targets of close-ups and strips: the corners and edges of each frame."""

import numpy as np
import torch
from jaxtyping import Bool, Float

from cardpose.dataset.tensors import Tensors
from cardpose.geometry.box import KINDS
from cardpose.geometry.box_fit import BoxFitter
from cardpose.geometry.heatmaps import decode
from cardpose.geometry.keypoints import N_KEYPOINTS
from cardpose.network.model import CardPose
from cardpose.network.predict import pair_loader, predict_frames
from cardpose.network.strips import long_enough, side_heights
from cardpose.training.datasets import EdgeTargets

PREDICT_BATCH = 32  # frames that a network predicts at a time
_MIN_CORNERS = 5  # fewest visible corners of a frame whose edges are used
_MAX_LABEL_ERROR = 0.02  # largest distance of a label from the fitted box, in picture widths


def closeup_starts(
    network: CardPose, tensors: Tensors, rows: np.ndarray
) -> tuple[Float[np.ndarray, "n 8 2"], Bool[np.ndarray, "n 8"]]:
    """Return the places to cut close-ups around, and the corners to count from.

    The places are the peaks of each frame's heatmaps. Visibility is predicted for keypoints
    without a label.

    Returns:
        places in pixels, zero in frames outside `rows`; and visibility of the corners.
    """
    starts, visible = np.zeros((len(tensors.points), N_KEYPOINTS, 2)), np.array(tensors.visible)
    found = []
    with torch.inference_mode():
        for batch in pair_loader(tensors, rows, PREDICT_BATCH):
            heatmaps, _, logits = network.eval()(batch["pictures"])
            found.append((decode(heatmaps, network.stride, network.sigma)[0], logits > 0))
    points, predicted = (torch.cat(column).numpy() for column in zip(*found, strict=True))
    starts[rows] = points
    visible[rows] = np.where(tensors.mask[rows], visible[rows], predicted)
    return starts, visible


def corner_targets(
    network: CardPose, tensors: Tensors, rows: np.ndarray
) -> tuple[Float[np.ndarray, "n 8 2"], Bool[np.ndarray, "n 8"]]:
    """Return the corners of all frames in pixels, and their visibility.

    Both are labels, or predictions for frames in `rows` without any label.
    """
    points, visible = np.array(tensors.points), np.array(tensors.visible)
    unlabelled = rows[~tensors.mask[rows].any(axis=1)]
    if len(unlabelled):
        frames = pair_loader(tensors, unlabelled, PREDICT_BATCH)
        predicted = predict_frames(network.eval(), frames, {"deck": 1})
        points[unlabelled], visible[unlabelled] = predicted.points, predicted.visible
    return points, visible


def edge_targets(
    fitter: BoxFitter,
    tensors: Tensors,
    rows: np.ndarray,
    deck_height: float,
    points: Float[np.ndarray, "n 8 2"],
    visible: Bool[np.ndarray, "n 8"],
) -> tuple[EdgeTargets, Bool[np.ndarray, " rows"]]:
    """Fit a box to each frame and return its edges.

    The thickness of the box follows from the count. Skip frames whose corners fit no box and
    frames with fewer than five visible corners.

    Args:
        fitter: fits the box to the corners.
        rows: frames to fit; the targets of other frames are zero.
        deck_height: thickness of a whole deck in mm.
        points: corners in pixels.
        visible: visibility of the corners.

    Returns:
        the targets of all n frames; and a mask of the `rows` to train on.
    """
    size, n = torch.tensor(tensors.image_size), len(tensors.points)
    targets = EdgeTargets(
        starts=np.zeros((n, 12, 2)),
        ends=np.zeros((n, 12, 2)),
        kinds=np.zeros((n, 12, KINDS), bool),
        heights=np.zeros(n),
    )
    usable = []
    for batch in np.array_split(rows, -(-len(rows) // PREDICT_BATCH)):
        corners, seen = torch.from_numpy(points[batch]), torch.from_numpy(visible[batch])
        thickness = torch.from_numpy(tensors.cards[batch]) * deck_height
        focal = fitter.box.focal_of(torch.from_numpy(tensors.longer[batch]))
        pose, names = fitter.fit(corners, seen, thickness, focal)
        starts, ends, kinds, _ = fitter.box.edges(pose)
        keypoints = fitter.box.keypoints(pose)
        error = (keypoints - corners.gather(1, names[..., None].expand(-1, -1, 2))).norm(dim=2)
        error = torch.where(seen.gather(1, names), error, 0).amax(dim=1)
        usable.append((error < _MAX_LABEL_ERROR * size[0]) & (seen.sum(dim=1) >= _MIN_CORNERS))
        inside = ((starts > 0) & (starts < size) & (ends > 0) & (ends < size)).all(dim=2)
        kinds = kinds & (inside & long_enough(starts, ends))[..., None]
        fitted = starts, ends, kinds, side_heights(keypoints)
        for target, values in zip(targets, fitted, strict=True):
            target[batch] = values.numpy()
    return targets, torch.cat(usable).numpy()
