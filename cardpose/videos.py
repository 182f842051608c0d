"""Frames of videos: upright and with square pixels, and whether all of them are there.

FFmpeg decodes, by way of PyAV. Headers only guess how many frames there are, so the end of a video
is told from damage by what is read: errors, damaged frames, and packets that are missing.
"""

import contextlib
import itertools
import logging
import os
import re
from pathlib import Path

import av
import cv2
import numpy as np
from av.stream import Discard, Disposition
from av.video.reformatter import ColorPrimaries, ColorTrc, Interpolation, VideoReformatter

from cardpose.errors import InputError
from cardpose.reading import Turn, is_heic, is_picture, squared, turned

# Formats that hold a video themselves. Others, such as playlists, make FFmpeg open other files.
_FORMATS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,h264,hevc,vvc,m4v,vc1,obu,ivf,flv,live_flv,asf,asf_o,"
    "ogg,mjpeg,mjpeg_2000,dv,mxf,gxf,nut,rm,wtv,ty,pva,nsv,nuv,dhav,mlv,mpjpeg,gif,apng,"
    "yuv4mpegpipe,swf,lxf,ifv,kux,avs2,avs3,cavsvideo,h263,h261,dirac,evc,apv,viv,bink,roq"
)
# Formats without a table of contents: a recording may begin anywhere in a longer stream.
_STREAMS = {"mpegts", "mpeg", "mpegvideo", "h264", "hevc", "vvc", "m4v", "vc1"}
# What FFmpeg only says where a Matroska or WebM file is cut off or its contents are lost.
_ENDED = "File ended prematurely"
_LOST = re.compile(rf"{_ENDED}|invalid as first byte|exceeds max length")
_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails
_NEAR = 4  # packets from a gap on in which time may jump
_FLATTEST = 10  # times as wide as high, or as high as wide, a pixel may be

# PyAV hands messages to Python. Those that matter are looked at here, and the rest is not shown.
logging.getLogger("libav").addHandler(logging.NullHandler())
logging.getLogger("libav").propagate = False
av.logging.set_level(av.logging.ERROR)
av.logging.set_skip_repeated(False)


class _Damage(Exception):
    """A video cannot be decoded any further; the message says why."""


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
        promised, codec = _promised(container, stream), stream.codec_context.name
        shown = _Shown(path, stream)
        try:
            for frame in _frames(path, container, stream):
                if index % step == 0:
                    yield index, shown(frame)
                index += 1
        except _Damage as found:
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


def timing(path):
    """A video's frames a second, and about how many frames it has; 0 where its header is silent."""
    try:
        with _opened(path) as (container, stream):
            rate = float(stream.average_rate or stream.guessed_rate or 0)
            return (rate if 1 <= rate <= 1000 else 25.0), _promised(container, stream)
    except InputError:
        return 25.0, 0


def check_written(path, frames, name):
    """Refuse a video of which OpenCV, which says nothing, could not write all frames.

    Raises:
        InputError: the file at `path` holds fewer; it is called `name`.
    """
    if timing(path)[1] < frames:
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
            raise InputError(f"{path}: cannot be opened as a video: its codec is not known")
        if not (stream.codec_context.width and stream.codec_context.height):
            raise InputError(f"{path}: cannot be opened as a video: it holds no frames")
        stream.codec_context.thread_count = 1
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        yield container, stream


def _begins_like_heic(path):
    with open(path, "rb") as file:
        return is_heic(file.read(4096))


def _promised(container, stream):
    """How many frames the header promises, in some formats a guess; 0 where it does not say."""
    if "mov" in container.format.name and stream.frames:
        return sum(not entry.is_discard for entry in stream.index_entries)
    if stream.frames:
        return stream.frames
    if stream.duration:
        seconds = stream.duration * stream.time_base
    else:
        seconds = (container.duration or 0) / av.time_base
        if "matroska" in container.format.name:  # there it is the time of the end
            seconds -= (container.start_time or 0) / av.time_base
    return max(0, round(seconds * (stream.average_rate or 0)))


