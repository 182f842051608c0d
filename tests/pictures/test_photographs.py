"""Photographs are read upright, as BGR; files that cannot be read are named."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image
from support import TURNS, with_orientation

from cardpose.pictures.reading import read_picture


@pytest.mark.parametrize("orientation", TURNS)
def test_photographs_of_all_eight_orientations_are_read_upright(tmp_path, orientation):
    upright = np.zeros((48, 64, 3), np.uint8)
    upright[:16, :16] = (250, 0, 0)
    upright[-16:, :16] = (0, 250, 0)
    with_orientation(upright, orientation, tmp_path / "a.jpg")
    read = read_picture(tmp_path / "a.jpg")
    assert read.shape == (48, 64, 3)
    assert abs(read.astype(int) - upright).mean() < 6
    # Pillow, asked to turn it, agrees.
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.getexif()[0x0112] == orientation


@pytest.mark.parametrize(
    ("name", "mode"), [("a.png", "L"), ("a.png", "RGBA"), ("a.tif", "CMYK"), ("a.jpg", "CMYK")]
)
def test_grey_transparent_and_cmyk_pictures_become_bgr(tmp_path, name, mode):
    made = np.full((48, 64, 3), (200, 100, 40), np.uint8)
    Image.fromarray(made).convert(mode).save(tmp_path / name)
    read = read_picture(tmp_path / name)
    assert (read.shape, read.dtype) == ((48, 64, 3), np.uint8)
    # The usual weights of red, green and blue: 0.299, 0.587, 0.114.
    expected = [200 * 0.299 + 100 * 0.587 + 40 * 0.114] * 3 if mode == "L" else [40, 100, 200]
    assert abs(read[24, 32].astype(float) - expected).max() < 3


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_pictures_keep_their_high_bits(tmp_path, channels):
    made = np.full((48, 64, channels), 51400, np.uint16)  # 200 x 257
    cv2.imwrite(str(tmp_path / "a.png"), made)
    assert (read_picture(tmp_path / "a.png") == np.full((48, 64, 3), 200)).all()


def test_a_picture_of_excessive_size_is_refused(tmp_path, complains):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    content = (
        chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    with complains(f"{tmp_path / 'a.png'}: is too large"):
        read_picture(tmp_path / "a.png")


def test_a_truncated_photograph_is_reported(tmp_path, complains):
    """Also where its thumbnail, a JPEG within the JPEG, is whole."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    thumbnail = cv2.imencode(".jpg", noise[:8, :8])[1].tobytes()
    jpeg = cv2.imencode(".jpg", noise)[1].tobytes()
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(thumbnail)) + thumbnail
    whole = jpeg[:2] + segment + jpeg[2:]
    (tmp_path / "a.jpg").write_bytes(whole + b"what phones append")
    assert read_picture(tmp_path / "a.jpg").shape == (48, 64, 3)
    for length in (len(whole) // 2, len(whole) - 5, len(segment) + 10, 5, 2):
        (tmp_path / "a.jpg").write_bytes(whole[:length])
        with complains(f"{tmp_path / 'a.jpg'}: ends early"):
            read_picture(tmp_path / "a.jpg")


def test_jpeg_segments_may_start_with_several_0xff_bytes(tmp_path):
    jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(jpeg[:2] + b"\xff\xff" + jpeg[2:])
    assert read_picture(tmp_path / "a.jpg").mean() == pytest.approx(90, abs=2)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_not_a_picture_is_reported(tmp_path, complains, content):
    (tmp_path / "a.png").write_bytes(content)
    with complains(f"{tmp_path / 'a.png'}: cannot be read as a picture"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.pfm", "grey.pfm", "a.tif", "whole.tif"])
def test_pictures_of_32_bits_are_refused(tmp_path, complains, name):
    """A number says nothing of how bright it is, and black would be no packet."""
    made = np.full((48, 64), 0.5, np.float32)
    if name == "a.pfm":
        cv2.imwrite(str(tmp_path / name), np.dstack([made] * 3))
    elif name == "grey.pfm":
        Image.fromarray(made).save(tmp_path / name, "PPM")
    else:
        Image.fromarray(made if name == "a.tif" else made.astype(np.int32)).save(tmp_path / name)
    with complains(f"{name}: is a picture of 32 bits a channel: convert it to JPEG first"):
        read_picture(tmp_path / name)
