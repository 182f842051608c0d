"""Recordings that are nearly the same pictures: a copy under another name, for instance.

A picture is known by whether it gets lighter from each of a few hundred places to the next, to
the right and downwards: a difference hash, as N. Krawetz called it. Other compression, another
size or another exposure change few of the bits; another picture of the same cloth and packet, many.
"""

import cv2
import numpy as np

_SIDE = 16  # places, in each direction
BITS = 2 * _SIDE**2
# Different pictures share half of their bits by chance, and more on the same cloth: in hundreds of
# real frames of 33 recordings no two of different ones came nearer than a fifth. Compressed anew,
# at half the size or at another exposure, a picture keeps nine tenths and more.
NEAR = BITS // 8
_SHARE = 0.5  # of a recording's frames that have to be near ones of the other's
_ROWS = 4096  # frames compared at a time


def difference_hash(picture):
    """(BITS / 8,) uint8, what a (height, width, 3) picture looks like."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    wide = cv2.resize(grey, (_SIDE + 1, _SIDE), interpolation=cv2.INTER_AREA)
    high = cv2.resize(grey, (_SIDE, _SIDE + 1), interpolation=cv2.INTER_AREA)
    lighter = wide[:, 1:] > wide[:, :-1], high[1:] > high[:-1]
    return np.packbits(np.concatenate([part.reshape(-1) for part in lighter]))


def near_duplicates(these, those):
    """Which recordings show nearly the same pictures.

    Args:
        these, those: {recording: (n, BITS / 8) uint8, what its frames look like}.

    Returns:
        {name in `these`: name in `those`}, the most alike, of recordings of which at least half of
        the frames are near frames of the other; a recording is not compared with itself.
    """
    found = {}
    for name, looks in these.items():
        shares = {
            other: _share(looks, others)
            for other, others in those.items()
            if other != name and len(looks) and len(others)
        }
        alike = max(shares, key=shares.get, default=None)
        if alike is not None and shares[alike] >= _SHARE:
            found[name] = alike
    return found


def _share(looks, others):
    """Of the recording with fewer frames, the share of frames that are near one of the other's."""
    few, many = sorted((looks, others), key=len)
    nearest = np.full(len(few), BITS)
    for start in range(0, len(many), _ROWS):
        piece = many[start : start + _ROWS]
        for i, one in enumerate(few):
            differ = np.bitwise_count(piece ^ one).sum(axis=1, dtype=int)
            nearest[i] = min(nearest[i], differ.min())
    return float((nearest <= NEAR).mean())
