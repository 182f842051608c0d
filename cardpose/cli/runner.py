"""Everything that a user hands in, looked at one after the other, and what was found given out."""

import sys
import threading
import time
from collections import deque
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import groupby

import cv2
from tqdm import tqdm

from cardpose.cli import inputs
from cardpose.cli.own_files import mark_video, marked_jpeg
from cardpose.cli.records import Table, interval_text, picture_record, recording_record
from cardpose.common.errors import InputError
from cardpose.common.files import atomic_output
from cardpose.inference.predictor import Predictor
from cardpose.pictures import videos
from cardpose.pictures.drawing import draw_count, draw_packet
from cardpose.pictures.reading import read_picture
from cardpose.pictures.videos import check_written, video_timing

_CODEC = cv2.VideoWriter_fourcc(*"mp4v")
_KEPT = 1000  # at most twice as many results of a recording are kept, evenly spread
_STEADY = 1.0  # seconds over which a camera's count is steadied


@dataclass
class Run:
    """Looks at sources and gives out what is found.

    Attributes:
        predictor: a `Predictor`.
        table: on the screen.
        writers: of records, see `reports`.
        targets: where to draw a source, by source; what is not there is not drawn.
        stop: set by somebody who wants no more; what is begun is then brought to an end.
        together: whether all pictures show one packet, to be counted from all of them.
        every: takes every so-manieth frame of videos.
        seconds: how long to look through a camera, None for ever.
    """

    predictor: Predictor
    table: Table
    writers: list
    targets: dict
    stop: threading.Event
    together: bool
    every: int
    seconds: float | None

    def look(self, sources):
        """Look at all sources; those that cannot be read are named and skipped.

        Returns:
            whether all could be read, to their end.
        """
        worked, album = True, []
        for kind, group in groupby(sources, lambda source: source.kind):
            if kind == "picture":
                worked &= self._pictures(list(group), len(sources) == 1, album)
            else:
                worked &= self._each({"video": self._video, "camera": self._camera}[kind], group)
            if self.stop.is_set():
                break
        if self.together and album:
            shown = sum(result.packet for result in album)
            worked &= self._each(self._recording, ["all pictures"], album, len(album), shown)
        return worked

    def _each(self, look, sources, *more):
        """Do `look` for each; what it raises is said. Returns whether it raised nothing."""
        worked = True
        for source in sources:
            try:
                look(source, *more)
            except InputError as error:
                complain(error)
                worked = False
            if self.stop.is_set():
                break
        return worked

    def _pictures(self, sources, alone, album):
        worked = True
        bar = tqdm(
            inputs.read_ahead(_photographs(sources)),
            total=len(sources),
            unit="picture",
            leave=False,
            disable=self.table.shown or None,  # lines on the screen are progress enough
        )
        for source, picture in bar:
            if isinstance(picture, InputError):
                complain(picture)
                worked = False
                continue
            name = str(source.path)
            result = self.predictor.predict(picture)
            if self.together:
                album.append(result)
            self._write(picture_record("picture", name, None, result))
            self.table.picture(name, result, keypoints=alone)
            if source in self.targets:
                with atomic_output(self.targets[source]) as scratch:
                    jpeg = cv2.imencode(".jpg", draw_result(picture, result))[1]
                    scratch.write_bytes(marked_jpeg(jpeg.tobytes()))
            if self.stop.is_set():
                break
        return worked

    def _recording(self, name, results, frames, shown):
        """A packet that many pictures show: `results` of some or all of them. There were so many
        `frames`, of which so many have `shown` a packet."""
        count = self.predictor.count_recording(results)
        self._write(recording_record(name, frames, count))
        self.table.recording(name, frames, shown, count)

    def _video(self, source):
        """Its frames in batches; of their results only some are kept, so that memory stays flat."""
        name, target = str(source.path), self.targets.get(source)
        rate, promised = video_timing(source.path)
        kept, step, seen, shown, broken = [], 1, 0, 0, None
        total = -(-promised // self.every) or None
        bar = tqdm(desc=name, total=total, unit="frame", leave=False, disable=None)
        with bar, _film(target, rate / self.every) as add:
            try:
                for batch in inputs.read_ahead(
                    inputs.batch_frames(inputs.video_frames(source.path, self.every))
                ):
                    results = self.predictor.predict_batch([picture for _, picture in batch])
                    for (index, picture), result in zip(batch, results, strict=True):
                        self._write(picture_record("frame", name, index, result))
                        if target:
                            add(draw_result(picture, result))
                        seen += 1
                        if result.packet:
                            if shown % step == 0:
                                kept.append(result)
                            if len(kept) == 2 * _KEPT:
                                kept, step = kept[::2], 2 * step
                            shown += 1
                    bar.update(len(batch))
                    if self.stop.is_set():
                        break
            except InputError as error:
                if not seen:
                    raise
                broken = error  # what came before is good
        self._recording(name, kept, seen, shown)
        if broken:
            raise broken

    def _camera(self, source):
        """A line that always says what the last second showed."""
        recent = deque()
        try:
            for index, picture in videos.camera_frames(int(str(source.path)), self.seconds):
                result = self.predictor.predict(picture)
                self._write(picture_record("frame", f"camera {source.path}", index, result))
                now = time.monotonic()
                recent.append((now, result))
                while recent[0][0] < now - _STEADY:
                    recent.popleft()
                self.table.now([result for _, result in recent])
                if self.stop.is_set():
                    break
        finally:
            self.table.end()

    def _write(self, record):
        for writer in self.writers:
            writer.write(record)


def draw_result(picture, result):
    """A BGR picture with what a `Result` says of it drawn in: corners, edges, count, interval."""
    if not result.packet:
        draw_count(picture, "no packet")
        return picture
    between = interval_text(result)
    draw_count(picture, f"{result.cards:.1f} cards", between and f"90 %: {between}")
    # On top of the text's ground.
    draw_packet(picture, result.keypoints, result.visible, result.corners)
    return picture


def complain(error):
    """Say on stderr, in a line, what went wrong."""
    tqdm.write(f"error: {error}", file=sys.stderr)


def _photographs(sources):
    """Yield (source, picture), or the error in the picture's place."""
    for source in sources:
        try:
            yield source, read_picture(source.path)
        except InputError as error:
            yield source, error


@contextmanager
def _film(path, rate):
    """Give a function that adds pictures to the video at `path`."""
    writer, frames = cv2.VideoWriter(), 0

    def add(picture):
        nonlocal frames
        if not writer.isOpened():
            writer.open(str(scratch), cv2.CAP_FFMPEG, _CODEC, rate, picture.shape[1::-1])
        if not writer.isOpened():
            raise InputError(f"{path}: cannot be written")
        writer.write(picture)
        frames += 1

    with nullcontext() if path is None else atomic_output(path) as scratch:
        try:
            yield add
        finally:
            writer.release()
        if frames:
            check_written(scratch, frames, path)
            mark_video(scratch)
