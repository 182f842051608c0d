"""Decode all frames of a video, and detect damage.

The number of frames in a header may be an estimate, so it cannot show whether a video is complete.
Decoding errors, damaged frames and missing packets reveal damage instead. In this module, a packet
is a unit of the video file, not a packet of cards.
"""

import itertools
import re
from collections.abc import Iterator
from os import PathLike
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from cardpose.common.errors import InputError

# Formats without an index. A file may begin anywhere in a longer stream.
_STREAMS = {"mpegts", "mpeg", "mpegvideo", "h264", "hevc", "vvc", "m4v", "vc1"}
# FFmpeg logs these messages for Matroska and WebM files that are cut off or lack data. It raises no
# error.
_ENDED = "File ended prematurely"
_LOST = re.compile(rf"{_ENDED}|invalid as first byte|exceeds max length")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_NEAR = 4  # a key frame has to follow within this many packets after a marked one


class Damage(Exception):
    """Damage that prevents further decoding of a video. The message describes it."""


def promised_frames(container: InputContainer, stream: VideoStream) -> int:
    """Return the number of frames by the header, or 0. In some formats it is an estimate."""
    if "mov" in container.format.name and stream.frames:
        return sum(not entry.is_discard for entry in stream.index_entries)
    if stream.frames:
        return stream.frames
    seconds: Any
    if stream.duration:
        seconds = stream.duration * (stream.time_base or 0)
    else:
        seconds = (container.duration or 0) / av.time_base
        if "matroska" in container.format.name:  # its duration is the time of the end
            seconds -= (container.start_time or 0) / av.time_base
    return max(0, round(seconds * (stream.average_rate or 0)))


def decoded_frames(
    path: str | PathLike[str], container: InputContainer, stream: VideoStream
) -> Iterator[av.VideoFrame]:
    """Yield all frames that a player shows.

    Skip damaged frames at the beginning, up to the next key frame. They depend on frames before the
    beginning.

    Raises:
        Damage: the video is damaged. All frames before the damage are yielded first.
        InputError: the video is encrypted.
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
    """Steps between the times of consecutive frames, to detect missing frames."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._longest = 0

    def add(self, time: int | None) -> None:
        if self._last is not None and time is not None:
            self._longest = max(self._longest, time - self._last)
        self._last = time

    def after(self, time: int | None) -> float | None:
        """Return the step from the last time to `time`, divided by the longest step so far."""
        if self._last is None or time is None or not self._longest:
            return None
        return (time - self._last) / self._longest


def _is_before(item: av.Packet | av.VideoFrame, key: float | int | None) -> bool:
    """Return whether a packet or frame precedes `key`, the time of the first key frame."""
    return key is None or (item.pts is not None and item.pts < key)


def _is_encrypted(packet: av.Packet) -> bool:
    return packet.has_sidedata("encryption_info") or packet.has_sidedata("encryption_init_info")


def _decoded(
    stream: VideoStream, packet: av.Packet | None
) -> tuple[list[av.VideoFrame], str | None]:
    """Decode a packet, or the remaining frames for None. Return frames, and an error or None."""
    try:
        return stream.codec_context.decode(packet), None
    except av.error.FFmpegError as error:
        return [], error.strerror


def _packets(
    container: InputContainer, stream: VideoStream
) -> Iterator[tuple[av.Packet | None, str | None]]:
    """Yield (packet, None) for each packet of a stream, then (None, damage at the end or None).

    Raises:
        Damage: packets are missing or cut off, and later frames depend on them.
    """
    begun = False
    held: list[av.Packet] = []  # packets after a gap, until the cause of the gap is clear
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
        # Packets of a transport stream are numbered. FFmpeg marks one near a gap in the numbers.
        # Two joined videos also have a gap, but the second begins with a key frame.
        if held or (packet.is_corrupt and begun):
            held.append(packet)
        else:
            yield packet, None
        begun = True


def _demuxed(
    container: InputContainer, stream: VideoStream
) -> Iterator[tuple[av.Packet | None, str | None]]:
    """Yield (packet, None) for each packet of a stream, then (None, damage at the end or None)."""
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


def _missing(container: InputContainer, stream: VideoStream, count: int) -> str | None:
    """Return the damage if the file was cut off after `count` packets, otherwise None."""
    if "mov" in container.format.name and count < len(stream.index_entries):
        return _ENDED
    size, frames = _declared(container), promised_frames(container, stream)
    return _ENDED if size > container.size and (count < frames or not frames) else None


def _declared(container: InputContainer) -> int:
    """Return the size of the file in bytes by its header, or 0 for formats other than AVI and ASF.

    In AVI, the size follows the four letters "RIFF". In ASF, it follows the GUID of the file
    properties.
    """
    if container.format.name not in ("avi", "asf"):
        return 0
    with open(container.name.removeprefix("file:"), "rb") as file:
        head = file.read(4096)
    if container.format.name == "avi":
        return 8 + int.from_bytes(head[4:8], "little")
    at = head.find(_ASF_PROPERTIES)
    return int.from_bytes(head[at + 40 : at + 48], "little") if at >= 0 else 0
