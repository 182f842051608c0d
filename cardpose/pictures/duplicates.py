"""Find recordings with nearly the same pictures, such as renamed copies.

Pictures are compared by N. Krawetz's difference hash. Each bit says whether the picture gets
lighter from one of 256 places to the next, to the right or downwards. A change of compression, size
or exposure changes few bits. A different picture differs in many bits, even if it shows the same
cloth and packet.
"""

from collections.abc import Mapping

import cv2
import numpy as np
from jaxtyping import UInt8

_SIDE = 16  # places in each direction
BITS = 2 * _SIDE**2
# Different pictures share half of their bits by chance, and more if they show the same cloth. In
# hundreds of real frames, at least 20 % of the bits differed between any two of 33 recordings. At
# least 90 % of the bits survive another compression, half the size or another exposure.
NEAR = BITS // 8  # at most this many bits differ between near duplicates
_SHARE = 0.5  # smallest share of near-duplicate frames in a duplicate recording
_ROWS = 4096  # frames compared at once


def difference_hash(picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, " bytes"]:
    """Return the hash of a BGR picture as BITS bits, packed into bytes."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    wide = cv2.resize(grey, (_SIDE + 1, _SIDE), interpolation=cv2.INTER_AREA)
    high = cv2.resize(grey, (_SIDE, _SIDE + 1), interpolation=cv2.INTER_AREA)
    lighter = wide[:, 1:] > wide[:, :-1], high[1:] > high[:-1]
    return np.packbits(np.concatenate([part.reshape(-1) for part in lighter]))


def near_duplicates(
    these: Mapping[str, np.ndarray], those: Mapping[str, np.ndarray]
) -> dict[str, str]:
    """Find recordings in `these` with nearly the same pictures as a recording in `those`.

    At least half of the frames in the shorter recording must be near duplicates of frames in the
    longer one. Recordings with the same name are not compared.

    Args:
        these, those: {recording: hashes of its frames, (n, BITS / 8) uint8}.

    Returns:
        {name in `these`: name of the most similar recording in `those`}.
    """
    found = {}
    for name, hashes in these.items():
        shares = {
            other: _near_share(hashes, others)
            for other, others in those.items()
            if other != name and len(hashes) and len(others)
        }
        if shares:
            alike = max(shares, key=lambda other: shares[other])
            if shares[alike] >= _SHARE:
                found[name] = alike
    return found


def _near_share(a: UInt8[np.ndarray, "n bytes"], b: UInt8[np.ndarray, "m bytes"]) -> float:
    """Return the share of frames in the shorter recording with a near duplicate in the longer."""
    few, many = sorted((a, b), key=len)
    fewest_bits = np.full(len(few), BITS)
    for start in range(0, len(many), _ROWS):
        piece = many[start : start + _ROWS]
        for i, one in enumerate(few):
            differ = np.bitwise_count(piece ^ one).sum(axis=1, dtype=int)
            fewest_bits[i] = min(fewest_bits[i], differ.min())
    return float((fewest_bits <= NEAR).mean())
