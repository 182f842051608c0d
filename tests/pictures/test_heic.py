"""HEIC pictures: upright, in their colours, within the limits; what is not read is named."""

import shutil
import struct

import cv2
import numpy as np
import pytest
from films import FILES
from heic_files import CORNER, HEIGHT, WIDTH, box, clap, heic, imir, irot, pasp
from PIL import Image

from cardpose.dataset.extraction import extract_frames
from cardpose.dataset.recordings import Recording
from cardpose.inference.picture_like import photograph
from cardpose.pictures.formats import is_heic, is_picture
from cardpose.pictures.reading import read_photograph, read_picture

# What tests/files/corner.heic and ten_bit.heic show, in BGR.
SHOWN = np.full((HEIGHT, WIDTH, 3), (200, 120, 60), np.uint8)
SHOWN[:16, :16] = (0, 0, 250)
SHOWN[-16:, :16] = (0, 250, 0)


def read(tmp_path, content, name="a.heic"):
    (tmp_path / name).write_bytes(content)
    return read_picture(tmp_path / name)


def off(picture, expected):
    """Mean difference in levels of 255."""
    assert picture.shape == expected.shape
    return abs(picture.astype(int) - expected).mean()


# Colours


@pytest.mark.parametrize("name", ["corner.heic", "ten_bit.heic"])
def test_colours_are_those_of_the_source(name):
    assert off(read_picture(FILES / name), SHOWN) < 3


@pytest.mark.parametrize("name", ["a.HEIC", "a.hif", "a.jpg", "a"])
def test_heic_is_read_under_every_name(tmp_path, name):
    assert off(read(tmp_path, CORNER, name), SHOWN) < 3
    assert is_picture(tmp_path / name)
    assert photograph(str(tmp_path / name)).pixels.flags.writeable


@pytest.mark.parametrize(
    ("major", "compatible"), [(b"mif1", b"heic"), (b"MiHB", b"heic"), (b"heix", b"mif1")]
)
def test_heic_is_read_whatever_its_major_brand(tmp_path, major, compatible):
    content = CORNER[:8] + major + CORNER[12:16] + compatible + CORNER[20:]
    assert off(read(tmp_path, content), SHOWN) < 3


@pytest.mark.parametrize(("width", "height", "tiles"), [(200, 100, (2, 2)), (2000, 900, (16, 15))])
def test_a_picture_of_tiles_is_put_together_and_cropped(tmp_path, width, height, tiles):
    """The memory of the larger one, once freed, would be given back to the system."""
    picture = read(tmp_path, heic(size=(width, height), tiles=tiles))
    assert off(picture, np.tile(SHOWN, (*tiles[::-1], 1))[:height, :width]) < 3


# Turns


@pytest.mark.parametrize("orientation", [None, 1, 3, 6, 8])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_only_the_property_irot_turns(tmp_path, quarters, orientation):
    content = heic(irot(quarters), orientation=orientation)
    assert off(read(tmp_path, content), np.rot90(SHOWN, quarters)) < 3


@pytest.mark.parametrize(("axis", "expected"), [(0, SHOWN[::-1]), (1, SHOWN[:, ::-1])])
def test_the_property_imir_mirrors(tmp_path, axis, expected):
    assert off(read(tmp_path, heic(imir(axis))), expected) < 3


def test_the_size_is_that_of_the_turned_picture(tmp_path):
    (tmp_path / "a.heic").write_bytes(heic(irot(3)))
    assert read_photograph(tmp_path / "a.heic").size == (HEIGHT, WIDTH)


def test_a_crop_is_applied(tmp_path):
    picture = read(tmp_path, heic(clap(64, 32)))
    assert off(picture, SHOWN[16:48, 32:96]) < 3


