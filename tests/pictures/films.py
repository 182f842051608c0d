"""Make videos with FFmpeg, and read them back."""

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.bitstream import BitStreamFilterContext

from cardpose.pictures.videos import sampled_frames

FILES = Path(__file__).parents[1] / "files"
UPRIGHT = np.full((48, 64, 3), 20, np.uint8)
UPRIGHT[:16, :16] = (250, 20, 20)
UPRIGHT[-16:, :16] = (20, 250, 20)
ONE = 65536  # in a matrix of 16.16 fixed point numbers


def noisy(count):
    """Pictures of brightness 100, 101, ...; their noise makes packets of some length."""
    random = np.random.default_rng(0)
    grey = [random.normal(100 + i, 15, (64, 96, 1)).round() for i in range(count)]
    return [np.repeat(each, 3, axis=2).clip(0, 255).astype(np.uint8) for each in grey]


def film(
    path,
    pictures=None,
    codec="libx264",
    matrix=None,
    aspect=None,
    bitstream=None,
    container=None,
    times=None,
    shift=0,
    skip=0,
    **options,
):
    """Write a video at 25 frames a second.

    Args:
        matrix: (a, b, c, d) of the display: (x, y) is shown at (a x + c y, b x + d y).
        aspect: a pixel's width / height.
        bitstream: a bitstream filter of FFmpeg.
        container: options of the container.
        times: of the frames, in 25ths of a second.
        shift: so many 25ths of a second begin before time 0, which players do not show.
        skip: so many packets are left out at the beginning.
        options: of the codec.
    """
    pictures = [UPRIGHT] * 3 if pictures is None else pictures
    with av.open(str(path), "w", options=container or {}) as file:
        stream = file.add_stream(codec, 25)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if codec == "libvpx":
            stream.bit_rate = 500_000
        elif codec == "libx264":
            options = {"sc_threshold": 0, **options}  # noise is no reason for a key frame
        else:
            options = {"flags": "+qscale", "global_quality": 4 * 118, **options}
        stream.options = {name: str(value) for name, value in options.items()}
        stream.codec_context.time_base = Fraction(1, 25)
        if aspect:
            stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        if matrix:
            a, b, c, d = (round(ONE * number) for number in matrix)
            stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 2**30])
        frames = [av.VideoFrame.from_ndarray(each, "bgr24") for each in pictures]
        for frame, time in zip(frames, times or itertools.count(), strict=False):
            frame.pts, frame.time_base = time, Fraction(1, 25)
        packets = [packet for frame in [*frames, None] for packet in stream.encode(frame)]
        file.start_encoding()  # writes the header, which makes the codec's data known
        if bitstream:
            chain = BitStreamFilterContext(bitstream, stream)
            packets = [new for old in [*packets, None] for new in chain.filter(old)]
        for packet in packets[skip:]:
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            file.mux(packet)
    return path


def seen(path, step=1):
    """The sampled pictures by index, and how many frames there are."""
    *frames, (count, nothing) = sampled_frames(path, step)
    assert nothing is None
    return dict(frames), count


def first(path):
    return seen(path, 1000)[0][0]


def places(path):
    """Where each packet begins in a file."""
    with av.open(str(path)) as file:
        return [packet.pos for packet in file.demux(video=0) if packet.size]


def same(pictures, whole, numbers):
    """Whether each of some pictures, in order, is the one of another video that has the number."""
    chosen = [whole[number] for number in numbers]
    return len(pictures) == len(chosen) and all(
        (a == b).all() for a, b in zip(pictures.values(), chosen, strict=True)
    )


def numbers(pictures, whole):
    """The numbers of the pictures in another video, of the same pictures encoded anew."""
    return [
        min(whole, key=lambda i: abs(whole[i].astype(int) - picture).mean())
        for picture in pictures.values()
    ]


def is_shown_as(picture, expected):
    assert picture.shape == expected.shape
    return abs(picture.astype(int) - expected).mean() < 8
