"""Read frames of videos and cameras in BGR. Frames of videos are upright, with square pixels."""

import contextlib
import logging
import os
import re
import time
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideDataContainer
from av.stream import Discard, Disposition
from av.video.reformatter import ColorPrimaries, ColorTrc, Interpolation, VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import UInt8

from cardpose.common.errors import InputError, quantity
from cardpose.common.regular_files import check_regular
from cardpose.pictures.decoding import Damage, decoded_frames, promised_frames
from cardpose.pictures.formats import begins_like_heic, is_picture
from cardpose.pictures.marks import Turn, squared, squared_size, turned

# Formats that contain the video. Playlists and the like would make FFmpeg open other files.
_FORMATS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,h264,hevc,vvc,m4v,vc1,obu,ivf,flv,live_flv,asf,asf_o,"
    "ogg,mjpeg,mjpeg_2000,dv,mxf,gxf,nut,rm,wtv,ty,pva,nsv,nuv,dhav,mlv,mpjpeg,gif,apng,"
    "yuv4mpegpipe,swf,lxf,ifv,kux,avs2,avs3,cavsvideo,h263,h261,dirac,evc,apv,viv,bink,roq"
)
# Most that any level of H.264, HEVC and AV1 allows; a decoder may hold 17 frames.
MOST_FRAME_PIXELS = 35_651_584
_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails
_LIMIT = {"max_pixels": str(MOST_FRAME_PIXELS)}  # option of FFmpeg's decoders
_FLATTEST = 10  # largest ratio of a pixel's longer side to its shorter one
# PyAV passes FFmpeg's messages to Python. `av.logging.Capture` reads the useful ones. The rest is
# dropped.
logging.getLogger("libav").addHandler(logging.NullHandler())
logging.getLogger("libav").propagate = False
av.logging.set_level(av.logging.ERROR)
av.logging.set_skip_repeated(False)


def sampled_frames(
    path: str | PathLike[str], step: int
) -> Iterator[tuple[int, UInt8[np.ndarray, "h w 3"] | None]]:
    """Read every `step`-th frame of a video, starting with the first.

    Frames are upright and have square pixels. All frames are scaled to the size of the first.

    Yields:
        (index, picture in BGR) for each sampled frame, then (number of frames, None).

    Raises:
        InputError: the video cannot be opened, is a picture, is too large, is encrypted, has no
            frames, is cut off or damaged, or specifies an unsupported turn or pixel shape. Frames
            before the damage are yielded first.
    """
    index, damage = 0, None
    with _opened(path) as (container, stream):
        promised, codec = promised_frames(container, stream), stream.codec_context.name
        convert = _FrameConverter(path, stream)
        try:
            for frame in decoded_frames(path, container, stream):
                if index % step == 0:
                    yield index, convert(frame)
                index += 1
        except Damage as found:
            damage = found
    if index == 0:
        raise InputError(f"{path}: holds no frame that can be decoded (its codec is {codec})")
    if index == 1 and is_picture(path):  # FFmpeg reads a picture as a video of one frame
        raise InputError(f"{path}: is a picture, not a video; name a folder of pictures")
    if damage and index < promised:
        raise InputError(
            f"{path}: ends early: {quantity(index, 'frame')} of {promised} can be decoded"
        )
    if damage:
        raise InputError(
            f"{path}: ends early: {quantity(index, 'frame')} can be decoded, then: {damage}"
        )
    yield index, None


def video_timing(path: str | PathLike[str]) -> tuple[float, int]:
    """Return the frames per second and the number of frames of a video, by its header.

    Unusable values are replaced by 25 frames per second and 0 frames.
    """
    try:
        with _opened(path) as (container, stream):
            rate = float(stream.average_rate or stream.guessed_rate or 0)
            return (rate if 1 <= rate <= 1000 else 25.0), promised_frames(container, stream)
    except InputError:
        return 25.0, 0


