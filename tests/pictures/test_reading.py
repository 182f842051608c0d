"""Turns and pixel shapes that picture files ask for, in every format that can."""

import struct
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image
from support import TURNS

from cardpose.dataset.extraction import extract_frames
from cardpose.dataset.recordings import Recording
from cardpose.pictures.formats import is_picture
from cardpose.pictures.reading import read_picture

UPRIGHT = np.zeros((48, 64, 3), np.uint8)
UPRIGHT[:16, :16] = (250, 0, 0)
UPRIGHT[-16:, :16] = (0, 250, 0)


def image(picture):
    return Image.fromarray(np.ascontiguousarray(picture[..., ::-1]))


def exif(**tags):
    """EXIF data with an orientation, or with resolutions."""
    numbers = {"orientation": 0x0112, "across": 0x011A, "down": 0x011B}
    data = Image.Exif()
    for name, value in tags.items():
        data[numbers[name]] = value
    return data


def saved(path, picture, **options):
    image(picture).save(path, quality=98, **options)
    return path


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_pictures_are_turned_once_in_every_format(tmp_path, suffix, orientation):
    """Pillow writes an AVIF's orientation as the properties irot and imir."""
    stored = TURNS[orientation](UPRIGHT)
    path = saved(tmp_path / f"a{suffix}", stored, exif=exif(orientation=orientation))
    read = read_picture(path)
    assert read.shape == UPRIGHT.shape
    assert abs(read.astype(int) - UPRIGHT).mean() < 6


@pytest.mark.parametrize("value", [0, 9, 77])
def test_an_orientation_that_does_not_exist_is_ignored(tmp_path, value):
    path = saved(tmp_path / "a.png", UPRIGHT, exif=exif(orientation=value))
    assert (read_picture(path) == UPRIGHT).all()


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_pictures_without_marks_are_what_opencv_decodes(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    path = saved(tmp_path / f"a{suffix}", noise)
    assert (read_picture(path) == cv2.imread(str(path))).all()


def test_damaged_exif_data_are_ignored(tmp_path):
    path = saved(tmp_path / "a.jpg", UPRIGHT)
    segment = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(7)
    jpeg = path.read_bytes()
    length = struct.pack(">H", 2 + len(segment))
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + length + segment + jpeg[2:])
    assert read_picture(path).shape == UPRIGHT.shape


# The shape of pixels


def jfif(unit, across, down, comment=b""):
    """The bytes of a JPEG with these densities, and perhaps a comment."""
    file = BytesIO()
    image(UPRIGHT).save(file, "JPEG", quality=98, comment=comment)
    content = bytearray(file.getvalue())
    struct.pack_into(">BHH", content, content.index(b"JFIF") + 7, unit, across, down)
    return bytes(content)


@pytest.mark.parametrize(
    ("unit", "across", "down", "size"),
    [
        # Twice as many pixels an inch across as down: pixels are half as wide as high.
        (1, 200, 100, (96, 64)),
        (2, 100, 200, (48, 128)),
        (0, 4, 3, (64, 64)),
        (0, 1, 1, (48, 64)),
        (1, 72, 72, (48, 64)),
        # Scanners and cameras round, or write nonsense.
        (1, 300, 299, (48, 64)),
        (1, 0, 72, (48, 64)),
        (1, 300, 1, (48, 64)),
        (0, 0, 0, (48, 64)),
    ],
)
def test_a_jpegs_densities_make_one_side_grow(tmp_path, unit, across, down, size):
    path = tmp_path / "a.jpg"
    path.write_bytes(jfif(unit, across, down))
    read = read_picture(path)
    assert read.shape[:2] == size
    assert read[2, 2, 0] > 200
    assert read[-3, 2, 1] > 200


def test_pixels_that_are_nearly_square_are_square(tmp_path):
    Image.new("L", (300, 200)).save(tmp_path / "a.png", dpi=(300, 298))
    assert read_picture(tmp_path / "a.png").shape == (200, 300, 3)


