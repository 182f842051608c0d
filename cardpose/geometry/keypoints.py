"""Names, order and edges of the eight corners of a packet."""

import numpy as np
from jaxtyping import Bool, Float, Int64

KEYPOINTS = (
    "upper_left_face",
    "upper_right_face",
    "upper_left_back",
    "upper_right_back",
    "lower_left_face",
    "lower_right_face",
    "lower_left_back",
    "lower_right_back",
)
# FLIP[i] is the index of keypoint i after the picture is flipped left-right.
FLIP = tuple(
    KEYPOINTS.index(name.replace("left", "*").replace("right", "left").replace("*", "right"))
    for name in KEYPOINTS
)
# TURNED[i] is the index of keypoint i after the packet is turned by 180 degrees.
TURNED = (5, 4, 7, 6, 1, 0, 3, 2)
# For each keypoint: its corner of a card, 0 to 3 as in `card.card_corners`; and whether it belongs
# to the back.
CORNER = np.array([2 * name.startswith("lower") + ("right" in name) for name in KEYPOINTS])
BACK = np.array([name.endswith("back") for name in KEYPOINTS])
# The packet's twelve edges, as pairs of keypoint indices: back, face, uprights.
EDGES = (
    *((2, 3), (3, 7), (7, 6), (6, 2)),
    *((0, 1), (1, 5), (5, 4), (4, 0)),
    *((0, 2), (1, 3), (4, 6), (5, 7)),
)
N_KEYPOINTS = len(KEYPOINTS)


def name_corners(
    face: Float[np.ndarray, "4 2"], back: Float[np.ndarray, "4 2"]
) -> Int64[np.ndarray, "8"]:
    """Return the order of a packet's corners that agrees with KEYPOINTS.

    "Upper" is the short edge of the back whose middle is higher in the picture. "Left" is the
    corner of each pair with the smaller x. Names follow the picture, not the cards, because the
    back of a card looks the same after a turn by 180 degrees.

    Args:
        face, back: corners of the lowest and the highest card in the picture, in the order of
            `card.card_corners`. x runs right, y runs down.

    Returns:
        For each keypoint, its row in `np.concatenate([face, back])`.
    """
    ends = ((0, 1), (2, 3))
    heights = [back[list(end), 1].mean() for end in ends]
    upper, lower = (ends[i] for i in np.argsort(heights, kind="stable"))
    order = []
    for end in (upper, lower):
        for first_row, corners in ((0, face), (4, back)):
            order += [first_row + i for i in sorted(end, key=lambda i: corners[i, 0])]
    return np.array(order)


def rename(
    points: Float[np.ndarray, "8 2"], visible: Bool[np.ndarray, "8"]
) -> tuple[Float[np.ndarray, "8 2"], Bool[np.ndarray, "8"]]:
    """Rename the keypoints of a rotated picture by the rule of `name_corners`.

    Names stay if too few corners are visible to apply the rule.

    Args:
        points, visible: in the rotated picture, in the order of KEYPOINTS before the rotation.
    """
    # Axes: end (upper, lower), layer (face, back), side (left, right).
    order = np.arange(8).reshape(2, 2, 2)
    back = order[:, 1]
    if visible[back].all() and points[back[0], 1].mean() > points[back[1], 1].mean():
        order = order[::-1].copy()
    for end in order:
        turned = [points[a, 0] > points[b, 0] for a, b in end]
        both_visible = [visible[pair].all() for pair in end]
        for layer in (0, 1):
            source = layer if both_visible[layer] else 1 - layer
            if both_visible[source] and turned[source]:
                end[layer] = end[layer][::-1].copy()
    names = order.reshape(8)
    return points[names], visible[names]
