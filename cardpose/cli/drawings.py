"""Draw predictions into pictures and videos."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2

from cardpose.cli.own_files import mark_video, marked_jpeg
from cardpose.common.errors import InputError
from cardpose.common.files import atomic_output
from cardpose.inference.picture_like import Picture, PictureLike
from cardpose.inference.result import RecordingCount, Result
from cardpose.pictures.videos import check_written

_CODEC = cv2.VideoWriter.fourcc(*"mp4v")


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
    writer, frames = cv2.VideoWriter(), 0
    plain: Path  # OpenCV crashes on names that are not UTF-8, so it writes to this path

    def add(picture: Picture, result: Result, count: RecordingCount | None) -> None:
        nonlocal frames
        drawn = result.draw(picture, recording=count)
        if not writer.isOpened():
            writer.open(str(plain), cv2.CAP_FFMPEG, _CODEC, rate, drawn.shape[1::-1])
        if not writer.isOpened():
            raise InputError(f"{path}: cannot be written")
        writer.write(drawn)
        frames += 1

    with atomic_output(path) as scratch, TemporaryDirectory() as folder:
        plain = Path(folder, "drawing.mp4")
        plain.symlink_to(scratch.absolute())
        try:
            yield add
        finally:
            writer.release()
        if frames:
            check_written(scratch, frames, path)
            mark_video(scratch)
