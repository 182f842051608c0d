"""Draw predictions into pictures and videos."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from cardpose.cli.own_files import mark_video, marked_jpeg
from cardpose.cli.table import interval_text
from cardpose.common.errors import InputError
from cardpose.common.files import atomic_output
from cardpose.inference.predictor import Picture, Result
from cardpose.pictures.drawing import draw_count, draw_packet
from cardpose.pictures.videos import check_written

_CODEC = cv2.VideoWriter.fourcc(*"mp4v")


def draw_result(picture: Picture, result: Result) -> Picture:
    """Draw corners, edges, count and interval into a BGR picture, and return it."""
    if not result.packet:
        draw_count(picture, "no packet")
        return picture
    interval = interval_text(result)
    draw_count(picture, f"{result.cards:.1f} cards", interval and f"90 %: {interval}")
    # Draw the packet last, because the background of the text would cover corners.
    draw_packet(picture, result.keypoints, result.visible, result.corners)
    return picture


def write_drawing(path: Path, picture: Picture, result: Result) -> None:
    """Draw the result into a BGR picture and write it as JPEG."""
    with atomic_output(path) as scratch:
        jpeg = cv2.imencode(".jpg", draw_result(picture, result))[1]
        scratch.write_bytes(marked_jpeg(jpeg.tobytes()))


@contextmanager
def drawn_video(path: Path, rate: float) -> Iterator[Callable[[Picture, Result], None]]:
    """Yield a function that draws a result into a frame and adds the frame to a video.

    Args:
        rate: frames per second.
    """
    writer, frames = cv2.VideoWriter(), 0

    def add(picture: Picture, result: Result) -> None:
        nonlocal frames
        drawn = draw_result(picture, result)
        if not writer.isOpened():
            writer.open(str(scratch), cv2.CAP_FFMPEG, _CODEC, rate, drawn.shape[1::-1])
        if not writer.isOpened():
            raise InputError(f"{path}: cannot be written")
        writer.write(drawn)
        frames += 1

    with atomic_output(path) as scratch:
        try:
            yield add
        finally:
            writer.release()
        if frames:
            check_written(scratch, frames, path)
            mark_video(scratch)
