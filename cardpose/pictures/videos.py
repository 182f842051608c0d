"""Read and write videos."""

import contextlib
import logging
import os
import re
import time
from pathlib import Path

import av
import cv2
import numpy as np
from av.stream import Discard, Disposition
from av.video.reformatter import ColorPrimaries, ColorTrc, Interpolation, VideoReformatter

from cardpose.common.errors import InputError
from cardpose.pictures.decoding import Damage, decoded_frames, promised_frames
from cardpose.pictures.reading import Turn, is_heic, is_picture, squared, turned

# Formats that hold a video themselves. Others, such as playlists, make FFmpeg open other files.
_FORMATS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,h264,hevc,vvc,m4v,vc1,obu,ivf,flv,live_flv,asf,asf_o,"
    "ogg,mjpeg,mjpeg_2000,dv,mxf,gxf,nut,rm,wtv,ty,pva,nsv,nuv,dhav,mlv,mpjpeg,gif,apng,"
    "yuv4mpegpipe,swf,lxf,ifv,kux,avs2,avs3,cavsvideo,h263,h261,dirac,evc,apv,viv,bink,roq"
)
_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails
_FLATTEST = 10  # times as wide as high, or as high as wide, a pixel may be
# PyAV hands messages to Python. Those that matter are looked at here, and the rest is not shown.
logging.getLogger("libav").addHandler(logging.NullHandler())
logging.getLogger("libav").propagate = False
av.logging.set_level(av.logging.ERROR)
av.logging.set_skip_repeated(False)


def sampled_frames(path, step):
    """Take every `step`-th frame of a video, from the first; the others are not converted.

    Frames are upright and have square pixels, as the video says. Later frames of another size are
    scaled to the size of the first.

    Yields:
        (index, picture): picture is (height, width, 3) uint8 BGR. After the last, (count, None)
        tells how many frames the video has.

    Raises:
        InputError: the video cannot be opened, is a picture, has no frames, is cut off or damaged,
            or says of its frames what cannot be applied. What comes before is yielded.
    """
    index, damage = 0, None
    with _opened(path) as (container, stream):
        promised, codec = promised_frames(container, stream), stream.codec_context.name
        shown = _Shown(path, stream)
        try:
            for frame in decoded_frames(path, container, stream):
                if index % step == 0:
                    yield index, shown(frame)
                index += 1
        except Damage as found:
            damage = found
    if index == 0:
        raise InputError(f"{path}: holds no frame that can be decoded (its codec is {codec})")
    if index == 1 and is_picture(path):  # FFmpeg calls that a video of one frame
        raise InputError(f"{path}: is a picture, not a video; name a folder of pictures")
    if damage and index < promised:
        raise InputError(f"{path}: ends early: {index} frames of {promised} can be decoded")
    if damage:
        raise InputError(f"{path}: ends early: {index} frames can be decoded, then: {damage}")
    yield index, None


def video_timing(path):
    """A video's frames a second, and about how many frames it has; 0 where its header is silent."""
    try:
        with _opened(path) as (container, stream):
            rate = float(stream.average_rate or stream.guessed_rate or 0)
            return (rate if 1 <= rate <= 1000 else 25.0), promised_frames(container, stream)
    except InputError:
        return 25.0, 0


def check_written(path, frames, name):
    """Refuse a video of which OpenCV, which says nothing, could not write all frames.

    Raises:
        InputError: the file at `path` holds fewer; it is called `name`.
    """
    if video_timing(path)[1] < frames:
        raise InputError(f"{name}: cannot be written; is the disk full?")


@contextlib.contextmanager
def _opened(path):
    """Open a video; give its container and its stream, of which one thread decodes."""
    readable = os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids)
    if Path(path).exists() and not readable:
        raise InputError(f"{path}: cannot be read (Permission denied)")
    # With "file:" in front, no name is taken for an address or an option.
    name = f"file:{Path(path).absolute()}"
    options = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
    try:
        container = av.open(name, options=options)
    except (av.error.FFmpegError, ValueError):
        container = None
    if container is None or _begins_like_heic(path):
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
            raise InputError(f"{path}: cannot be opened as a video: it holds no frames")
        stream.codec_context.thread_count = 1
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        yield container, stream


