"""Difference hashes of pictures, and recordings that are near duplicates by them."""

import cv2
import numpy as np

from cardpose.pictures.duplicates import BITS, NEAR, difference_hash, near_duplicates


def test_a_hash_survives_compression_size_and_exposure_and_tells_pictures_apart():
    rng = np.random.default_rng(0)

    def picture():
        small = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        return cv2.resize(small, (640, 480), interpolation=cv2.INTER_CUBIC)

    one, other = picture(), picture()
    jpeg = cv2.imdecode(cv2.imencode(".jpg", one, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], 1)
    for same in (jpeg, cv2.resize(one, (320, 240)), cv2.convertScaleAbs(one, alpha=0.8)):
        assert differing_bits(difference_hash(one), difference_hash(same)) < NEAR
    assert differing_bits(difference_hash(one), difference_hash(other)) > BITS // 3


def differing_bits(a, b):
    return int(np.unpackbits(a ^ b).sum())


def test_half_of_the_frames_make_a_recording_a_near_duplicate():
    rng = np.random.default_rng(0)
    a, b, c = rng.integers(0, 256, (3, 4, BITS // 8), dtype=np.uint8)
    mixed = np.concatenate([a[:2], c[:2]])
    assert near_duplicates({"a": a, "b": b}, {"a": a, "b": b}) == {}
    assert near_duplicates({"mixed": mixed}, {"a": a, "b": b}) == {"mixed": "a"}
    assert near_duplicates({"mixed": np.concatenate([a[:1], c[:3]])}, {"a": a}) == {}
    assert near_duplicates({"short": a[:1]}, {"a": a}) == {"short": "a"}
