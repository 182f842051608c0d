"""All frames of a video, and whether it ends or is damaged.

Headers only guess how many frames there are. So the end of a video is told from damage by what is
read: errors, damaged frames, and packets that are missing.
"""

import itertools
import re

import av
import numpy as np

from cardpose.common.errors import InputError

# Formats without a table of contents: a recording may begin anywhere in a longer stream.
_STREAMS = {"mpegts", "mpeg", "mpegvideo", "h264", "hevc", "vvc", "m4v", "vc1"}
# What FFmpeg only says where a Matroska or WebM file is cut off or its contents are lost.
_ENDED = "File ended prematurely"
_LOST = re.compile(rf"{_ENDED}|invalid as first byte|exceeds max length")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_NEAR = 4  # packets after the one that is marked


class Damage(Exception):
    """A video cannot be decoded any further; the message says why."""


def promised_frames(container, stream):
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


def decoded_frames(path, container, stream):
    """Yield all frames that a player shows.

    Frames at the beginning are left out where they are damaged, up to the next key frame: what they
    are made from lies before the beginning.

    Raises:
        Damage: after the last frame before it.
    """
    anywhere = container.format.name in _STREAMS
    key, seen, spoilt, steps = None, False, False, _Steps()
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
            leads = (anywhere and not seen) or _is_before(frame, key)
            if frame.is_corrupt and not leads:
                raise Damage("a damaged frame")
            spoilt = frame.is_corrupt or (spoilt and not frame.key_frame)
            if spoilt:
                continue
            if damage and (steps.after(frame.pts) or 2) > 1.5:
                break
            steps.add(frame.pts)
            seen = True
            yield frame
        if damage:
            raise Damage(damage)


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
        Damage: packets are missing or cut off, and frames that wait for them are not to be shown.
    """
    begun, held = False, []
    for packet, cut in _demuxed(container, stream):
        if held and packet is not None and packet.is_keyframe:
            yield from ((each, None) for each in held)
            held = []
        if held and (packet is None or len(held) == _NEAR):
            raise Damage("packets are missing")
        if packet is None:
            yield None, cut
            return
        if packet.is_corrupt and container.format.name not in _STREAMS:
            raise Damage(_ENDED)
        # A transport stream's packets are numbered, and FFmpeg marks one near a gap. Two videos put
        # together have a gap, too, and there the second begins with a key frame.
        if held or (packet.is_corrupt and begun):
            held.append(packet)
        else:
            yield packet, None
        begun = True


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
        if last or lost:
            yield None, lost or _missing(container, stream, count)
            return
        yield packet, None


def _missing(container, stream, count):
    """What shows, after `count` packets, that a file with a table of contents was cut off."""
    if "mov" in container.format.name and count < len(stream.index_entries):
        return _ENDED
    size, frames = _declared(container), promised_frames(container, stream)
    return _ENDED if size > container.size and (count < frames or not frames) else None


def _declared(container):
    """How many bytes a file's header says that it has, of the formats that nothing else gives away.

    A RIFF says it behind its four letters, an ASF behind the GUID of its file properties.
    """
    if container.format.name not in ("avi", "asf"):
        return 0
    with open(container.name.removeprefix("file:"), "rb") as file:
        head = file.read(4096)
    if container.format.name == "avi":
        return 8 + int.from_bytes(head[4:8], "little")
    at = head.find(_ASF_PROPERTIES)
    return int.from_bytes(head[at + 40 : at + 48], "little") if at >= 0 else 0
