"""Find recordings that show nearly the same pictures: a copy under another name, for instance.

Pictures are compared by a difference hash, after N. Krawetz: whether the picture gets lighter from
each of a few hundred places to the next, to the right and downwards. Other compression, another
size or another exposure change few of the bits. Another picture changes many, even if it shows the
same cloth and packet.
"""

from collections.abc import Mapping

import cv2
import numpy as np
from jaxtyping import UInt8

_SIDE = 16  # places, in each direction
BITS = 2 * _SIDE**2
# Different pictures share half of their bits by chance, and more on the same cloth: in hundreds of
# real frames of 33 recordings, at least a fifth of the bits differed between any two recordings.
# Compressed anew, at half the size or at another exposure, a picture keeps nine tenths or more.
NEAR = BITS // 8  # at most this many bits differ between near duplicates
_SHARE = 0.5  # of a recording's frames that have to be near duplicates of the other's
_ROWS = 4096  # frames compared at a time


def difference_hash(picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, " bytes"]:
    """Return the hash of a BGR picture: BITS bits, packed into bytes."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    wide = cv2.resize(grey, (_SIDE + 1, _SIDE), interpolation=cv2.INTER_AREA)
    high = cv2.resize(grey, (_SIDE, _SIDE + 1), interpolation=cv2.INTER_AREA)
    lighter = wide[:, 1:] > wide[:, :-1], high[1:] > high[:-1]
    return np.packbits(np.concatenate([part.reshape(-1) for part in lighter]))


def near_duplicates(
    these: Mapping[str, np.ndarray], those: Mapping[str, np.ndarray]
) -> dict[str, str]:
    """Find recordings in `these` that show nearly the same pictures as one in `those`.

    At least half of the frames of the shorter recording have to be near duplicates of frames of the
    longer one. A recording is not compared with one of the same name.

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
    """Return the share of the shorter recording's frames that are near one of the longer's."""
    few, many = sorted((a, b), key=len)
    fewest_bits = np.full(len(few), BITS)
    for start in range(0, len(many), _ROWS):
        piece = many[start : start + _ROWS]
        for i, one in enumerate(few):
            differ = np.bitwise_count(piece ^ one).sum(axis=1, dtype=int)
            fewest_bits[i] = min(fewest_bits[i], differ.min())
    return float((fewest_bits <= NEAR).mean())
