"""Write videos that browsers play: H.264 in MP4 files."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction
from os import PathLike
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    ColorTrc,
    Interpolation,
    VideoReformatter,
)
from jaxtyping import UInt8

from cardpose.common.errors import InputError

# Rendered frames of 640 x 480 pixels take about 27 kB, with a PSNR of 40 dB. The preset "veryfast"
# takes twice as long for 1.5 dB more.
_QUALITY = {"preset": "superfast", "crf": "20"}
# Without accurate rounding, colours become up to 2 levels darker.
_ACCURATE = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP
_BT601 = 6  # FFmpeg's AVCOL_SPC_SMPTE170M; PyAV names only the values that its reformatter takes
_MOST_TICKS = 100_000  # largest denominator of a frame rate; 30000/1001 stays exact


@contextlib.contextmanager
def video_output(
    path: str | PathLike[str], rate: float | int
) -> Iterator[Callable[[UInt8[np.ndarray, "h w 3"]], None]]:
    """Yield a function that adds a BGR picture to a new MP4 file.

    - All pictures need the size of the first. An odd width or height becomes even: the last column
      or row is repeated, because this form of H.264 stores one colour per 2 x 2 pixels.
    - The file says how its colours are coded.
    - The same pictures give the same bytes, whatever the number of cores.

    Args:
        rate: frames per second.

    Raises:
        InputError: the file cannot be written, for instance because the disk is full.
    """
    name = Path(path).absolute()  # FFmpeg would read a relative name like "http:a" as a URL
    # Move the index to the front, so that a browser plays the file while it loads.
    options = {"movflags": "+faststart"}
    with _write_errors(path):
        container = av.open(name, "w", format="mp4", options=options)
    exact_rate = Fraction(rate).limit_denominator(_MOST_TICKS)
    stream = container.add_stream("libx264", exact_rate, options=_QUALITY)
    stream.pix_fmt = "yuv420p"
    codec = stream.codec_context
    codec.thread_count = 1  # another number gives other bytes
    # With the matrix of BT.709, Chromium and Firefox show saturated colours up to 12 levels off.
    codec.colorspace, codec.color_range = _BT601, ColorRange.MPEG
    codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    times, reformatter = itertools.count(), VideoReformatter()

    @_write_errors(path)
    def add(picture: UInt8[np.ndarray, "h w 3"]) -> None:
        height, width = picture.shape[:2]
        even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
        frame = reformatter.reformat(
            av.VideoFrame.from_ndarray(even, "bgr24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.MPEG,
            interpolation=_ACCURATE,
            threads=1,
        )
        frame.pts, frame.time_base = next(times), 1 / exact_rate
        if frame.pts == 0:
            stream.height, stream.width = even.shape[:2]
        container.mux(stream.encode(frame))

    try:
        yield add
        with _write_errors(path):
            container.mux(stream.encode())
    finally:
        with _write_errors(path):
            container.close()


@contextlib.contextmanager
def _write_errors(path: str | PathLike[str]) -> Iterator[None]:
    """Name `path` in errors of FFmpeg."""
    try:
        yield
    except av.error.FFmpegError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