def test_ffmpeg_writes_a_pixels_sides_for_densities(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(jfif(0, 4, 3, comment=b"Lavc62.28.102"))
    assert read_picture(path).shape[:2] == (48, 85)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_densities_count_in_other_formats_too(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    image(UPRIGHT).save(path, dpi=(200, 100))
    assert read_picture(path).shape[:2] == (96, 64)
    image(UPRIGHT).save(path, dpi=(300, 300))
    assert (read_picture(path) == UPRIGHT).all()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_resolutions_in_exif_data_make_one_side_grow(tmp_path, suffix):
    path = saved(tmp_path / f"a{suffix}", UPRIGHT, exif=exif(across=100.0, down=200.0))
    assert read_picture(path).shape[:2] == (48, 128)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_the_shape_of_pixels_is_that_of_the_stored_picture(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    image(TURNS[6](UPRIGHT)).save(path, dpi=(100, 200), exif=exif(orientation=6), quality=98)
    read = read_picture(path)
    assert read.shape[:2] == (96, 64)  # stored 48 wide, shown 96, and then turned
    assert read[2, 2, 0] > 200


def test_a_png_that_does_not_say_which_side_is_longer_is_refused(tmp_path, complains):
    path = saved(tmp_path / "a.png", UPRIGHT)
    png = path.read_bytes()
    data = b"pHYs" + struct.pack(">IIB", 4, 3, 0)
    chunk = struct.pack(">I", 9) + data + struct.pack(">I", zlib.crc32(data))
    path.write_bytes(png[:33] + chunk + png[33:])
    with complains(f"{path}: has pixels that are not square", "save it with square pixels"):
        read_picture(path)


def test_a_picture_that_would_grow_too_large_is_refused(tmp_path, complains):
    Image.new("L", (9_000, 9_000)).save(tmp_path / "a.png", dpi=(390, 100))
    with complains(f"{tmp_path / 'a.png'}: is too large"):
        read_picture(tmp_path / "a.png")


def test_frames_with_pixels_that_are_not_square_are_extracted_as_they_are_shown(tmp_path):
    """Programs that show or label pictures do not heed the shape of pixels."""
    shots = tmp_path / "shots"
    shots.mkdir()
    image(UPRIGHT).save(shots / "a_1.png", dpi=(200, 100))
    image(UPRIGHT).save(shots / "a_2.png")
    extract_frames([Recording("shots", shots, 3, 52)], 1, tmp_path / "frames", jobs=1)
    rows = (tmp_path / "frames" / "index.csv").read_text().splitlines()
    assert rows[1] == "shots_frame_1,shots,shots/shots_frame_1.jpg,64,96"
    assert rows[2] == "shots_frame_2,shots,shots/shots_frame_2.png,64,48"
    assert read_picture(tmp_path / "frames/shots/shots_frame_1.jpg").shape[:2] == (96, 64)
    copy = tmp_path / "frames/shots/shots_frame_2.png"
    assert copy.read_bytes() == (shots / "a_2.png").read_bytes()


# AVIF


def with_property(avif, box):
    """An AVIF with one more property: the boxes around it grow, what they point to moves."""
    content = bytearray(avif)
    data = content.index(b"mdat") + 4
    for kind in (b"meta", b"iprp", b"ipco"):
        at = content.index(kind) - 4
        struct.pack_into(">I", content, at, struct.unpack_from(">I", content, at)[0] + len(box))
    pointer = content.index(struct.pack(">I", data), content.index(b"iloc"))
    struct.pack_into(">I", content, pointer, data + len(box))
    start = content.index(b"ipco") - 4
    end = start + struct.unpack_from(">I", content, start)[0] - len(box)
    return bytes(content[:end]) + box + bytes(content[end:])


@pytest.fixture
def avif(tmp_path):
    return saved(tmp_path / "a.avif", UPRIGHT)


def test_an_avifs_pixels_may_be_wide(avif):
    box = struct.pack(">I4sII", 16, b"pasp", 4, 3)
    avif.write_bytes(with_property(avif.read_bytes(), box))
    assert read_picture(avif).shape[:2] == (48, 85)


def test_an_avif_with_a_crop_is_refused(avif, complains):
    box = struct.pack(">I4s8I", 40, b"clap", 32, 1, 32, 1, 0, 1, 0, 1)
    avif.write_bytes(with_property(avif.read_bytes(), box))
    with complains(f"{avif}: says to show only a part"):
        read_picture(avif)


@pytest.mark.parametrize("brand", [b"mif1", b"msf1"])
def test_an_avif_may_have_a_general_brand_first(avif, brand):
    content = avif.read_bytes()
    avif.write_bytes(content[:8] + brand + content[12:])
    assert read_picture(avif).shape == UPRIGHT.shape


def test_a_picture_whose_name_is_not_utf8_is_read(tmp_path):
    path = tmp_path / "Gru\udcdf"
    image(UPRIGHT).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(path)
    assert is_picture(path)
    assert (read_picture(path) == UPRIGHT).all()
    path.write_bytes(b"no picture")
    assert not is_picture(path)