@pytest.mark.parametrize("quarters", [0, 1])
def test_wide_pixels_are_wide_in_the_stored_picture(tmp_path, quarters):
    (tmp_path / "a.heic").write_bytes(heic(pasp(2, 1), irot(quarters)))
    pixels, size, square = read_photograph(tmp_path / "a.heic")
    wide = cv2.resize(SHOWN, (2 * WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
    assert off(pixels, np.rot90(wide, quarters)) < 6
    assert (size, square) == (pixels.shape[1::-1], False)


@pytest.mark.parametrize(
    "before", [box(b"free", b"abc"), struct.pack(">I4sQ", 1, b"free", 19) + b"abc"]
)
def test_properties_are_found_behind_other_boxes(tmp_path, before):
    assert off(read(tmp_path, heic(irot(1), before=before)), np.rot90(SHOWN)) < 3


# What is refused


def test_a_picture_that_claims_to_be_too_large_is_refused(tmp_path, complains):
    with complains(f"{tmp_path / 'a.heic'}: is too large a picture"):
        read(tmp_path, heic(size=(16_000, 9_000)))


def test_a_small_part_of_too_large_a_picture_is_refused(tmp_path, complains):
    with complains(f"{tmp_path / 'a.heic'}: is too large a picture"):
        read(tmp_path, heic(clap(64, 32), size=(16_000, 9_000)))


@pytest.mark.parametrize("size", [(64, 64), (12_000, 11_000)])
def test_a_picture_of_another_size_than_it_claims_is_refused(tmp_path, complains, size):
    with complains(f"{tmp_path / 'a.heic'}: cannot be read as a HEIC picture"):
        read(tmp_path, heic(size=size))


@pytest.mark.parametrize("lost", [1, 50, 100])
def test_half_a_picture_ends_early(tmp_path, complains, lost):
    with complains(f"{tmp_path / 'a.heic'}: ends early: a part of the picture is missing"):
        read(tmp_path, CORNER[:-lost])


def avif():
    """An AVIF that claims to be HEIC."""
    content = cv2.imencode(".avif", SHOWN)[1].tobytes()
    return content.replace(b"avif", b"heic")


def sequence():
    """A film in HEVC that claims to be a sequence of pictures."""
    film = (FILES / "ten_bit.mp4").read_bytes()
    return film[:8] + b"hevc" + film[12:]


UNREAD = {
    "nothing but a name": b"\0\0\0\x18ftypheic" + bytes(99),
    "no size": CORNER.replace(b"ispe", b"free"),
    "an end in its header": CORNER[:100],
    "another codec": avif(),
    "a sequence": sequence(),
}


@pytest.mark.parametrize("kind", UNREAD)
def test_what_is_not_read_is_named_in_one_line(tmp_path, complains, kind):
    assert is_heic(UNREAD[kind])
    with complains(f"{tmp_path / 'a.heic'}: cannot be read as a HEIC picture", "to JPEG"):
        read(tmp_path, UNREAD[kind])


def test_an_overlay_is_refused_before_it_is_drawn(tmp_path, complains):
    with complains(f"{tmp_path / 'a.heic'}: is an overlay of pictures: convert it to JPEG first"):
        read(tmp_path, CORNER.replace(b"hvc1", b"iovl"))


def test_a_transparency_made_of_its_own_picture_does_not_wait(tmp_path):
    content = heic(tiles=(1, 1), transparent=True)
    assert off(read(tmp_path, content), SHOWN) < 3


def test_a_video_is_not_a_heic():
    assert not is_heic(b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + b"mif1heic")
    assert not is_heic(b"\0\0\0\x18ftypqt  \0\0\0\0qt  ")


# Recordings


def test_frames_in_heic_become_jpeg(tmp_path):
    shots = tmp_path / "shots"
    shots.mkdir()
    for name in ("a_1.HEIC", "a_2.jpg"):  # a picture may have been renamed
        shutil.copy(FILES / "corner.heic", shots / name)
    Image.fromarray(SHOWN[..., ::-1]).save(shots / "a_3.heic", "PNG")
    extract_frames([Recording("shots", shots, 3, 52)], 1, tmp_path / "frames", jobs=1)
    for number in (1, 2, 3):
        file = tmp_path / f"frames/shots/shots_frame_{number}.jpg"
        with Image.open(file) as frame:
            assert frame.format == "JPEG"
        assert off(read_picture(file), SHOWN) < 4