def _frames(path, container, stream):
    """Yield all frames that a player shows.

    Frames before the first that can be decoded without others are left out where they are damaged:
    what they are made from lies before the beginning.

    Raises:
        _Damage: after the last frame before it.
    """
    anywhere = container.format.name in _STREAMS
    key, seen, steps = None, False, _Steps()
    for packet, damage in _packets(container, stream):
        if packet is not None and _is_encrypted(packet):
            raise InputError(f"{path}: is encrypted (its codec is {stream.codec_context.name})")
        frames, error = _decoded(stream, packet)
        leads = anywhere and not seen
        if packet is not None:
            leads = leads or (_is_before(packet, key) and not packet.is_keyframe)
            if key is None and packet.is_keyframe and not error:
                key = packet.pts if packet.pts is not None else -np.inf
        if error and not leads:
            damage = damage or error
        for frame in frames:
            if frame.is_corrupt:
                if (anywhere and not seen) or _is_before(frame, key):
                    continue
                raise _Damage("a damaged frame")
            if damage and (steps.after(frame.pts) or 2) > 1.5:
                break
            steps.add(frame.pts)
            seen = True
            yield frame
        if damage:
            raise _Damage(damage)


class _Steps:
    """Times that follow each other. They tell whether one is missing before another."""

    def __init__(self):
        self._last, self._longest = None, 0

    def add(self, time):
        if self._last is not None and time is not None:
            self._longest = max(self._longest, time - self._last)
        self._last = time

    def after(self, time):
        """How many of the longest steps before lie between the last time and this one."""
        if self._last is None or time is None or not self._longest:
            return None
        return (time - self._last) / self._longest


def _is_before(item, key):
    """Whether a packet or frame is shown before the first key frame, shown at `key`."""
    return key is None or (item.pts is not None and item.pts < key)


def _is_encrypted(packet):
    return packet.has_sidedata("encryption_info") or packet.has_sidedata("encryption_init_info")


def _decoded(stream, packet):
    """Decode a packet, or with None what is left: a list of frames, and what is wrong or None."""
    try:
        return stream.codec_context.decode(packet), None
    except av.error.FFmpegError as error:
        return [], error.strerror


def _packets(container, stream):
    """Yield (packet, None) for each of a stream's packets, then (None, what is missing or None).

    Raises:
        _Damage: packets are missing or cut off, and frames that wait for them are not to be shown.
    """
    steps, suspect = _Steps(), 0
    for packet, cut in _demuxed(container, stream):
        if packet is None:
            yield None, cut
            return
        if packet.is_corrupt and container.format.name not in _STREAMS:
            raise _Damage(_ENDED)
        # A transport stream's packets are numbered, and FFmpeg marks one near a gap. Two videos put
        # together have a gap, too, and where it loses a part of a frame, the decoder says so.
        suspect = _NEAR if packet.is_corrupt else suspect - 1
        if suspect > 0 and not packet.is_keyframe and (steps.after(packet.dts) or 0) > 1.5:
            raise _Damage("packets are missing")
        steps.add(packet.dts)
        yield packet, None


def _demuxed(container, stream):
    """Yield (packet, None) for each of a stream's packets, then (None, what is missing or None)."""
    packets = container.demux(stream)
    for count in itertools.count():
        try:
            with av.logging.Capture() as messages:
                packet = next(packets)
        except av.error.FFmpegError as error:
            yield None, error.strerror
            return
        lost = next((text.strip() for *_, text in messages if _LOST.search(text)), None)
        last = packet.dts is None and packet.pts is None and not packet.size
        if last and lost and 0 < _promised(container, stream) <= count:
            lost = None  # behind all frames, only an index is cut off
        if last or lost:
            yield None, lost or _missing(container, stream, count)
            return
        yield packet, None


def _missing(container, stream, count):
    """What shows, after `count` packets, that a file with a table of contents was cut off."""
    if "mov" in container.format.name and count < len(stream.index_entries):
        return _ENDED
    if container.format.name == "avi" and count < stream.frames:
        with open(container.name.removeprefix("file:"), "rb") as file:
            declared = int.from_bytes(file.read(8)[4:], "little")
        if declared + 8 > container.size:
            return _ENDED
    return None


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
    if max(abs(a), abs(d)) <= tolerance < min(abs(b), abs(c)):
        return Turn(True, c < 0, b < 0)
    raise InputError(f"{path}: is to be shown askew: turned by no quarter of a circle, or sheared")
