"""Draw predictions into pictures and videos."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from cardpose.cli.own_files import mark_video, marked_jpeg
from cardpose.common.files import atomic_output
from cardpose.inference.picture_like import Picture, PictureLike
from cardpose.inference.result import RecordingCount, Result
from cardpose.pictures.writing import video_output


def write_drawing(path: Path, picture: PictureLike, result: Result) -> None:
    """Draw the result into a picture and write it as JPEG."""
    with atomic_output(path) as scratch:
        jpeg = cv2.imencode(".jpg", result.draw(picture))[1]
        scratch.write_bytes(marked_jpeg(jpeg.tobytes()))


@contextmanager
def drawn_video(
    path: Path, rate: float
) -> Iterator[Callable[[Picture, Result, RecordingCount | None], None]]:
    """Yield a function that draws into a frame and adds the frame to a video.

    It draws the frame's result and the count of the recording so far.

    Args:
        rate: frames per second.
    """
    with atomic_output(path) as scratch:
        with video_output(scratch, rate) as write:

            def add(picture: Picture, result: Result, count: RecordingCount | None) -> None:
                write(result.draw(picture, recording=count))

            yield add
        mark_video(scratch)
