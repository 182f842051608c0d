"""Sound pictures that one decoder refuses, and large ones, which are read reduced."""

import os
import struct
import subprocess
import sys
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from cardpose.pictures import reading
from cardpose.pictures.formats import jpeg_scans
from cardpose.pictures.reading import read_photograph, read_picture

NOISE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
PNG = cv2.imencode(".png", NOISE)[1].tobytes()
HEAD = 33  # bytes of a PNG's signature and first chunk


def chunk(kind, data, wrong=0):
    checksum = zlib.crc32(kind + data) ^ wrong
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png_with(extra):
    return PNG[:HEAD] + extra + PNG[HEAD:]


def jpeg(**options):
    file = BytesIO()
    Image.fromarray(NOISE[..., ::-1]).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def resized(content, width, height):
    """A JPEG whose header says another size."""
    at = content.index(b"\xff\xc0")
    return content[: at + 5] + struct.pack(">HH", height, width) + content[at + 9 :]


def gif(width, height):
    file = BytesIO()
    Image.new("P", (1, 1)).save(file, "GIF")
    content = bytearray(file.getvalue())
    struct.pack_into("<HH", content, 6, width, height)
    return bytes(content)


# What one decoder refuses

READ = {
    "a long text": png_with(chunk(b"tEXt", b"Comment\0" + b"x" * 3_000_000)),
    "a text that grows": png_with(
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80_000_000)))
    ),
    "many texts": png_with(chunk(b"tEXt", b"Comment\0" + b"x" * 900_000) * 80),
    "a wrong checksum in a comment": png_with(chunk(b"tEXt", b"Comment\0x", wrong=1)),
    "a wrong checksum in a time": png_with(chunk(b"tIME", bytes(7), wrong=1)),
    "a wrong checksum in densities": png_with(chunk(b"pHYs", bytes(9), wrong=1)),
    "a damaged colour profile": png_with(chunk(b"iCCP", b"x\0\0nothing")),
    "an end that is missing": PNG[:-12],
    "half an end": PNG[:-5],
}


@pytest.mark.parametrize("name", READ)
def test_a_png_with_a_fault_beside_its_pixels_is_read(tmp_path, name):
    (tmp_path / "a.png").write_bytes(READ[name])
    assert (read_picture(tmp_path / "a.png") == NOISE).all()


@pytest.mark.parametrize("lost", [13, 20, 200])
def test_a_png_that_lacks_pixels_is_damaged(tmp_path, complains, lost):
    (tmp_path / "a.png").write_bytes(PNG[:-lost])
    with complains(f"{tmp_path / 'a.png'}: cannot be read as a picture: it is damaged"):
        read_picture(tmp_path / "a.png")


def test_a_png_with_a_wrong_checksum_in_its_pixels_is_damaged(tmp_path, complains):
    content = bytearray(PNG)
    content[-14] ^= 1
    (tmp_path / "a.png").write_bytes(content)
    with complains("it is damaged"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("place", ["before", "after"])
def test_exif_data_of_a_png_count_wherever_they_are(tmp_path, place):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = chunk(b"eXIf", exif.tobytes()[6:])
    content = png_with(data) if place == "before" else PNG[:-12] + data + PNG[-12:]
    (tmp_path / "a.png").write_bytes(content)
    assert (read_picture(tmp_path / "a.png") == np.rot90(NOISE, -1)).all()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("lost", [1, 2])
def test_a_jpeg_that_lacks_only_its_end_is_read(tmp_path, capfd, lost, options):
    whole = jpeg(**options)
    (tmp_path / "whole.jpg").write_bytes(whole)
    (tmp_path / "a.jpg").write_bytes(whole[:-lost])
    assert (read_picture(tmp_path / "a.jpg") == read_picture(tmp_path / "whole.jpg")).all()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_that_lacks_pixels_ends_early(tmp_path, complains, options):
    whole = jpeg(**options)
    for lost in (4, 5, 6, 8, 12, 50, 500):
        (tmp_path / "a.jpg").write_bytes(whole[:-lost])
        with complains(f"{tmp_path / 'a.jpg'}: ends early"):
            read_picture(tmp_path / "a.jpg")


@pytest.mark.parametrize("suffix", [".gif", ".jp2", ".avif", ".mpo"])
def test_rarer_formats_are_read(tmp_path, suffix):
    options = {"append_images": [Image.new("RGB", (64, 48))]} if suffix in (".gif", ".mpo") else {}
    flat = Image.new("RGB", (64, 48), (40, 100, 200))
    flat.save(tmp_path / f"a{suffix}", save_all=bool(options), **options)
    assert abs(read_picture(tmp_path / f"a{suffix}").astype(int) - [200, 100, 40]).max() < 5


def test_what_only_pillow_decodes_is_read(tmp_path):
    """OpenCV has no decoder for TGA."""
    Image.fromarray(NOISE[..., ::-1]).save(tmp_path / "a.png", "TGA")
    assert (read_picture(tmp_path / "a.png") == NOISE).all()


def test_no_program_is_run_for_a_picture(tmp_path, complains, monkeypatch):
    """Pillow would start Ghostscript, `gs`, for EPS."""
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\necho 10 >> {tmp_path / 'started'}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # look for the program again
    Image.fromarray(NOISE).save(tmp_path / "a.png", "EPS")
    with complains(f"{tmp_path / 'a.png'}: cannot be read as a picture"):
        read_picture(tmp_path / "a.png")
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.jpg", b"\xff\x0a" + bytes(20), "JPEG XL picture"),
        ("a.DNG", PNG, "camera's raw picture"),
    ],
)
def test_formats_that_are_not_read_are_named(tmp_path, complains, name, content, what):
    (tmp_path / name).write_bytes(content)
    with complains(f"{tmp_path / name}: is a {what}: convert it to JPEG first"):
        read_picture(tmp_path / name)