@contextlib.contextmanager
def _opened(path: str | PathLike[str]) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video for decoding in one thread."""
    check_regular(path)
    readable = os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids)
    if Path(path).exists() and not readable:
        raise InputError(f"{path}: cannot be read (Permission denied)")
    # The prefix "file:" keeps FFmpeg from reading a name as a URL or an option.
    name = f"file:{Path(path).absolute()}"
    options = {"protocol_whitelist": "file", "format_whitelist": _FORMATS, **_LIMIT}
    try:
        container = av.open(name, options=options)
    except (av.error.FFmpegError, ValueError):
        container = None
    if container is None or begins_like_heic(path):
        if is_picture(path):
            raise InputError(f"{path}: is a picture, not a video; name a folder of pictures")
        raise InputError(f"{path}: cannot be opened as a video")
    with container:
        streams = [each for each in container.streams.video if not each.disposition & _NO_VIDEO]
        if not streams:
            raise InputError(f"{path}: cannot be opened as a video: it holds none")
        best = container.streams.best("video")
        stream = best if best in streams else streams[0]
        if stream.codec_context is None:
            codec = _unknown_codec(name, options)
            raise InputError(f"{path}: cannot be opened as a video: its codec{codec} is not known")
        if not (stream.codec_context.width and stream.codec_context.height):
            raise InputError(
                f"{path}: cannot be opened as a video: it holds no frames, or some of more than"
                f" {MOST_FRAME_PIXELS:,} pixels"
            )
        _check_frame_size(path, (stream.codec_context.width, stream.codec_context.height))
        stream.codec_context.options = _LIMIT  # the size may change later
        stream.codec_context.thread_count = 1
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        yield container, stream


def _check_frame_size(path: str | PathLike[str], size: tuple[int, int]) -> None:
    if size[0] * size[1] > MOST_FRAME_PIXELS:
        raise InputError(
            f"{path}: is too large a video: its frames may have {MOST_FRAME_PIXELS:,} pixels"
            f" (got {size[0]} x {size[1]})"
        )


def _unknown_codec(name: str, options: dict[str, str]) -> str:
    """Return the name of an unsupported codec as ", NAME,", or "" if FFmpeg does not name it."""
    av.logging.set_level(av.logging.WARNING)
    try:
        with av.logging.Capture() as messages, av.open(name, options=options):
            warning = " ".join(text for *_, text in messages)
    finally:
        av.logging.set_level(av.logging.ERROR)
    found = re.search(r"\((\w{4}) / 0x", warning) or re.search(r"Video: (?!none)(\w+)", warning)
    return f", {found[1]}," if found else ""


class _FrameConverter:
    """Converter of decoded frames to upright BGR pictures with square pixels."""

    def __init__(self, path: str | PathLike[str], stream: VideoStream) -> None:
        self._path, self._codec = path, stream.codec_context
        self._aspect = _aspect(path, stream)
        self._reformatter = VideoReformatter()
        self._first: tuple[Any, Any, Turn, Any] | None = None  # of the first frame

    def __call__(self, frame: av.VideoFrame) -> UInt8[np.ndarray, "h w 3"]:
        picture, turn = self._bgr(frame), _turn(self._path, frame)
        stored, ratio = picture.shape, self._codec.sample_aspect_ratio
        if self._first is None:
            _check_frame_size(self._path, squared_size(picture.shape[1::-1], self._aspect))
            picture = squared(picture, self._aspect)
            self._first = stored, ratio, turn, picture.shape
        first_stored, first_ratio, first_turn, size = self._first
        if turn != first_turn or (stored == first_stored and ratio != first_ratio):
            raise InputError(f"{self._path}: changes in its course how its frames are to be shown")
        if picture.shape != size:
            picture = cv2.resize(picture, size[1::-1], interpolation=cv2.INTER_CUBIC)
        return turned(picture, turn)

    def _bgr(self, frame: av.VideoFrame) -> UInt8[np.ndarray, "h w 3"]:
        """Convert a frame to BGR. High dynamic range becomes standard dynamic range."""
        how: dict[str, Any] = {
            "format": "bgr24",
            "interpolation": Interpolation.BICUBIC,
            "threads": 1,
        }
        standard: dict[str, Any] = {
            "dst_color_trc": ColorTrc.BT709,
            "dst_color_primaries": ColorPrimaries.BT709,
        }
        try:
            return self._reformatter.reformat(frame, **how, **standard).to_ndarray()
        except (av.error.FFmpegError, ValueError):  # colours that FFmpeg cannot convert
            return VideoReformatter().reformat(frame, **how).to_ndarray()


def _aspect(path: str | PathLike[str], stream: VideoStream) -> float:
    """Return the width / height of a stored pixel."""
    aspect = float(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1)
    if not 1 / _FLATTEST <= aspect <= _FLATTEST:
        raise InputError(f"{path}: says that its pixels are {aspect:.3g} times as wide as high")
    return aspect


def _turn(path: str | PathLike[str], frame: av.VideoFrame) -> Turn:
    """Return the turn of a frame, by its display matrix.

    The matrix maps a point (x, y) to (a x + c y, b x + d y), up to a shift. FFmpeg converts
    different scales along x and y to the pixels' aspect ratio.

    Raises:
        InputError: the matrix turns by another angle than 90, 180 or 270 degrees, shears, or has
            different scales in a quarter turn.
    """
    # `frame.side_data` would form a reference cycle with the frame, and neither would be freed.
    side_data = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    if side_data is None:
        return Turn()
    a, b, _, c, d = np.frombuffer(bytes(side_data), np.int32)[:5].astype(float)  # type: ignore
    if not (a or b or c or d):
        return Turn()
    tolerance = 0.01 * max(abs(a), abs(b), abs(c), abs(d))
    if max(abs(b), abs(c)) <= tolerance < min(abs(a), abs(d)):
        return Turn(False, a < 0, d < 0)
    # For a quarter turn, FFmpeg swaps the two scales, so reject scales that differ.
    if max(abs(a), abs(d), abs(abs(b) - abs(c))) <= tolerance < min(abs(b), abs(c)):
        return Turn(True, c < 0, b < 0)
    raise InputError(f"{path}: is to be shown askew: turned by no quarter of a circle, or sheared")


def camera_frames(
    number: int, seconds: float | int | None = None
) -> Iterator[tuple[int, UInt8[np.ndarray, "h w 3"]]]:
    """Yield (index, picture in BGR) from a camera, for `seconds` or without end.

    Raises:
        InputError: the camera cannot be opened, or it sends no more pictures.
    """
    capture = cv2.VideoCapture(number)
    try:
        if not capture.isOpened():
            raise InputError(f"camera {number}: cannot be opened")
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # read the newest picture, not a queued one
        index, end = 0, None if seconds is None else time.monotonic() + seconds
        while end is None or time.monotonic() < end:
            seen, picture = capture.read()
            if not seen:
                raise InputError(f"camera {number}: sends no more pictures")
            yield index, picture
            index += 1
    finally:
        capture.release()
