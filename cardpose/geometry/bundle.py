"""A packet as one box seen in many pictures: how thick it is, from all of a recording's corners.

In one picture, a packet whose face lies askew below its back looks like one that is thicker or
thinner. Its thickness, how far it leans, and how its cards are twisted are the same in every
picture of a recording, so all pictures together tell them apart: bundle adjustment, after
B. Triggs et al., "Bundle Adjustment: A Modern Synthesis", 1999.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares
from scipy.sparse import lil_matrix
from scipy.spatial.transform import Rotation

from cardpose.geometry.card import card_corners
from cardpose.geometry.keypoints import BACK, CORNER, TURNED

_FRAMES = 50  # at most this many of a recording, evenly spread
_CORNERS = 5  # at least this many visible in a frame
_BLUR = 1 / 320  # how far off a corner is seen, as a share of a picture's longer side
_LEAN, _TWIST = 2.0, 1.0  # mm, what is usual
_THINNEST = 0.3  # mm, that the fit starts from
_UNEVEN, _UNEVEN_MORE = 0.05, 0.05  # mm, and mm a mm: how packets of a known count differ


@dataclass(frozen=True)
class Box:
    """`thickness` in mm; `lean` (2,), how far the face lies askew below the back along the short
    and the long edge, in mm; `twist`, how far the cards' corners rise and fall, in mm; `points`
    (n, 8, 2), where each picture shows the box's corners, NaN in pictures that were not used."""

    thickness: float
    lean: np.ndarray
    twist: float
    points: np.ndarray


def count_recording(cards, points, visible, poses, corners, image_size, about):
    """Count a recording from all its frames: the mean of two counts that err differently.

    One is the thickness of the box that fits the corners of all frames, which knows how the packet
    leans; the other is the median of the frames' counts, which learnt from counts.

    Args:
        cards: (n,) the count of each frame.
        points, visible, poses, corners, image_size: as `fit_box` takes them.
        about: what is known of the network: "focal", "card" and "deck".

    Returns:
        cards, not rounded, or None where no frame shows enough for `fit_box`.
    """
    box = fit_box(points, visible, poses, corners, image_size, about["focal"], about["card"])
    if not box:
        return None
    by_box = np.clip(box.thickness / about["card"][2], 0, about["deck"])
    return float(by_box + np.median(cards)) / 2


def fit_box(points, visible, poses, corners, image_size, focal, card, known=None):
    """The box that explains a recording's keypoints best.

    Args:
        points: (n, 8, 2) pixels, the pictures in the order they were taken.
        visible: (n, 8) bool; or how surely, 0 to 1, where 0 says that a keypoint is not seen.
        poses: (n, 3, 3) rotations and (n, 8) numbers of the box in each picture alone, see
            `pose.Pose`, to start from.
        corners: (n, 8) which keypoint each of that box's is.
        image_size: (width, height) of the pictures in pixels.
        focal: focal length as a share of a picture's longer side.
        card: (width, length, thickness) of a card in mm.
        known: how thick the packet is in mm, about, where its count is known. With so much known,
            a corner far off can be told from another box, and counts next to nothing.

    Returns:
        a `Box`, or None where no picture shows enough corners.
    """
    usable = np.flatnonzero((visible > 0).sum(axis=1) >= _CORNERS)
    if not len(usable):
        return None
    usable = usable[np.unique(np.linspace(0, len(usable) - 1, _FRAMES).round().astype(int))]
    camera = _camera(image_size, focal)
    outline = card_corners(*card[:2])
    rotation, numbers = (np.asarray(part, float)[usable] for part in poses)
    orders, poses, thickness = _align(rotation, numbers, corners[usable])
    if known is not None:
        thickness = known
    rows = np.arange(len(usable))[:, None]
    surely = visible[usable][rows, orders]
    seen = surely > 0
    target = points[usable][rows, orders]
    n = len(usable)

    def project(x):
        pose, (thickness, lean_x, lean_y, twist) = x[:-4].reshape(n, 6), x[-4:]
        world = np.column_stack([outline[CORNER], BACK * thickness])
        world[~BACK, :2] += [lean_x, lean_y]
        world[:, 2] += twist * np.array([-1, 1, 1, -1])[CORNER]
        turned = np.einsum("nij,kj->nki", Rotation.from_rotvec(pose[:, :3]).as_matrix(), world)
        at = (turned + pose[:, None, 3:]) @ camera.T
        return at[..., :2] / np.maximum(at[..., 2:], 1.0)  # nothing is nearer than 1 mm

    def residuals(x):
        off = (project(x) - target)[seen] / (_BLUR * max(image_size)) * surely[seen][:, None]
        unusual = x[-3:] / [_LEAN, _LEAN, _TWIST]
        if known is not None:
            unusual = np.append(unusual, (x[-4] - known) / (_UNEVEN + _UNEVEN_MORE * known))
        return np.concatenate([off.reshape(-1), unusual])

    x = np.concatenate([poses.reshape(-1), [thickness, 0, 0, 0]])
    # The second loss pays no heed to corners far off, but finds no way from far away.
    for loss in ("soft_l1",) if known is None else ("soft_l1", "cauchy"):
        x = least_squares(
            residuals,
            x,
            loss=loss,
            x_scale=np.concatenate([np.tile([0.1, 0.1, 0.1, 10, 10, 10], n), [1, 1, 1, 1]]),
            jac_sparsity=_sparsity(seen, 3 if known is None else 4),
            max_nfev=80,
        ).x
    shown = np.full(points.shape, np.nan)
    shown[usable[:, None], orders] = project(x)
    thickness, *lean, twist = x[-4:]
    return Box(float(thickness), np.array(lean), float(twist), shown)


def _camera(image_size, focal):
    """(3, 3) intrinsic matrix of a camera whose focal length is a share of the longer side."""
    (width, height), focal = image_size, focal * max(image_size)
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])


def _align(rotation, numbers, corners):
    """Names that mean the same corner in every picture, and where to start from.

    Keypoints are named as the picture shows them: as the camera goes round the packet, upper
    becomes lower, and for a moment the names of one edge are crossed.

    Returns:
        (n, 8) order of each picture's keypoints, (n, 6) rotation vectors and translations in mm,
        and a thickness in mm.
    """
    orders = corners.copy()
    thickness = float(np.clip(np.median(numbers[:, 3]), _THINNEST, None))
    rotation, last = rotation.copy(), None
    for i in range(len(orders)):
        # From the packet, which way the camera is.
        eye = -rotation[i].T[:2] @ numbers[i, :3]
        if last is not None and eye @ last < 0:
            orders[i] = orders[i, list(TURNED)]
            rotation[i] = rotation[i] @ np.diag([-1, -1, 1])
            eye = -eye
        last = eye
    turns = Rotation.from_matrix(rotation).as_rotvec()
    return orders, np.column_stack([turns, numbers[:, :3]]), thickness


def _sparsity(seen, unusual):
    """Which residual depends on which parameter: a picture's on its own pose and on the box, as
    do the last, so many, which say how unusual the box is."""
    n, rows = len(seen), 2 * seen.sum(axis=1)
    pattern = lil_matrix((rows.sum() + unusual, 6 * n + 4), dtype=np.int8)
    for i, end in enumerate(np.cumsum(rows)):
        pattern[end - rows[i] : end, 6 * i : 6 * i + 6] = 1
    pattern[:, -4:] = 1
    return pattern