# Size and time


@pytest.mark.parametrize(("scale", "factor"), [(1, 1), (2, 2), (3, 4), (8, 8)])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_large_pictures_are_reduced(tmp_path, monkeypatch, suffix, scale, factor):
    monkeypatch.setattr(reading, "LARGE", 64 * 48)
    upright = np.zeros((48 * scale, 64 * scale, 3), np.uint8)
    upright[: 16 * scale, : 16 * scale] = 250
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(upright, 1))).save(
        tmp_path / f"a{suffix}", exif=exif
    )
    pixels, size, square = read_photograph(tmp_path / f"a{suffix}")
    assert (size, square) == ((64 * scale, 48 * scale), True)
    assert pixels.shape == (48 * scale // factor, 64 * scale // factor, 3)
    assert abs(pixels.mean() - 250 / 12) < 3
    assert pixels[2, 2].min() > 240
    assert pixels[2, -3].max() < 10


def test_the_size_of_a_reduced_picture_heeds_the_shape_of_its_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "LARGE", 64 * 48)
    Image.fromarray(NOISE).save(tmp_path / "a.jpg", dpi=(200, 100))
    pixels, size, square = read_photograph(tmp_path / "a.jpg")
    assert (pixels.shape, size, square) == ((48, 32, 3), (64, 96), False)


REFUSED = {
    "gif": gif(13_000, 13_000),
    "larger gif": gif(65_535, 65_535),
    "png": PNG[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 13_000, 13_000, 8, 2, 0, 0, 0)),
    "jpeg": resized(jpeg(), 30_000, 30_000),
    "jpeg of several scans": resized(
        jpeg(progressive=True).replace(b"\xff\xc2", b"\xff\xc0"), 16_000, 12_500
    ).replace(b"\xff\xc0", b"\xff\xc2"),
}
REFUSED["png"] += chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")


def peak(path):
    """The line of the error, and the most memory that reading took, in MB."""
    code = """
import resource, sys
from cardpose.pictures.reading import read_photograph
def used(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, line = used(), ""
try:
    line = read_photograph(sys.argv[1]).size
except Exception as error:
    line = error
print(line)
print(used() - before)
"""
    ran = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(ran, capture_output=True, text=True, timeout=100, check=True)
    line, used = done.stdout.splitlines()
    return line, float(used)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_not_decoded(tmp_path, name):
    (tmp_path / "a.jpg").write_bytes(REFUSED[name])
    line, memory = peak(tmp_path / "a.jpg")
    assert line.startswith(f"{tmp_path / 'a.jpg'}: is too large a picture")
    assert memory < 60


def test_a_jpeg_of_200_megapixels_is_read_reduced(tmp_path):
    (tmp_path / "a.jpg").write_bytes(resized(jpeg(), 16_320, 12_240))
    line, memory = peak(tmp_path / "a.jpg")
    assert line == "(16320, 12240)"
    assert memory < 300


def test_a_jpeg_of_thousands_of_scans_is_refused(tmp_path, complains):
    content = jpeg(progressive=True)
    last = content.rindex(b"\xff\xda")
    many = content[:-2] + content[last:-2] * 3000 + b"\xff\xd9"
    large = resized(many.replace(b"\xff\xc2", b"\xff\xc0"), 4000, 3000)
    (tmp_path / "a.jpg").write_bytes(large.replace(b"\xff\xc0", b"\xff\xc2"))
    with complains(f"{tmp_path / 'a.jpg'}: has more scans than 111"):
        read_picture(tmp_path / "a.jpg")


def test_scans_of_a_jpeg_are_counted():
    assert jpeg_scans(jpeg(), 99) == (1, True)
    assert jpeg_scans(jpeg(progressive=True), 99) == (10, True)
    assert jpeg_scans(jpeg(progressive=True)[:-2], 99) == (10, False)
    assert jpeg_scans(jpeg(progressive=True), 5).scans == 6


def test_large_files_are_not_read(tmp_path, complains):
    with open(tmp_path / "a.jpg", "wb") as file:
        file.truncate(2**40)
    with complains(f"{tmp_path / 'a.jpg'}: is too large a file: it may have 268,435,456 bytes"):
        read_picture(tmp_path / "a.jpg")