def _unknown_codec(name, options):
    """Name a codec that cannot be decoded, as ", NAME,", where FFmpeg warns of it."""
    av.logging.set_level(av.logging.WARNING)
    try:
        with av.logging.Capture() as messages, av.open(name, options=options):
            said = " ".join(text for *_, text in messages)
    finally:
        av.logging.set_level(av.logging.ERROR)
    found = re.search(r"\((\w{4}) / 0x", said) or re.search(r"Video: (?!none)(\w+)", said)
    return f", {found[1]}," if found else ""


def _begins_like_heic(path):
    with open(path, "rb") as file:
        return is_heic(file.read(4096))


class _Shown:
    """Converts a video's frames to what a player shows: BGR, square pixels, upright."""

    def __init__(self, path, stream):
        self._path, self._codec = path, stream.codec_context
        self._aspect = _aspect(path, stream)
        self._reformatter = VideoReformatter()
        self._first = None

    def __call__(self, frame):
        picture, turn = self._bgr(frame), _turn(self._path, frame)
        stored, ratio = picture.shape, self._codec.sample_aspect_ratio
        if self._first is None:
            picture = squared(picture, self._aspect, self._path)
            self._first = stored, ratio, turn, picture.shape
        first_stored, first_ratio, first_turn, size = self._first
        if turn != first_turn or (stored == first_stored and ratio != first_ratio):
            raise InputError(f"{self._path}: changes in its course how its frames are to be shown")
        if picture.shape != size:
            picture = cv2.resize(picture, size[1::-1], interpolation=cv2.INTER_CUBIC)
        return turned(picture, turn)

    def _bgr(self, frame):
        """Convert as the stream says; high dynamic range becomes the usual one."""
        how = {"format": "bgr24", "interpolation": Interpolation.BICUBIC, "threads": 1}
        usual = {"dst_color_trc": ColorTrc.BT709, "dst_color_primaries": ColorPrimaries.BT709}
        try:
            return self._reformatter.reformat(frame, **how, **usual).to_ndarray()
        except (av.error.FFmpegError, ValueError):  # of colours that FFmpeg cannot convert
            return VideoReformatter().reformat(frame, **how).to_ndarray()


def _aspect(path, stream):
    """A stored pixel's width / height."""
    aspect = float(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1)
    if not 1 / _FLATTEST <= aspect <= _FLATTEST:
        raise InputError(f"{path}: says that its pixels are {aspect:.3g} times as wide as high")
    return aspect


def _turn(path, frame):
    """How to turn a frame, by the matrix of its display.

    A point (x, y) is shown at (a x + c y, b x + d y), moved back into the picture. FFmpeg makes
    different scales along x and y part of the pixels' aspect ratio.

    Raises:
        InputError: it is turned by another angle than 90, 180 or 270 degrees, or sheared.
    """
    side_data = frame.side_data.get("DISPLAYMATRIX")
    if side_data is None:
        return Turn()
    a, b, _, c, d = np.frombuffer(bytes(side_data), np.int32)[:5].astype(float)
    if not (a or b or c or d):
        return Turn()
    tolerance = 0.01 * max(abs(a), abs(b), abs(c), abs(d))
    if max(abs(b), abs(c)) <= tolerance < min(abs(a), abs(d)):
        return Turn(False, a < 0, d < 0)
    # Of a picture that lies on its side, FFmpeg applies different scales the wrong way round.
    if max(abs(a), abs(d), abs(abs(b) - abs(c))) <= tolerance < min(abs(b), abs(c)):
        return Turn(True, c < 0, b < 0)
    raise InputError(f"{path}: is to be shown askew: turned by no quarter of a circle, or sheared")


def camera_frames(number, seconds=None):
    """Yield (index, picture), BGR, as fast as they are asked for, for so many seconds.

    Raises:
        InputError: there is no such camera, or it stopped.
    """
    capture = cv2.VideoCapture(number)
    try:
        if not capture.isOpened():
            raise InputError(f"camera {number}: cannot be opened")
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # what it sees now, not what it saw a while ago
        index, end = 0, None if seconds is None else time.monotonic() + seconds
        while end is None or time.monotonic() < end:
            seen, picture = capture.read()
            if not seen:
                raise InputError(f"camera {number}: sends no more pictures")
            yield index, picture
            index += 1
    finally:
        capture.release()
